/** What the tests of the embedded server share: scratch folders, a server in another process, and queries. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chmod, cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, sep } from 'node:path';
import { createInterface } from 'node:readline';
import pg from 'pg';
import type { Problem } from '../../base/problem.ts';
import { findPackage } from './binaries.ts';
import type { ConnectionConfig, LogLine } from './supervisor.ts';

export const isRoot = process.getuid?.() === 0;

/** A folder in /tmp that everybody may pass, deleted with what the server's user put there. */
export async function makeScratch(): Promise<{ dir: string; remove: () => Promise<void> }> {
  const dir = await mkdtemp('/tmp/ghpg-');
  await chmod(dir, 0o755);
  // An initdb whose parent was killed goes on writing for a moment.
  return { dir, remove: () => rm(dir, { recursive: true, force: true, maxRetries: 30, retryDelay: 50 }) };
}

export interface Ready {
  pid: number;
  adopted: boolean;
  owner: ConnectionConfig;
  app: ConnectionConfig;
}

export interface Held {
  child: ChildProcess;
  /** Resolves when the server is ready; rejects with what the program said instead. */
  ready: Promise<Ready>;
  logs: LogLine[];
  problem: { code: string; message: string } | undefined;
  ended: Promise<void>;
}

export interface HoldOptions {
  dataDir: string;
  systemDir: string;
  user?: { uid: number; gid: number };
  node?: string;
  program?: string;
  onLog?: (line: LogLine) => void;
}

/** Starts the server in a process of its own, which a test may kill. */
export function hold(options: HoldOptions): Held {
  const program = options.program ?? join(import.meta.dirname, 'start-and-hold.ts');
  const args = ['--disable-warning=ExperimentalWarning', program, options.dataDir, options.systemDir];
  const stdio: ['ignore', 'pipe', 'inherit'] = ['ignore', 'pipe', 'inherit'];
  const child = spawn(options.node ?? process.execPath, args, { stdio, cwd: '/', env: {}, ...options.user });
  const ready = Promise.withResolvers<Ready>();
  ready.promise.catch(() => {}); // A test that kills the program early does not wait for it.
  const ended = new Promise<void>(resolve => child.once('close', () => resolve()));
  const held: Held = { child, ready: ready.promise, logs: [], problem: undefined, ended };
  createInterface({ input: child.stdout }).on('line', text => {
    const line = JSON.parse(text) as { ready?: Ready; log?: LogLine; problem?: Held['problem'] };
    if (line.ready) ready.resolve(line.ready);
    if (line.log) {
      held.logs.push(line.log);
      options.onLog?.(line.log);
    }
    if (line.problem) held.problem = line.problem;
  });
  void ended.then(() => ready.reject(new Error(`the program ended: ${JSON.stringify(held.problem)}`)));
  return held;
}

/** Runs one statement on a connection of its own. */
export async function ask(config: ConnectionConfig, sql: string, values: unknown[] = []): Promise<unknown[]> {
  const client = new pg.Client(config);
  client.on('error', () => {});
  await client.connect();
  try {
    return (await client.query(sql, values)).rows;
  } finally {
    await client.end();
  }
}

/** For assert.rejects: a Problem with this code, and a sentence that matches. */
export function problem(code: string, title: RegExp): (error: unknown) => boolean {
  return error => {
    const { name, code: found, message } = error as Problem;
    if (name !== 'Problem' || found !== code || !title.test(message)) throw error;
    return true;
  };
}

/** Where an ordinary user can run this code: here when he can come here, else a copy of what it needs. */
export async function codeFor(
  uid: number,
  gid: number,
  dir: string,
): Promise<{ node: string; program: string }> {
  const program = join(import.meta.dirname, 'start-and-hold.ts');
  const mine = { node: process.execPath, program };
  try {
    execFileSync(mine.node, ['-e', `require('fs').readFileSync(${JSON.stringify(program)})`], {
      uid,
      gid,
      cwd: '/',
    });
    return mine;
  } catch {
    // Not from here: a checkout or a Node below a private folder.
  }
  const root = join(import.meta.dirname, '..', '..', '..');
  for (const part of ['package.json', 'src/base', 'src/platform/embedded', ...(await packagesNeeded(root))]) {
    await cp(join(root, part), join(dir, part), { recursive: true });
  }
  await cp(process.execPath, join(dir, 'node'));
  execFileSync('chmod', ['-R', 'a+rX', dir]);
  return { node: join(dir, 'node'), program: join(dir, 'src/platform/embedded/start-and-hold.ts') };
}

async function packagesNeeded(root: string): Promise<string[]> {
  const found = new Set([(await findPackage()).dir]);
  const visit = async (name: string, from: string): Promise<void> => {
    let dir = dirname(createRequire(from).resolve(name));
    while (!dir.endsWith(join('node_modules', name))) dir = dirname(dir);
    if (found.has(dir)) return;
    found.add(dir);
    const { dependencies = {} } = JSON.parse(await readFile(join(dir, 'package.json'), 'utf8'));
    for (const each of Object.keys(dependencies)) await visit(each, join(dir, 'package.json'));
  };
  await visit('pg', join(root, 'package.json'));
  return [...found].map(dir => dir.slice(root.length + sep.length - 1));
}
