/**
 * A real Redis or Valkey server for tests, where its program is installed: in memory only, on a free port of
 * 127.0.0.1. It can be stopped in the middle and started again at the same address.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { until } from './processes.ts';

const programs = ['redis-server', 'valkey-server', 'redis-check-rdb'];

/** The first of the programs on the path. Debian's redis-check-rdb is the server under another name. */
export const redisProgram: string | null =
  programs
    .flatMap(name => (process.env.PATH ?? '').split(':').map(directory => join(directory, name)))
    .find(isExecutable) ?? null;

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

export interface TestRedis extends AsyncDisposable {
  url: string;
  stop(): Promise<void>;
  /** After `stop`: again at the same address, and empty. */
  start(): Promise<void>;
}

export async function startRedis(): Promise<TestRedis> {
  const port = await freePort();
  let child: ChildProcess | null = null;
  const stop = async () => {
    const ending = child;
    child = null;
    if (!ending || ending.exitCode !== null) return;
    const gone = new Promise<void>(resolve => ending.once('exit', () => resolve()));
    ending.kill('SIGKILL');
    await gone;
  };
  const start = async () => {
    let output = '';
    const args = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'];
    const made = spawn(redisProgram as string, args, {
      argv0: 'redis-server',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    made.stdout?.on('data', chunk => (output += chunk));
    child = made;
    await until('Redis takes connections', 20_000, () => {
      if (made.exitCode !== null) throw new Error(`Redis ended:\n${output}`);
      return output.includes('Ready to accept connections');
    });
  };
  await start();
  return { url: `redis://127.0.0.1:${port}`, stop, start, [Symbol.asyncDispose]: stop };
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
