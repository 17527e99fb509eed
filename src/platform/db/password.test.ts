import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { after, test } from 'node:test';
import pg from 'pg';
import { startEmbeddedPostgres } from '../embedded/postgres.ts';
import { makeScratch } from '../embedded/testing.ts';
import { openDb, openPool } from './db.ts';
import { type PasswordSource, retryRefused } from './password.ts';

const scratch = await makeScratch();
const server = await startEmbeddedPostgres({
  dataDir: join(scratch.dir, 'data'),
  systemDir: join(scratch.dir, 'system'),
  log: () => {},
});
after(async () => {
  await server.stop();
  await scratch.remove();
});
const { user } = server.app;

/** A password in two places, as it is: the database's and the secret's. */
const place = { password: String(server.app.password), reads: 0 };
const source: PasswordSource = {
  read: async () => {
    place.reads += 1;
    return place.password;
  },
  readAgain: async () => place.password,
};
const setInDatabase = async (password: string) => {
  const client = new pg.Client({ ...server.admin });
  await client.connect();
  await client.query(`alter role ${user} password '${password}'`);
  await client.end();
};
const newPassword = () => randomBytes(18).toString('base64url');

test('SEC-03 the database password is rotated under load: not one request fails', async () => {
  const pool = openPool(
    { ...server.app, password: undefined, max: 4, maxUses: 20, passwordSource: source },
    () => {},
  );
  const db = openDb(pool);
  const failed: unknown[] = [];
  let done = 0;
  let stop = false;
  const load = Array.from({ length: 6 }, async () => {
    while (!stop) {
      await db
        .selectNoFrom(eb => eb.val(1).as('one'))
        .executeTakeFirstOrThrow()
        .then(
          () => (done += 1),
          error => failed.push(error),
        );
    }
  });
  for (let rotation = 0; rotation < 3; rotation++) {
    const password = newPassword();
    await setInDatabase(password); // From here on new connections are refused,
    const until = done + 200;
    const soon = Date.now() + 300;
    while (done < until && Date.now() < soon) await new Promise(resolve => setImmediate(resolve));
    place.password = password; // until the secret says the same.
    const after = done + 200;
    while (done < after) await new Promise(resolve => setImmediate(resolve));
  }
  stop = true;
  await Promise.all(load);
  await pool.query('select 1'); // The way with a callback inside pg.
  await pool.end();
  assert.deepEqual(failed, []);
  assert.ok(done > 600 && place.reads > 20, `${done} requests, ${place.reads} connections`);
});

test('connections that stand go on with the password they were opened with', async () => {
  const pool = openPool({ ...server.app, password: undefined, max: 1, passwordSource: source }, () => {});
  const { rows: before } = await pool.query('select pg_backend_pid() as pid');
  const password = newPassword();
  await setInDatabase(password);
  place.password = password;
  const { rows: after } = await pool.query('select pg_backend_pid() as pid');
  assert.equal(before[0].pid, after[0].pid);
  await pool.end();
});

test('a password that stays wrong is the error of the database, in the end', async () => {
  const wrong: PasswordSource = { read: async () => 'wrong', readAgain: async () => 'wrong' };
  const pool = openPool({ ...server.app, password: 'wrong', max: 1 }, () => {});
  retryRefused(pool, wrong, [1, 1]);
  await assert.rejects(pool.query('select 1'), { code: '28P01' });
  await pool.end();
});
