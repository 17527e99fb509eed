/**
 * Migrations: plain numbered SQL, `NNNN_name.up.sql` with its `.down.sql`. An advisory lock sees to it that of
 * several starters one applies them and the others find them applied. Workers never migrate.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runMigrations as migrateQueue } from 'graphile-worker';
import { sql } from 'kysely';
import { type Migration, Migrator } from 'kysely/migration';
import type pg from 'pg';
import { Problem } from '../../base/problem.ts';
import type { Db } from './db.ts';
import { ensureRoles } from './roles.ts';
import { applyTenancy, removePolicies } from './tenancy.ts';

const folder = join(import.meta.dirname, '../../../migrations');

async function readMigrations(): Promise<Record<string, Migration>> {
  const names = (await readdir(folder)).filter(name => name.endsWith('.up.sql')).sort();
  const migrations: Record<string, Migration> = {};
  for (const name of names) {
    const key = name.slice(0, -'.up.sql'.length);
    const read = (direction: string) => readFile(join(folder, `${key}.${direction}.sql`), 'utf8');
    migrations[key] = {
      up: async db => void (await sql.raw(await read('up')).execute(db)),
      down: async db => void (await sql.raw(await read('down')).execute(db)),
    };
  }
  return migrations;
}

/** Any number that nobody else locks: grants and the queue's own migrations do not bear a second migrator. */
const lockNumber = 7_204_812_117;

/** Applies what is missing. @returns names that were applied. @throws Problem `database_newer`, `migration_failed`. */
export async function migrate(db: Db, pool: pg.Pool): Promise<string[]> {
  const holder = await pool.connect();
  try {
    await holder.query('select pg_advisory_lock($1)', [lockNumber]);
    return await migrateAlone(db, pool);
  } finally {
    // Closed rather than given back: with its end the lock ends, whatever happened.
    holder.release(true);
  }
}

async function migrateAlone(db: Db, pool: pg.Pool): Promise<string[]> {
  const migrations = await readMigrations();
  await refuseNewer(db, Object.keys(migrations));
  await ensureRoles(db);
  const migrator = new Migrator({ db, provider: { getMigrations: async () => migrations } });
  const { error, results } = await migrator.migrateToLatest();
  if (error) {
    const failed = results?.find(result => result.status === 'Error')?.migrationName ?? 'a migration';
    throw new Problem(
      'unavailable',
      'migration_failed',
      `${failed} could not be applied; the database is as it was before.`,
      {
        cause: error,
      },
    );
  }
  await migrateQueue({ pgPool: pool });
  await applyTenancy(db);
  return (results ?? []).map(result => result.migrationName);
}

/** Takes the newest migration back, and row-level security with it. For tests and for a guided rollback. */
export async function migrateDown(db: Db): Promise<string[]> {
  const migrations = await readMigrations();
  await removePolicies(db);
  const migrator = new Migrator({ db, provider: { getMigrations: async () => migrations } });
  const { error, results } = await migrator.migrateDown();
  if (error)
    throw new Problem('unavailable', 'migration_failed', 'The migration could not be taken back.', {
      cause: error,
    });
  return (results ?? []).map(result => result.migrationName);
}

/** Whether every known migration is applied: what a worker asks before it starts. */
export async function isMigrated(db: Db): Promise<boolean> {
  const known = Object.keys(await readMigrations());
  const applied = await appliedMigrations(db);
  return known.every(name => applied.includes(name));
}

async function appliedMigrations(db: Db): Promise<string[]> {
  const { rows } = await sql<{
    present: boolean;
  }>`select to_regclass('kysely_migration') is not null as present`.execute(db);
  if (!rows[0]?.present) return [];
  const applied = await sql<{ name: string }>`select name from kysely_migration order by name`.execute(db);
  return applied.rows.map(row => row.name);
}

async function refuseNewer(db: Db, known: string[]): Promise<void> {
  const unknown = (await appliedMigrations(db)).filter(name => !known.includes(name));
  if (unknown.length === 0) return;
  throw new Problem(
    'conflict',
    'database_newer',
    `The database was written by a newer Guildhall (it has ${unknown.join(', ')}). Start that version, or restore a backup made before it.`,
  );
}
