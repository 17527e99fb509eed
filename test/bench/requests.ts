/**
 * What an authenticated request costs the server, over HTTP and in a process of its own: reading a task and writing a
 * budget, with row-level security and, in the same run and by turns, with its policies taken away. Beside it what a
 * transaction within an organization costs over a plain query.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
// @ts-expect-error: it comes without types.
import cannon from 'autocannon';
import pg from 'pg';
import { defaultQuotas } from '../../src/base/limits.ts';
import { createApiKey } from '../../src/features/identity/api-keys.ts';
import type { Installation } from '../../src/features/identity/installation.ts';
import { scopes } from '../../src/features/identity/permissions.ts';
import { transact } from '../../src/platform/db/db.ts';
import { openTestDatabase, type TestDatabase } from '../harness/database.ts';

const seconds = 3;
const rounds = 3;
const connections = 10;

interface Result {
  '2xx': number;
  non2xx: number;
  errors: number;
  /** Seconds. */
  duration: number;
  latency: { p50: number };
}
const autocannon = cannon as (options: object) => Promise<Result>;

export interface Server extends AsyncDisposable {
  url: string;
  key: string;
  database: TestDatabase;
  installation: Installation;
  cpuMicros(): Promise<number>;
}

/** @param settings of the environment, for whoever compares others. */
export async function startServer(options: {
  policies: boolean;
  settings?: Record<string, string>;
}): Promise<Server> {
  const database = await openTestDatabase();
  if (!options.policies) await takePoliciesAway(database);
  const dataDir = await mkdtemp(join(tmpdir(), 'guildhall-bench-'));
  const { owner, app, system } = database;
  const noLimits = Object.keys(defaultQuotas)
    .map(name => `${name}=100000000`)
    .join();
  const settings = { GUILDHALL_DATA: dataDir, GUILDHALL_LIMITS: noLimits, ...options.settings };
  const child = fork(join(import.meta.dirname, 'serve.ts'), {
    env: { PATH: process.env.PATH, BENCH: JSON.stringify({ database: { owner, app, system }, settings }) },
    execArgv: ['--disable-warning=ExperimentalWarning'],
  });
  const { url, installation } = await answerOf<{ url: string; installation: Installation }>(child);
  const actor = { id: 'system', organizationId: installation.organizationId, requestId: 'bench' };
  const { key } = await transact(database.db, tx =>
    createApiKey(
      tx,
      actor,
      new Date(),
      { memberId: installation.ownerId },
      { name: 'bench', scopes: [...scopes], expiresAt: null },
    ),
  );
  return {
    url,
    key,
    database,
    installation,
    cpuMicros: async () => {
      child.send('cpu');
      const { cpu } = await answerOf<{ cpu: NodeJS.CpuUsage }>(child);
      return cpu.user + cpu.system;
    },
    async [Symbol.asyncDispose]() {
      const gone = new Promise(resolve => child.once('exit', resolve));
      child.disconnect();
      await gone;
      await database[Symbol.asyncDispose]();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

const answerOf = <T>(child: ChildProcess): Promise<T> =>
  new Promise((resolve, reject) => {
    const ended = (code: number | null) => reject(new Error(`the server ended with ${code}`));
    child.once('exit', ended);
    child.once('message', message => {
      child.off('exit', ended);
      resolve(message as T);
    });
  });

async function takePoliciesAway(database: TestDatabase): Promise<void> {
  const owner = new pg.Client(database.owner as pg.ClientConfig);
  await owner.connect();
  await owner.query(`do $$ declare t record; begin
    for t in select oid::regclass as name from pg_class where relrowsecurity and relkind = 'r' and relnamespace = 'public'::regnamespace loop
      execute format('alter table %s disable row level security', t.name);
    end loop; end $$`);
  await owner.end();
}

export interface Load {
  cpuMicrosPerRequest: number;
  perSecond: number;
  p50Ms: number;
}

/** A few seconds of one request, over and over. @throws Error when an answer is not 2xx. */
export async function load(
  server: Server,
  request: { method: 'GET' | 'PUT'; path: string; body?: object },
): Promise<Load> {
  const before = await server.cpuMicros();
  const result = await autocannon({
    url: `${server.url}${request.path}`,
    method: request.method,
    headers: {
      authorization: `Bearer ${server.key}`,
      ...(request.body ? { 'content-type': 'application/json' } : {}),
    },
    body: request.body ? JSON.stringify(request.body) : undefined,
    connections,
    duration: seconds,
  });
  const used = (await server.cpuMicros()) - before;
  const total = result['2xx'];
  if (result.non2xx > 0 || result.errors > 0 || total === 0)
    throw new Error(`${request.method} ${request.path}: ${result.non2xx} refused, ${result.errors} failed`);
  return { cpuMicrosPerRequest: used / total, perSecond: total / result.duration, p50Ms: result.latency.p50 };
}

async function makeTask(server: Server): Promise<string> {
  const response = await fetch(`${server.url}/api/v1/tasks`, {
    method: 'POST',
    headers: { authorization: `Bearer ${server.key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ request: 'Be read often.' }),
  });
  const body = (await response.json()) as { id: string };
  if (response.status !== 200) throw new Error(JSON.stringify(body));
  return body.id;
}

const median = (values: number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;

export async function measureRequests(): Promise<void> {
  await using secured = await startServer({ policies: true });
  await using open = await startServer({ policies: false });
  const kinds = new Map<string, (server: Server, task: string) => Promise<Load>>([
    ['who am I', server => load(server, { method: 'GET', path: '/api/v1/me' })],
    ['read a task', (server, task) => load(server, { method: 'GET', path: `/api/v1/tasks/${task}` })],
    ['list tasks', server => load(server, { method: 'GET', path: '/api/v1/tasks' })],
    [
      'write a budget',
      (server, task) =>
        load(server, {
          method: 'PUT',
          path: '/api/v1/budgets',
          body: { scope: 'task', scope_id: task, limit_usd: 1 },
        }),
    ],
  ]);
  const [securedTask, openTask] = [await makeTask(secured), await makeTask(open)];
  console.log(
    `authenticated requests, ${connections} connections, CPU of the server, median of ${rounds} rounds by turns`,
  );
  for (const [name, run] of kinds) {
    await run(secured, securedTask);
    await run(open, openTask);
    const [on, off]: [Load[], Load[]] = [[], []];
    for (let round = 0; round < rounds; round++) {
      on.push(await run(secured, securedTask));
      off.push(await run(open, openTask));
    }
    const of = (loads: Load[], key: keyof Load) => median(loads.map(one => one[key]));
    const ratio = median(on.map((one, i) => one.cpuMicrosPerRequest / (off[i]?.cpuMicrosPerRequest ?? 1)));
    const wall = median(on.map((one, i) => (off[i]?.perSecond ?? 1) / one.perSecond));
    console.log(
      `  ${name.padEnd(16)} ${of(on, 'cpuMicrosPerRequest').toFixed(0).padStart(5)} µs CPU  ${of(on, 'perSecond').toFixed(0).padStart(5)}/s` +
        `   without policies ${of(off, 'cpuMicrosPerRequest').toFixed(0).padStart(5)} µs  ${of(off, 'perSecond').toFixed(0).padStart(5)}/s` +
        `   ratio CPU ${ratio.toFixed(2)}, time ${wall.toFixed(2)}`,
    );
  }
  await measureScoping(secured.database, secured.installation.organizationId);
}

/** A read of one row, plain and within an organization, in this process. */
export async function measureScoping(database: TestDatabase, organizationId: string): Promise<void> {
  const plain = () =>
    database.db.selectFrom('projects').select('name').where('organization_id', '=', organizationId).execute();
  const scoped = () =>
    database.tenants.within({ organizationId }, tx =>
      tx.selectFrom('projects').select('name').where('organization_id', '=', organizationId).execute(),
    );
  const times = async (work: () => Promise<unknown>): Promise<{ cpu: number; wall: number }> => {
    const count = 2_000;
    const [cpu, began] = [process.cpuUsage(), performance.now()];
    for (let i = 0; i < count; i++) await work();
    const used = process.cpuUsage(cpu);
    return { cpu: (used.user + used.system) / count, wall: ((performance.now() - began) * 1_000) / count };
  };
  await times(plain);
  await times(scoped);
  const found = {
    plain: [] as Awaited<ReturnType<typeof times>>[],
    scoped: [] as Awaited<ReturnType<typeof times>>[],
  };
  for (let round = 0; round < 5; round++) {
    found.plain.push(await times(plain));
    found.scoped.push(await times(scoped));
  }
  const show = (of: { cpu: number; wall: number }[]) =>
    `${median(of.map(one => one.cpu)).toFixed(0)} µs CPU, ${median(of.map(one => one.wall)).toFixed(0)} µs`;
  console.log(`  one query: plain ${show(found.plain)}; within an organization ${show(found.scoped)}`);
}
