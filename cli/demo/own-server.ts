/** The server of a demo: the one that runs on the local data, or one that is started for the demo and stopped with it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, open, readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { createClient } from '../../sdk/client.ts';
import { Problem } from '../../src/base/problem.ts';
import { readConfig } from '../../src/config.ts';
import type { Environment, Place } from '../places.ts';
import { findLocalServer } from '../places.ts';

export interface DemoServer {
  place: Place;
  /** Whether it was started here. */
  own: boolean;
  /** Ends the server if it was started here; work under way goes on at the next start. */
  stop(): Promise<void>;
}

const startMsMax = 180_000;
const stopMsMax = 30_000;
const pollMs = 50;

/** @throws Problem `server_start_failed` with the reason that the server gave. */
export async function openServer(
  env: Environment,
  tell: (sentence: string) => void,
  signal: AbortSignal,
): Promise<DemoServer> {
  const running = await findLocalServer(env);
  if (running) return { place: running, own: false, stop: async () => {} };
  tell('Starting Guildhall …');
  const { dataDir } = readConfig(env);
  const logFile = await makeLogFile(dataDir);
  const log = await open(logFile, 'w');
  const program = join(import.meta.dirname, 'server-process.ts');
  const child = spawn(process.execPath, [...process.execArgv, program], {
    env: { ...env, PORT: '0', HOST: '127.0.0.1', GUILDHALL_PUBLIC_URL: undefined },
    stdio: ['ignore', log.fd, log.fd, 'ipc'],
  });
  await log.close();
  const stop = () => stopServer(child);
  try {
    return { place: await untilReady(env, child, logFile, signal), own: true, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** The data directory lets other users pass through (sandboxes run as one), but not look. */
async function makeLogFile(dataDir: string): Promise<string> {
  try {
    await makeDirectory(dataDir, 0o711);
    await makeDirectory(join(dataDir, 'logs'), 0o700);
  } catch (error) {
    throw new Problem(
      'unavailable',
      'data_directory_unusable',
      `The data directory ${dataDir} cannot be used (${(error as NodeJS.ErrnoException).code}). Choose another with GUILDHALL_DATA.`,
    );
  }
  return join(dataDir, 'logs', 'demo-server.log');
}

/** Also its parents. Node's own `recursive` never returns where a directory cannot be made although its parent is there (/proc). */
async function makeDirectory(path: string, mode: number): Promise<void> {
  try {
    await mkdir(path, { mode });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return;
    const parent = dirname(path);
    if (code !== 'ENOENT' || (await stat(parent).catch(() => null))) throw error;
    await makeDirectory(parent, mode);
    await mkdir(path, { mode });
  }
}

async function untilReady(
  env: Environment,
  child: ChildProcess,
  logFile: string,
  signal: AbortSignal,
): Promise<Place> {
  const until = Date.now() + startMsMax;
  while (Date.now() < until) {
    signal.throwIfAborted();
    if (hasEnded(child)) break;
    const place = await findLocalServer(env);
    if (place && place.pid === child.pid) {
      const ready = await createClient(place)
        .GET('/readyz')
        .catch(() => null);
      if (ready?.data) return place;
    }
    await wait(pollMs);
  }
  const reason = reasonIn(await readFile(logFile, 'utf8').catch(() => ''));
  throw new Problem(
    'unavailable',
    'server_start_failed',
    `The server did not start${reason ? `: ${reason}` : '.'} Its log is ${logFile}.`,
  );
}

/** The sentence with which the server ended, or the end of its log. */
function reasonIn(log: string): string {
  const lines = log.trim().split('\n');
  const from = lines.findLastIndex(line => line.startsWith('guildhall: '));
  return from >= 0 ? lines.slice(from).join('\n').slice('guildhall: '.length) : lines.slice(-5).join('\n');
}

const hasEnded = (child: ChildProcess): boolean => child.exitCode !== null || child.signalCode !== null;

async function stopServer(child: ChildProcess): Promise<void> {
  if (hasEnded(child)) return;
  const ended = new Promise<void>(resolve => child.once('exit', () => resolve()));
  if (child.connected) child.disconnect();
  const timer = setTimeout(() => child.kill('SIGKILL'), stopMsMax);
  await ended;
  clearTimeout(timer);
}
