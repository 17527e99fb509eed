/**
 * Guildhall as real processes, for tests that kill, freeze and stop them. Each is `node src/main.ts <role>` with an
 * environment of its own; signals go to exactly the processes that were started here.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Role } from '../../src/app.ts';
import type { PoolSettings } from '../../src/platform/db/db.ts';
import { startTestApp, type TestApp, testMasterKey } from './app.ts';

const program = join(import.meta.dirname, '../../src/main.ts');

export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

export interface GuildhallProcess extends AsyncDisposable {
  pid: number;
  exited: Promise<Exit>;
  /** Everything that it has written so far: its log and what it told people. */
  output(): string;
  signal(name: NodeJS.Signals): void;
  /** SIGKILL, and waits until it is gone. */
  kill(): Promise<void>;
}

export function spawnGuildhall(command: Role | 'all', env: Record<string, string>): GuildhallProcess {
  const child: ChildProcess = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', program, command],
    { env: { PATH: process.env.PATH ?? '', HOME: '/', ...env }, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let text = '';
  child.stdout?.on('data', chunk => (text += chunk));
  child.stderr?.on('data', chunk => (text += chunk));
  const exited = new Promise<Exit>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code, signal }));
  });
  const signal = (name: NodeJS.Signals): void => void child.kill(name);
  const kill = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) signal('SIGKILL');
    await exited;
  };
  return { pid: child.pid as number, exited, output: () => text, signal, kill, [Symbol.asyncDispose]: kill };
}

/** An API in this process, and workers and sweepers as processes beside it, on one database and data directory. */
export interface Fleet extends AsyncDisposable {
  guildhall: TestApp;
  /** Starts one and waits until it takes work. */
  start(role: 'worker' | 'sweeper'): Promise<GuildhallProcess>;
  /** One that was started here. */
  processOf(pid: number): GuildhallProcess;
  /** The process of the worker that holds a run now. */
  holderOf(runId: string): Promise<GuildhallProcess>;
  /** The process that a job of the queue is locked by now; waits until there is one. */
  lockerOf(jobName: string): Promise<GuildhallProcess>;
}

export interface FleetOptions {
  /** Base URL of the OpenAI-compatible model server. */
  modelUrl: string;
  env?: Record<string, string>;
}

export async function startFleet(options: FleetOptions): Promise<Fleet> {
  const env = {
    GUILDHALL_LEASE_SECONDS: '2',
    GUILDHALL_MASTER_KEY: testMasterKey,
    GUILDHALL_MODEL: 'openai-compatible/test',
    OPENAI_BASE_URL: options.modelUrl,
    ...options.env,
  };
  const guildhall = await startTestApp({ roles: ['api'], env });
  const { database, dataDir } = guildhall;
  const processes = new Set<GuildhallProcess>();
  const processOf = (pid: number): GuildhallProcess => {
    const found = [...processes].find(process => process.pid === pid);
    if (!found) throw new Error(`process ${pid} was not started here`);
    return found;
  };
  const workerPid = async (column: 'id' | 'queue_worker_ids', value: string): Promise<number> => {
    const workers = await database.db.selectFrom('workers').selectAll().execute();
    const worker = workers.find(w => (column === 'id' ? w.id === value : w.queue_worker_ids.includes(value)));
    if (!worker) throw new Error(`there is no worker with ${column} ${value}`);
    return worker.pid;
  };
  return {
    guildhall,
    processOf,
    async start(role) {
      const made = spawnGuildhall(role, {
        ...env,
        GUILDHALL_DATA: dataDir,
        DATABASE_URL: connectionUrl(database.owner),
      });
      processes.add(made);
      await until(`the ${role} is ready`, 60_000, async () => {
        if (await hasEnded(made)) throw new Error(`the ${role} ended:\n${made.output()}`);
        if (role === 'sweeper') return made.output().includes('"message":"ready"');
        const row = await database.db
          .selectFrom('workers')
          .select('queue_worker_ids')
          .where('pid', '=', made.pid)
          .where('state', '=', 'active')
          .executeTakeFirst();
        return (row?.queue_worker_ids.length ?? 0) > 0;
      });
      return made;
    },
    async holderOf(runId) {
      const run = await until(`${runId} is held`, 10_000, () =>
        database.db
          .selectFrom('runs')
          .select('worker_id')
          .where('id', '=', runId)
          .where('worker_id', 'is not', null)
          .executeTakeFirst(),
      );
      return processOf(await workerPid('id', run.worker_id as string));
    },
    async lockerOf(jobName) {
      const { rows } = await until(`a job ${jobName} is taken`, 10_000, async () => {
        const found = await database.pool.query(
          'select locked_by from graphile_worker.jobs where task_identifier = $1 and locked_by is not null',
          [jobName],
        );
        return found.rows.length > 0 ? found : null;
      });
      return processOf(await workerPid('queue_worker_ids', rows[0].locked_by));
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([...processes].map(process => process.kill()));
      await guildhall[Symbol.asyncDispose]();
    },
  };
}

const hasEnded = (process: GuildhallProcess): Promise<boolean> =>
  Promise.race([process.exited.then(() => true), sleep(0, false)]);

/** A connection URL for a server on a unix socket. */
export function connectionUrl(settings: PoolSettings): string {
  const { user, password, host, port, database } = settings;
  const secret = encodeURIComponent(String(password));
  return `postgres://${user}:${secret}@/${database}?host=${encodeURIComponent(String(host))}&port=${port}`;
}

/** Asks until the answer is truthy. @throws Error that says what did not come true in time. */
export async function until<T>(
  what: string,
  limitMs: number,
  ask: () => T | Promise<T>,
): Promise<NonNullable<T>> {
  const end = performance.now() + limitMs;
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    if (performance.now() > end) throw new Error(`not within ${limitMs} ms: ${what}`);
    await sleep(10);
  }
}

/** Pids of the processes on this machine whose command line has these words in a row. */
export function processesWith(...words: string[]): number[] {
  const wanted = words.join('\0');
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .map(Number)
    .filter(pid => {
      try {
        return `\0${readFileSync(`/proc/${pid}/cmdline`, 'utf8')}`.includes(`\0${wanted}\0`);
      } catch {
        return false; // Ended meanwhile.
      }
    });
}
