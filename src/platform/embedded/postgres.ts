/**
 * The embedded database: a real PostgreSQL server under our care, for everybody who has not set DATABASE_URL.
 * It listens on a unix socket only, is started with us and stopped with us, is started again when it dies, and
 * when we are killed it lives on until the next start adopts it. places.ts tells where everything lies.
 */
import { join, resolve } from 'node:path';
import pg from 'pg';
import { findPackage, installBinaries, type PostgresPackage } from './binaries.ts';
import {
  checkVersion,
  createCluster,
  readCredentials,
  requireOwnCluster,
  resetCredentials,
  writeConfiguration,
} from './cluster.ts';
import { readIfThere } from './files.ts';
import { acquireLock, type DirectoryLock } from './lock.ts';
import {
  locate,
  makeHome,
  makeSocketDir,
  type Places,
  requireSpace,
  storageProblem,
  systemDirDefault,
} from './places.ts';
import { findOrphan, isReady, type Orphan, spawnServer, stopServer } from './postmaster.ts';
import { endRotation, wasCutOff } from './rotation.ts';
import { chooseServerUser } from './server-user.ts';
import {
  type ConnectionConfig,
  connectionOf,
  type EmbeddedPostgres,
  type LogLine,
  Supervisor,
  whenGone,
} from './supervisor.ts';

export { removeEmbeddedPostgres } from './places.ts';
export type { ConnectionConfig, EmbeddedPostgres, LogLine } from './supervisor.ts';

export interface EmbeddedPostgresOptions {
  dataDir: string;
  log: (line: LogLine) => void;
  /** Server settings beyond the defaults, such as `{ max_connections: '50' }`. */
  settings?: Record<string, string>;
  /** How long running statements may go on after stop() before they are cut off. */
  stopLimitMs?: number;
  /** Where root keeps programs, and clusters whose data directory the server's user cannot reach. */
  systemDir?: string;
}

const stopLimitDefaultMs = 10_000;
const runningSpaceBytes = 64 * 1024 * 1024;

/** Starts the embedded server, making its database at the first start. */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const source = await findPackage();
  const { dataDir, home } = await makeHome(resolve(options.dataDir));
  const lock = await acquireLock(home, dataDir);
  try {
    return await startLocked(options, source, dataDir, home, lock);
  } catch (error) {
    await lock.release();
    throw storageProblem(dataDir, error);
  }
}

async function startLocked(
  options: EmbeddedPostgresOptions,
  source: PostgresPackage,
  dataDir: string,
  home: string,
  lock: DirectoryLock,
): Promise<EmbeddedPostgres> {
  const systemDir = options.systemDir ?? systemDirDefault;
  const known = (await readIfThere(join(home, 'location')))?.trim() ?? join(home, 'cluster');
  const user = await chooseServerUser(dataDir, join(known, 'data'));
  const places = await locate(dataDir, home, user, systemDir);
  await requireOwnCluster(places);
  const fresh = !(await checkVersion(places, source.major));
  const bin = join(await installBinaries(source, user ? [systemDir, places.cluster] : [home], user), 'bin');
  const socketDir = await makeSocketDir(places, user);

  const cutOff = await wasCutOff(places);
  let credentials = cutOff ? undefined : await readCredentials(places);
  if (fresh) {
    options.log({ level: 'info', msg: 'creating the embedded database', cluster: places.cluster });
    credentials = await createCluster(places, bin, user);
  }
  const changed = await writeConfiguration(places, socketDir, options.settings ?? {});
  await requireSpace(places.data, runningSpaceBytes);

  const orphan = await findOrphan(places);
  const stopLimitMs = options.stopLimitMs ?? stopLimitDefaultMs;
  const current = !changed && orphan?.command.startsWith(bin) === true && orphan.socketDir === socketDir;
  const adopted =
    orphan !== undefined &&
    current &&
    credentials !== undefined &&
    (await answers(places, orphan, connectionOf(socketDir, 'owner', credentials)));
  if (orphan !== undefined && !adopted) {
    const how = await stopServer(orphan.pid, stopLimitMs);
    options.log({ level: 'info', msg: 'stopped a PostgreSQL left over from before', pid: orphan.pid, how });
  }
  if (credentials === undefined) {
    options.log({ level: 'warn', msg: 'the database passwords were lost; setting new ones' });
    credentials = await resetCredentials(places, bin, user);
    if (cutOff) await endRotation(places);
  }
  const server = adopted
    ? { pid: orphan.pid, ended: whenGone(orphan.pid) }
    : await spawnServer(places, bin, user);
  const version = source.version.replace(/(\.0)?-.*$/, ''); // 18.4.0-beta.17 brings PostgreSQL 18.4.
  const msg = adopted ? 'adopted the PostgreSQL left over from before' : 'PostgreSQL started';
  options.log({ level: 'info', msg, pid: server.pid, version });
  const setup = { places, bin, user, socketDir, credentials, lock, adopted, stopLimitMs, log: options.log };
  return new Supervisor({ ...setup, version }, server);
}

/** True when an orphan serves us: it takes our password. One that still recovers from a crash is waited for. */
async function answers(places: Places, orphan: Orphan, config: ConnectionConfig): Promise<boolean> {
  if (!(await isReady(places, orphan.pid))) return false;
  const client = new pg.Client({ ...config, connectionTimeoutMillis: 5000 });
  client.on('error', () => {});
  try {
    await client.connect();
    await client.query('select 1');
    return true;
  } catch {
    return false; // A foreign password, a full or a sick server: it is stopped and started anew.
  } finally {
    await client.end().catch(() => {});
  }
}
