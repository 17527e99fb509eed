import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import pg from 'pg';
import pino from 'pino';
import { testMasterKey } from '../../../test/harness/app.ts';
import { openTestDatabase } from '../../../test/harness/database.ts';
import { createApp, type Role } from '../../app.ts';
import { newId } from '../../base/ids.ts';
import { readConfig } from '../../config.ts';
import { migrateDatabase } from '../../database.ts';
import { openDb, openPool, type PoolSettings } from './db.ts';
import { isMigrated, migrate, migrateDown } from './migrate.ts';

const log = pino({ level: 'silent' });
const home = await openTestDatabase();
const made: string[] = [];
after(async () => {
  for (const name of made) await asOwner(home.owner, `drop database if exists ${name} with (force)`);
  await home[Symbol.asyncDispose]();
});

async function asOwner(settings: PoolSettings, text: string): Promise<pg.QueryResult> {
  const client = new pg.Client({ ...settings, ssl: false } as pg.ClientConfig);
  await client.connect();
  try {
    return await client.query(text);
  } finally {
    await client.end();
  }
}

/** An empty database, as a new user has it. */
async function emptyDatabase(): Promise<{ owner: PoolSettings; system: PoolSettings }> {
  const name = newId('call').replace('call_', 'test_empty_');
  await asOwner(home.owner, `create database ${name}`);
  made.push(name);
  return { owner: { ...home.owner, database: name }, system: { ...home.system, database: name } };
}

const urlOf = (s: PoolSettings): string =>
  `postgres://${s.user}:${encodeURIComponent(String(s.password))}@/${s.database}?host=${encodeURIComponent(String(s.host))}&port=${s.port ?? 5432}`;

/** The shape of a database, as text: columns, constraints, indexes, functions, views, rights. */
async function shapeOf(settings: PoolSettings): Promise<string[]> {
  const { rows } = await asOwner(
    settings,
    `select 'column ' || table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable || ' ' || coalesce(column_default, '') as line
       from information_schema.columns where table_schema = 'public'
     union all select 'constraint ' || conrelid::regclass || ' ' || pg_get_constraintdef(oid) from pg_constraint where connamespace = 'public'::regnamespace
     union all select 'index ' || indexdef from pg_indexes where schemaname = 'public'
     union all select 'function ' || pg_get_functiondef(oid) from pg_proc where pronamespace = 'public'::regnamespace
     union all select 'right ' || table_name || ' ' || grantee || ' ' || privilege_type from information_schema.table_privileges where table_schema = 'public'
     union all select 'sequence ' || sequencename from pg_sequences where schemaname = 'public'
     order by 1`,
  );
  return rows.map(row => row.line);
}

const withDb = async <T>(
  settings: PoolSettings,
  work: (db: ReturnType<typeof openDb>, pool: pg.Pool) => Promise<T>,
) => {
  const pool = openPool({ ...settings, max: 4 }, () => {});
  try {
    return await work(openDb(pool), pool);
  } finally {
    await pool.end();
  }
};

async function start(roles: Role[], databaseUrl: string) {
  const dataDir = await mkdtemp(join(tmpdir(), 'guildhall-migrate-'));
  const config = readConfig({
    GUILDHALL_DATA: dataDir,
    GUILDHALL_MASTER_KEY: testMasterKey,
    DATABASE_URL: databaseUrl,
    PORT: '0',
  });
  try {
    await using app = await createApp({ config, roles, log });
    return app.installation;
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
}

test('DAT-04 an empty database is brought up to date, and a second time nothing is to be done', async () => {
  const { owner, system } = await emptyDatabase();
  assert.deepEqual(await withDb(owner, db => isMigrated(db)), false);
  const applied = await migrateDatabase(log, owner);
  assert.ok(applied.length > 0 && applied.every(name => /^\d{4}_/.test(name)));
  assert.deepEqual(await migrateDatabase(log, owner), []);
  assert.equal(await withDb(system, db => isMigrated(db)), true);
});

test('DAT-04 of many who start at once one migrates, the others find it done', async () => {
  const { owner } = await emptyDatabase();
  const results = await Promise.all(Array.from({ length: 6 }, () => migrateDatabase(log, owner)));
  assert.equal(results.filter(applied => applied.length > 0).length, 1);
  const { rows } = await asOwner(
    owner,
    'select count(*)::int as n, count(distinct name)::int as names from kysely_migration',
  );
  assert.equal(rows[0].n, rows[0].names);
});

test('DAT-04 two whole servers that start on an empty database make one organization and one team', async () => {
  const { owner } = await emptyDatabase();
  const url = urlOf(owner);
  const all: Role[] = ['api', 'worker', 'sweeper'];
  const [first, second] = await Promise.all([start(all, url), start(all, url)]);
  assert.deepEqual(first, second);
  const { rows } = await asOwner(
    owner,
    'select (select count(*) from organizations)::int as o, (select count(*) from teams)::int as t',
  );
  assert.deepEqual(rows[0], { o: 1, t: 1 });
});

test('DAT-04 workers, sweepers and a lone API never migrate: they say what to do', async () => {
  const { owner } = await emptyDatabase();
  for (const roles of [['worker'], ['sweeper'], ['api'], ['worker', 'sweeper']] as Role[][]) {
    await assert.rejects(start(roles, urlOf(owner)), {
      code: 'migrations_missing',
      message: /guildhall migrate/,
    });
  }
  const { rows } = await asOwner(
    owner,
    `select count(*)::int as n from pg_tables where schemaname not in ('pg_catalog', 'information_schema')`,
  );
  assert.equal(rows[0].n, 0);
});

test('DAT-04 a database of a newer version is refused, and not touched', async () => {
  const { owner } = await emptyDatabase();
  await migrateDatabase(log, owner);
  await asOwner(owner, `insert into kysely_migration values ('9999_future', '2031-01-01')`);
  const before = await shapeOf(owner);
  const refusal = {
    code: 'database_newer',
    status: 409,
    message: /9999_future.*Start that version, or restore a backup/,
  };
  await assert.rejects(migrateDatabase(log, owner), refusal);
  await assert.rejects(start(['api', 'worker', 'sweeper'], urlOf(owner)), refusal);
  assert.deepEqual(await shapeOf(owner), before);
  // While the new version is rolled out, workers of the former one go on: DAT-05 keeps the schema fit for them.
  assert.ok(await start(['worker'], urlOf(owner)));
});

test('DAT-05 up, down and up again gives the same database', async () => {
  const { owner } = await emptyDatabase();
  await withDb(owner, async (db, pool) => {
    const applied = await migrate(db, pool);
    const first = await shapeOf(owner);
    assert.ok(first.length > 300);
    for (const name of applied.toReversed()) assert.deepEqual(await migrateDown(db), [name]);
    const left = (await shapeOf(owner)).filter(line => !/kysely_migration/.test(line));
    assert.deepEqual(left, []);
    assert.equal(await isMigrated(db), false);
    assert.deepEqual(await migrate(db, pool), applied);
    assert.deepEqual(await shapeOf(owner), first);
  });
});

test('a database that cannot be reached is one clear problem', async () => {
  await assert.rejects(start(['api', 'worker', 'sweeper'], 'postgres://nobody:x@127.0.0.1:1/none'), {
    code: 'database_unreachable',
    status: 503,
  });
  const wrong = { ...home.owner, password: 'wrong', database: 'none' };
  await assert.rejects(start(['api', 'worker'], urlOf(wrong)), { code: 'database_unreachable' });
  await assert.rejects(start(['worker'], 'postgres://nobody:x@127.0.0.1:1/none'), {
    code: 'database_unreachable',
  });
});
