/**
 * One running server process: started, found, waited for, stopped.
 *
 * The server is its own session leader, so that Ctrl-C in a terminal reaches only us and we decide when it stops,
 * and it writes its log to a file rather than to a pipe of ours, so that it outlives us after a kill -9. The next
 * start then finds it through its postmaster.pid.
 */
import { spawn } from 'node:child_process';
import { open, readFile, realpath, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Problem } from '../../base/problem.ts';
import { serverEnv } from './cluster.ts';
import { giveToOwnerOf, readIfThere } from './files.ts';
import { diskFull, type Places } from './places.ts';
import { commandLine, isAlive, signal, waitUntil, workingDirectory } from './processes.ts';
import type { ServerUser } from './server-user.ts';

const logLimitBytes = 10 * 1024 * 1024;
const startLimitMs = 300_000; // Recovery after a crash reads the whole write-ahead log; a live process is given time.
const sharedMemoryWaitMs = 30_000;
const immediateLimitMs = 8_000; // PostgreSQL itself kills its children after five seconds.

interface PidFile {
  pid: number;
  socketDir: string;
  status: string;
}

/** What postmaster.pid says: https://www.postgresql.org/docs/18/storage-file-layout.html */
async function readPidFile(data: string): Promise<PidFile | undefined> {
  const text = await readIfThere(join(data, 'postmaster.pid'));
  if (text === undefined) return undefined;
  const lines = text.split('\n').map(line => line.trim());
  const pid = Math.abs(Number(lines[0]));
  if (!Number.isInteger(pid) || pid === 0) return undefined;
  return { pid, socketDir: lines[4] ?? '', status: lines[7] ?? '' };
}

/** The server that runs on this cluster although nobody of ours started it. */
export interface Orphan extends PidFile {
  /** The line it was started with, which tells the version of its program. */
  command: string;
}

/**
 * Finds a server left over from a killed Guildhall. A postmaster.pid whose process is gone, or is a different
 * program, is no server; the latter file is removed, as PostgreSQL itself would take the stranger for its own.
 */
export async function findOrphan(places: Places): Promise<Orphan | undefined> {
  const found = await readPidFile(places.data);
  if (found === undefined || !isAlive(found.pid)) return undefined;
  const command = (await commandLine(found.pid)) ?? '';
  const cwd = await workingDirectory(found.pid);
  const here = await realpath(places.data);
  const ours = cwd === undefined ? command.includes(here) : cwd === here;
  if (ours && command.includes('postgres')) return { ...found, command };
  await rm(join(places.data, 'postmaster.pid'), { force: true });
  return undefined;
}

/** Waits for a running server until it takes connections; false when it ends or is ending. */
export async function isReady(places: Places, pid: number): Promise<boolean> {
  let status = '';
  const settled = async () => {
    const file = await readPidFile(places.data);
    status = file?.pid === pid && isAlive(pid) ? file.status : 'gone';
    return status !== 'starting';
  };
  return (await waitUntil(settled, startLimitMs)) && status === 'ready';
}

/** Starts the server and waits until it takes connections. Gives its pid and when it ended. */
export async function spawnServer(
  places: Places,
  bin: string,
  user: ServerUser | undefined,
): Promise<{ pid: number; ended: Promise<void> }> {
  const deadline = performance.now() + sharedMemoryWaitMs;
  for (let waitMs = 50; ; waitMs = Math.min(waitMs * 2, 1000)) {
    const attempt = await trySpawn(places, bin, user);
    if ('pid' in attempt) return attempt;
    // Children of a killed server go on for a moment and hold its shared memory: wait for them.
    const passing = /pre-existing shared memory block|lock file "[^"]*" already exists/.test(attempt.log);
    if (!passing || performance.now() > deadline) throw startProblem(places, attempt.log);
    await new Promise(resolve => setTimeout(resolve, waitMs));
  }
}

async function trySpawn(
  places: Places,
  bin: string,
  user: ServerUser | undefined,
): Promise<{ pid: number; ended: Promise<void> } | { log: string }> {
  const log = await openLog(places);
  const from = (await log.stat()).size;
  let child: ReturnType<typeof spawn>;
  try {
    child = spawn(join(bin, 'postgres'), ['-D', places.data], {
      ...user,
      cwd: '/',
      env: serverEnv,
      detached: true,
      stdio: ['ignore', log.fd, log.fd],
    });
    await new Promise<void>((resolve, reject) => child.once('spawn', resolve).once('error', reject));
  } finally {
    await log.close();
  }
  child.unref();
  const pid = child.pid!;
  let over = false;
  const ended = new Promise<void>(resolve =>
    child.once('exit', () => {
      over = true;
      resolve();
    }),
  );
  const ready = async () => {
    const file = await readPidFile(places.data).catch(() => undefined);
    return over || (file?.pid === pid && file.status === 'ready');
  };
  const inTime = await waitUntil(ready, startLimitMs, 10);
  if (inTime && !over) return { pid, ended };
  if (!over) {
    await stopServer(pid, 10_000);
    throw startProblem(places, `FATAL: it was not ready after ${startLimitMs / 1000} s`);
  }
  return { log: (await readFile(places.log)).subarray(from).toString('utf8') };
}

/** The log for appending; begun anew when it has grown large, keeping the one before. */
async function openLog(places: Places) {
  const size = await stat(places.log).then(
    found => found.size,
    () => 0,
  );
  if (size > logLimitBytes) await rename(places.log, `${places.log}.1`);
  const handle = await open(places.log, 'a', 0o600);
  await giveToOwnerOf(places.home, handle);
  return handle;
}

function startProblem(places: Places, log: string): Problem {
  if (log.includes('No space left on device')) return diskFull(places.dataDir);
  const reason = /(?:FATAL|PANIC):\s*(.*)/.exec(log)?.[1] ?? 'it ended at once';
  return new Problem(
    'unavailable',
    'embedded_postgres_failed',
    `PostgreSQL did not start: ${reason.trim()}. Its log is ${places.log}.`,
    { cause: new Error(log.slice(-4000)) },
  );
}

/** Stops a server and gives how: fast, which ends its sessions, then immediate, then by force. */
export async function stopServer(pid: number, fastLimitMs: number): Promise<'fast' | 'immediate' | 'killed'> {
  const gone = () => !isAlive(pid);
  signal(pid, 'SIGINT');
  if (await waitUntil(gone, fastLimitMs)) return 'fast';
  signal(pid, 'SIGQUIT');
  if (await waitUntil(gone, immediateLimitMs)) return 'immediate';
  signal(pid, 'SIGKILL');
  await waitUntil(gone, immediateLimitMs);
  return 'killed';
}
