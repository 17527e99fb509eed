/**
 * A real PostgreSQL database for each test file, cloned from a migrated template. The server is the one that the
 * test runner started (TEST_POSTGRES), or an own embedded one when a file is run alone.
 */
import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import pino from 'pino';
import { newId } from '../../src/base/ids.ts';
import { migrateDatabase } from '../../src/database.ts';
import { type Db, openDb, openPool, type PoolSettings, type Tenants } from '../../src/platform/db/db.ts';
import { openTenants, tenantsPool } from '../../src/platform/db/tenants.ts';
import { removeEmbeddedPostgres, startEmbeddedPostgres } from '../../src/platform/embedded/postgres.ts';

export interface TestServer {
  owner: PoolSettings;
  app: PoolSettings;
  system: PoolSettings;
  stop(): Promise<void>;
}

/** Starts a server of its own below the temporary directory. @param durable as in production; tests trade it for speed. */
export async function startTestServer(durable = false): Promise<TestServer> {
  const dataDir = await mkdtemp(join(tmpdir(), 'guildhall-test-'));
  const settings: Record<string, string> = durable ? {} : { fsync: 'off', synchronous_commit: 'off' };
  const embedded = await startEmbeddedPostgres({ dataDir, log: () => {}, settings });
  return {
    owner: { ...embedded.owner },
    app: { ...embedded.app },
    system: { ...embedded.system },
    stop: async () => {
      await embedded.stop();
      await removeEmbeddedPostgres(dataDir);
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

async function findServer(): Promise<TestServer> {
  const given = process.env.TEST_POSTGRES;
  if (!given) return startTestServer();
  return { ...JSON.parse(given), stop: async () => {} };
}

export interface TestDatabase extends AsyncDisposable {
  name: string;
  owner: PoolSettings;
  /** Rows of one organization at a time, and none outside of a transaction that names it. */
  app: PoolSettings;
  /** Rows of all organizations. */
  system: PoolSettings;
  /** As the role `system`. */
  db: Db;
  pool: pg.Pool;
  /** As the role `app`. */
  tenants: Tenants;
}

export async function openTestDatabase(options: { durable?: boolean } = {}): Promise<TestDatabase> {
  const server = options.durable ? await startTestServer(true) : await findServer();
  const template = await ensureTemplate(server);
  const name = newId('call').replace('call_', 'test_');
  await asOwner(server, `create database ${name} template ${template}`);
  // What is granted on the database itself is not in the template (platform/db/tenancy.ts).
  await asOwner(server, `revoke temporary on database ${name} from public`);
  const app = { ...server.app, database: name };
  const system = { ...server.system, database: name };
  const owner = { ...server.owner, database: name };
  const pool = openPool(system, () => {});
  const db = openDb(pool);
  const appPool = openPool({ ...tenantsPool, ...app }, () => {});
  return {
    name,
    owner,
    app,
    system,
    db,
    pool,
    tenants: openTenants(appPool),
    [Symbol.asyncDispose]: async () => {
      await Promise.all([pool.end(), appPool.end()]);
      await asOwner(server, `drop database if exists ${name} with (force)`);
      await server.stop();
    },
  };
}

async function asOwner(server: TestServer, sql: string): Promise<pg.QueryResult> {
  const client = new pg.Client(server.owner as pg.ClientConfig);
  await client.connect();
  try {
    return await client.query(sql);
  } finally {
    await client.end();
  }
}

/** The template for the migrations as they are now; made by whoever comes first. */
async function ensureTemplate(server: TestServer): Promise<string> {
  const folder = join(import.meta.dirname, '../../migrations');
  const hash = createHash('sha256');
  for (const file of (await readdir(folder)).sort()) hash.update(await readFile(join(folder, file)));
  const name = `template_${hash.digest('hex').slice(0, 16)}`;
  const client = new pg.Client(server.owner as pg.ClientConfig);
  await client.connect();
  try {
    await client.query('select pg_advisory_lock(4711)');
    const { rowCount } = await client.query('select 1 from pg_database where datname = $1', [name]);
    if (rowCount) return name;
    await client.query(`create database ${name}_making`);
    await migrateDatabase(pino({ level: 'silent' }), { ...server.owner, database: `${name}_making` });
    await client.query(`alter database ${name}_making rename to ${name}`);
    return name;
  } finally {
    await client.end();
  }
}
