/** A whole Guildhall in this process, on its own database and data directory, with a local API. */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import pino from 'pino';
import { type App, type AppOptions, createApp, type Role } from '../../src/app.ts';
import { readConfig } from '../../src/config.ts';
import { createApiKey } from '../../src/features/identity/api-keys.ts';
import { scopes } from '../../src/features/identity/permissions.ts';
import { transact } from '../../src/platform/db/db.ts';
import { openTestDatabase, type TestDatabase } from './database.ts';

export interface TestApp extends AsyncDisposable {
  app: App;
  database: TestDatabase;
  key: string;
  dataDir: string;
  /** Calls the API with the key. */
  api<T = Record<string, unknown>>(
    method: string,
    path: string,
    body?: unknown,
    headers?: Record<string, string>,
  ): Promise<{ status: number; body: T; headers: Headers }>;
  /** Waits until a task is in one of the states; fails after `limitMs`. */
  // biome-ignore lint/suspicious/noExplicitAny: a row of tasks, whose columns each test knows.
  untilTask(id: string, states: string[], limitMs?: number): Promise<Record<string, any>>;
}

export interface TestAppOptions
  extends Partial<Pick<AppOptions, 'modelDrivers' | 'sandboxDriver' | 'clock' | 'log'>> {
  roles?: Role[];
  env?: Record<string, string>;
  database?: TestDatabase;
}

/** One for all servers of a test file: several may work on one database. */
export const testMasterKey: string = randomBytes(32).toString('base64');

export async function startTestApp(options: TestAppOptions = {}): Promise<TestApp> {
  const database = options.database ?? (await openTestDatabase());
  const dataDir = await mkdtemp(join(tmpdir(), 'guildhall-data-'));
  const config = readConfig({
    GUILDHALL_DATA: dataDir,
    GUILDHALL_MASTER_KEY: testMasterKey,
    PORT: '0',
    GUILDHALL_LEASE_SECONDS: '3',
    ...options.env,
  });
  const app = await createApp({
    config,
    roles: options.roles ?? ['api', 'worker', 'sweeper'],
    log: options.log ?? pino({ level: 'silent' }),
    clock: options.clock,
    database,
    modelDrivers: options.modelDrivers,
    sandboxDriver: options.sandboxDriver,
  });
  const { organizationId, ownerId } = app.installation;
  const { key } = await transact(database.db, tx =>
    createApiKey(
      tx,
      { id: 'system', organizationId, requestId: 'test' },
      new Date(),
      { memberId: ownerId },
      { name: 'test', scopes: [...scopes], expiresAt: null },
    ),
  );
  const api: TestApp['api'] = async (method, path, body, headers = {}) => {
    const response = await fetch(`${app.url}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${key}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await response.text();
    return {
      status: response.status,
      body: (text === '' ? null : JSON.parse(text)) as never,
      headers: response.headers,
    };
  };
  const untilTask: TestApp['untilTask'] = async (id, states, limitMs = 60_000) => {
    const end = Date.now() + limitMs;
    for (;;) {
      const task = await database.db
        .selectFrom('tasks')
        .selectAll()
        .where('id', '=', id)
        .executeTakeFirstOrThrow();
      if (states.includes(task.state)) return task;
      if (Date.now() > end)
        throw new Error(
          `task ${id} is ${task.state} (${task.state_reason ?? ''}), not ${states.join(' or ')}`,
        );
      await new Promise(resolve => setTimeout(resolve, 25));
    }
  };
  return {
    app,
    database,
    key,
    dataDir,
    api,
    untilTask,
    [Symbol.asyncDispose]: async () => {
      await app.close();
      await app.workshop.driver.removeDirectory(join(dataDir, 'work')).catch(() => {});
      await rm(dataDir, { recursive: true, force: true });
      if (!options.database) await database[Symbol.asyncDispose]();
    },
  };
}

const run = promisify(execFile);

/** A git repository with these files in one commit; removed by the caller. */
export async function makeRepository(files: Record<string, string>): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'guildhall-repository-'));
  // Readable for the sandbox's user, as repositories usually are.
  await chmod(directory, 0o755);
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(directory, path)), { recursive: true });
    await writeFile(join(directory, path), content);
  }
  await git(directory, 'init', '-q', '-b', 'main');
  await git(directory, 'add', '-A');
  await git(directory, 'commit', '-q', '-m', 'Begin');
  return directory;
}

export async function git(directory: string, ...args: string[]): Promise<string> {
  const { stdout } = await run(
    'git',
    ['-c', 'user.name=Test', '-c', 'user.email=test@example.com', ...args],
    { cwd: directory },
  );
  return stdout.trim();
}

/** A small repository whose test fails: `add` subtracts. */
export const brokenAdd: Record<string, string> = {
  'package.json': '{"name":"sums","type":"module","scripts":{"test":"node --test"}}\n',
  'sum.js': 'export function add(a, b) {\n  return a - b;\n}\n',
  'sum.test.js':
    "import test from 'node:test';\nimport assert from 'node:assert/strict';\nimport { add } from './sum.js';\n\ntest('adds', () => {\n  assert.equal(add(2, 3), 5);\n});\n",
};
