/**
 * Cares for a running server: knows its connections, starts it again when it dies, and stops it. A server of ours
 * that ends is noticed at once; of an adopted one, which is nobody's child, we ask from time to time.
 */
import { rmdir } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../../base/problem.ts';
import { type Credentials, databaseName, roleNames } from './cluster.ts';
import type { DirectoryLock } from './lock.ts';
import type { Places } from './places.ts';
import { spawnServer, stopServer } from './postmaster.ts';
import { isAlive, signal } from './processes.ts';
import { rotateCredentials } from './rotation.ts';
import type { ServerUser } from './server-user.ts';

export interface LogLine {
  level: 'debug' | 'info' | 'warn' | 'error';
  msg: string;
  [field: string]: unknown;
}

/** Options for a pool of `pg`. */
export interface ConnectionConfig {
  /** The socket's folder. */
  host: string;
  port: number;
  user: string;
  password: string;
  database: string;
}

export interface EmbeddedPostgres extends AsyncDisposable {
  /** Owns the database: for migrations, and for tests that create databases. */
  readonly owner: ConnectionConfig;
  /** For requests: the rows of one organization at a time. Neither superuser nor able to bypass row security. */
  readonly app: ConnectionConfig;
  /** For workers, sweepers and finding out who somebody is: the rows of all. Bypasses row security neither. */
  readonly system: ConnectionConfig;
  /** Superuser, for backups and for extensions that need one. */
  readonly admin: ConnectionConfig;
  /** The server's version, such as `18.4`. */
  readonly version: string;
  /** The running server; undefined for the moment between its death and its restart. */
  readonly pid: number | undefined;
  /** True when the server was left over from a killed process and taken over. */
  readonly adopted: boolean;
  /** The folder of the cluster, which need not be below the data directory. */
  readonly clusterDir: string;
  /** Sets new passwords for all roles. Connections that stand go on; whoever opens one asks for the password then. */
  rotatePasswords(): Promise<void>;
  /** Stops the server and frees the data directory. May be called again. */
  stop(): Promise<void>;
}

const watchEveryMs = 500;
const restartLimit = 6;
const healthyAfterMs = 60_000;

/** How one of the roles connects. */
export function connectionOf(
  host: string,
  role: keyof Credentials,
  credentials: Credentials,
): ConnectionConfig {
  return { host, port: 5432, user: roleNames[role], password: credentials[role], database: databaseName };
}

/** Resolves when a process that is not our child has ended. */
export async function whenGone(pid: number): Promise<void> {
  while (isAlive(pid)) await sleep(watchEveryMs, undefined, { ref: false });
}

export interface SupervisorSetup {
  places: Places;
  bin: string;
  user: ServerUser | undefined;
  socketDir: string;
  credentials: Credentials;
  lock: DirectoryLock;
  adopted: boolean;
  stopLimitMs: number;
  version: string;
  log: (line: LogLine) => void;
}

export class Supervisor implements EmbeddedPostgres {
  readonly version: string;
  readonly adopted: boolean;
  readonly clusterDir: string;
  #credentials: Credentials;
  readonly #setup: SupervisorSetup;
  #pid: number | undefined;
  #stopped: Promise<void> | undefined;
  #restarting: Promise<void> = Promise.resolve();
  /** Our process ending without stop() takes the server along. */
  readonly #onExit = () => {
    if (this.#pid !== undefined) signal(this.#pid, 'SIGINT');
  };

  constructor(setup: SupervisorSetup, server: { pid: number; ended: Promise<void> }) {
    this.#credentials = setup.credentials;
    this.version = setup.version;
    this.adopted = setup.adopted;
    this.clusterDir = setup.places.cluster;
    this.#setup = setup;
    process.once('exit', this.#onExit);
    this.#watch(server);
  }

  get owner(): ConnectionConfig {
    return connectionOf(this.#setup.socketDir, 'owner', this.#credentials);
  }

  get app(): ConnectionConfig {
    return connectionOf(this.#setup.socketDir, 'app', this.#credentials);
  }

  get system(): ConnectionConfig {
    return connectionOf(this.#setup.socketDir, 'system', this.#credentials);
  }

  get admin(): ConnectionConfig {
    return connectionOf(this.#setup.socketDir, 'admin', this.#credentials);
  }

  async rotatePasswords(): Promise<void> {
    this.#credentials = await rotateCredentials(this.#setup.places, this.admin);
  }

  get pid(): number | undefined {
    return this.#pid;
  }

  #watch(server: { pid: number; ended: Promise<void> }): void {
    this.#pid = server.pid;
    const since = performance.now();
    void server.ended.then(() => {
      this.#pid = undefined;
      if (this.#stopped !== undefined) return;
      this.#setup.log({
        level: 'error',
        msg: 'PostgreSQL ended by itself; starting it again',
        pid: server.pid,
      });
      this.#restarting = this.#restart(performance.now() - since > healthyAfterMs);
    });
  }

  #failures = 0;

  /** A server that keeps dying is given up after a few tries; its clients then see refused connections. */
  async #restart(wasHealthy: boolean): Promise<void> {
    if (wasHealthy) this.#failures = 0;
    const { places, bin, user, log } = this.#setup;
    while (this.#stopped === undefined && this.#failures < restartLimit) {
      const waitMs = this.#failures === 0 ? 0 : 100 * 2 ** this.#failures;
      this.#failures++;
      await sleep(waitMs);
      if (this.#stopped !== undefined) return;
      try {
        const server = await spawnServer(places, bin, user);
        log({ level: 'info', msg: 'PostgreSQL started again', pid: server.pid });
        this.#watch(server);
        return;
      } catch (error) {
        log({ level: 'error', msg: 'PostgreSQL did not start again', reason: messageOf(error) });
      }
    }
    if (this.#stopped === undefined)
      log({ level: 'error', msg: 'PostgreSQL keeps failing; giving up', log: places.log });
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    const { log, lock, socketDir, places, stopLimitMs } = this.#setup;
    await null; // So that #stopped is set before a restart in progress looks at it.
    await this.#restarting;
    const pid = this.#pid;
    if (pid !== undefined) {
      const how = await stopServer(pid, stopLimitMs);
      log({ level: how === 'fast' ? 'info' : 'warn', msg: 'PostgreSQL stopped', pid, how });
    }
    process.removeListener('exit', this.#onExit);
    if (!socketDir.startsWith(places.cluster)) await rmdir(socketDir).catch(() => {});
    await lock.release();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}
