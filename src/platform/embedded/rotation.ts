/**
 * New passwords for the roles of the running server. The database and the file that holds the passwords cannot change
 * in one step, so a marker stands beside the file meanwhile: a start that finds it sets passwords anew, as if the
 * file were lost. Connections that stand are not disturbed.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { type Credentials, newCredentials, roleStatements, saveCredentials } from './cluster.ts';
import { readIfThere, syncDir, writeWhole } from './files.ts';
import type { Places } from './places.ts';
import type { ConnectionConfig } from './supervisor.ts';

const markerOf = (places: Places): string => join(places.home, 'credentials.rotating');

/** Whether a rotation was cut off: what the file says may not be what the database wants. */
export async function wasCutOff(places: Places): Promise<boolean> {
  return (await readIfThere(markerOf(places))) !== undefined;
}

export async function endRotation(places: Places): Promise<void> {
  await rm(markerOf(places), { force: true });
  await syncDir(places.home);
}

/** Sets and saves new passwords. @param admin a connection as the superuser with the password until now. */
export async function rotateCredentials(places: Places, admin: ConnectionConfig): Promise<Credentials> {
  const credentials = newCredentials();
  const client = new pg.Client({ ...admin });
  client.on('error', () => {});
  await client.connect();
  try {
    await writeWhole(markerOf(places), '');
    await client.query('begin');
    for (const statement of roleStatements(credentials)) await client.query(statement);
    await client.query('commit');
  } finally {
    await client.end().catch(() => {});
  }
  await saveCredentials(places, credentials);
  await endRotation(places);
  return credentials;
}
