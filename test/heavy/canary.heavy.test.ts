/**
 * Canary secrets in everything that a server is given, at log level debug, through everything it does: the main job
 * with a model that repeats keys, faults of the provider that quote them, requests of all sorts, a task that prints
 * them. Nothing that leaves may have one: logs, answers, events, steps, audit, the database, the files.
 */
import assert from 'node:assert/strict';
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { removeEmbeddedPostgres } from '../../src/platform/embedded/postgres.ts';
import { brokenAdd, makeRepository } from '../harness/app.ts';
import { call, type Turn } from '../harness/model.ts';
import { type GuildhallProcess, spawnGuildhall, until } from '../harness/processes.ts';
import { type Provider, type Received, startProvider } from '../harness/provider/provider.ts';
import type { Reply } from '../harness/provider/script.ts';
import { dumpDatabase, newCanary, searchFiles, shownIn } from './canaries.ts';

const canaries: Record<string, string> = {
  providerKey: newCanary('sk-canary-'),
  organizationKey: newCanary('sk-ant-canary-'),
  replacedSecret: newCanary('replaced-'),
  revokedSecret: newCanary('revoked-'),
  bearer: newCanary('ghk_'),
  cookie: newCanary('ghs_'),
  link: newCanary('ghl_'),
  inAddress: newCanary('pw-'),
  environment: newCanary('env-canary-'),
};
const { providerKey: key = '', organizationKey = '' } = canaries;

let dataDir: string;
let repository: string;
let provider: Provider;
let server: GuildhallProcess;
let address: { url: string; key: string };
/** Every answer that the server gave, with where. */
const answers: { from: string; text: string }[] = [];

/** The key as a careless model, tool or proxy repeats it. */
const repeated = (): string =>
  [
    `The key is ${key}.`,
    `Authorization: Bearer ${key}`,
    `echo ${Buffer.from(`user:${key}`).toString('base64')}`,
    Buffer.from(key).toString('hex').toUpperCase(),
    `https://user:${encodeURIComponent(key)}@example.com/?k=${encodeURIComponent(key)}`,
    JSON.stringify({ nested: JSON.stringify({ key }) }),
    key.replace(/.{11}/g, '$&\n'),
  ].join('\n');

/** A team that prints what it can, and gives up. */
function turnOf(request: Received): Turn {
  const messages = request.body.messages as { role: string; content?: unknown }[];
  const system = String(messages.find(message => message.role === 'system')?.content);
  const turn = messages.filter(message => message.role === 'assistant').length;
  if (/^Role: lead$/m.test(system)) {
    if (JSON.stringify(messages).includes('Hand it in'))
      return { calls: [call('submit_result', { decision: 'done', summary: repeated() })] };
    const delegate = {
      assignee: 'coder',
      title: `Print ${key}`,
      objective: repeated(),
      acceptance_criteria: [key],
    };
    if (turn === 0) return { text: repeated(), calls: [call('delegate', delegate)] };
    return { calls: [call('submit_result', { decision: 'gave_up', summary: repeated() })] };
  }
  const turns: Turn[] = [
    { calls: [call('decide_assignment', { decision: 'accept' })] },
    {
      text: repeated(),
      calls: [
        call('run_command', {
          command: `env; cat /proc/1/environ; cat leak.txt; base64 leak.txt; curl -u x:${key} http://127.0.0.1:1`,
        }),
        call('read_file', { path: 'leak.txt' }),
        call('write_file', { path: 'notes.txt', content: repeated() }),
        call('search_files', { pattern: key.slice(0, 12) }),
        call('no_such_tool', { argument: key }),
        call('read_file', { path: `../../${key}` }),
      ],
    },
    {
      calls: [
        call('git_commit', { message: `Add ${key}` }),
        call('send_message', { to: 'lead', body: repeated() }),
      ],
    },
  ];
  return turns[turn] ?? { calls: [call('submit_result', { decision: 'gave_up', summary: repeated() })] };
}

let faults: Reply[] = [];
function reply(request: Received): Reply {
  const fault = faults.shift();
  if (fault) return fault;
  const { text, calls = [] } = turnOf(request);
  const turn = (request.body.messages as { role: string }[]).filter(m => m.role === 'assistant').length;
  const tools = calls.map((c, n) => ({ tool: c.name, id: `call_${turn}_${n}`, arguments: c.arguments }));
  return { parts: [...(text ? [{ text }] : []), ...tools], headers: { 'x-request-id': `req-${key}` } };
}

async function ask(
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<{ status: number; body: Record<string, unknown> }> {
  const response = await fetch(`${address.url}${path}`, {
    method,
    headers: {
      authorization: `Bearer ${address.key}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    body: body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body),
  });
  const text = await response.text();
  answers.push({ from: `${method} ${path}`, text: `${JSON.stringify([...response.headers])}\n${text}` });
  const isJson = /json$|json;/.test(response.headers.get('content-type') ?? '') && !path.includes('export');
  return { status: response.status, body: isJson ? JSON.parse(text) : {} };
}

const untilEnded = (id: string) =>
  until('the task has ended', 120_000, async () => {
    const { body } = await ask('GET', `/api/v1/tasks/${id}`);
    return ['succeeded', 'failed', 'dead_letter', 'cancelled'].includes(String(body.state)) ? body : null;
  });

const newTask = (request: string, checks: string[] = []) =>
  ask('POST', '/api/v1/tasks', { request, repository: { location: repository }, checks, budget_usd: null });

before(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'guildhall-canary-'));
  await chmod(dataDir, 0o711);
  repository = await makeRepository({ ...brokenAdd, 'leak.txt': repeated() });
  provider = await startProvider(reply);
  server = spawnGuildhall('all', {
    GUILDHALL_DATA: dataDir,
    PORT: '0',
    GUILDHALL_LOG_LEVEL: 'debug',
    GUILDHALL_LEASE_SECONDS: '2',
    GUILDHALL_MODEL: 'openai-compatible/test',
    OPENAI_BASE_URL: `${provider.url}/v1`,
    OPENAI_API_KEY: key,
    ANTHROPIC_BASE_URL: provider.url,
    SOME_OTHER_TOKEN: canaries.environment as string,
  });
  address = await until('the server is ready', 90_000, async () => {
    if (await Promise.race([server.exited.then(() => true), sleep(0, false)]))
      throw new Error(server.output());
    return JSON.parse(await readFile(join(dataDir, 'server.json'), 'utf8').catch(() => 'null'));
  });
});
after(async () => {
  await server?.kill();
  await provider?.close();
  await removeEmbeddedPostgres(dataDir).catch(() => {});
  await rm(dataDir, { recursive: true, force: true });
  await rm(repository, { recursive: true, force: true });
});

test('the look for canaries finds every form in which they are planted', () => {
  for (const form of repeated().split('\nhttps')[0]?.split('\n') ?? [])
    assert.deepEqual(shownIn(form, canaries), ['providerKey'], form);
  for (const canary of Object.values(canaries)) {
    for (const text of [
      canary,
      `x${canary.toUpperCase()}`,
      btoa(`a${canary}`),
      canary.replace(/.{9}/g, '$&\n'),
    ])
      assert.equal(shownIn(text, canaries).length, 1, text);
  }
  assert.deepEqual(shownIn('nothing of it', canaries), []);
});

test('SEC-07 X-28 requests of all sorts, with canaries in every part of them', {
  timeout: 120_000,
}, async () => {
  await ask('POST', '/api/v1/secrets', { name: 'providers/anthropic/api-key', value: organizationKey });
  for (const [name, value] of [
    ['deploy/token', canaries.replacedSecret],
    ['deploy/token', newCanary('another-')],
    ['deploy/gone', canaries.revokedSecret],
  ])
    assert.equal((await ask('POST', '/api/v1/secrets', { name, value })).status, 200);
  await ask('DELETE', `/api/v1/secrets/${encodeURIComponent('deploy/gone')}`);
  await ask('POST', '/api/v1/secrets', { name: 'BAD NAME', value: organizationKey });
  await ask('POST', '/api/v1/secrets', `{"name": "broken", "value": "${organizationKey}"`);
  await ask('POST', '/api/v1/prices', {
    provider: 'openai-compatible',
    model: 'test',
    input_usd_per_million: 1,
    output_usd_per_million: 5,
  });
  const wrong = {
    authorization: `Bearer ${canaries.bearer}`,
    cookie: `guildhall_session=${canaries.cookie}`,
  };
  for (const path of [
    '/api/v1/tasks',
    `/api/v1/tasks?token=${canaries.link}`,
    `/api/v1/${key}`,
    `/${canaries.link}`,
  ]) {
    await ask('GET', path, undefined, wrong);
    await ask('GET', path);
    await ask('GET', path, undefined, { authorization: `Basic ${btoa(`x:${key}`)}`, 'x-request-id': 'one' });
  }
  await ask('POST', '/api/v1/sign-in', { token: canaries.link });
  await ask('POST', '/api/v1/sign-in', { token: canaries.link, [key]: key });
  for (const location of [
    `https://user:${canaries.inAddress}@github.com/a/b`,
    `https://user:${canaries.inAddress}@nowhere.example/a/b`,
    `ssh://git:${canaries.inAddress}@github.com/a/b`,
    `/nowhere/${key}`,
  ])
    await ask('POST', '/api/v1/tasks', { request: 'x', repository: { location } });
});

test('SEC-07 the main job with a model, tools and a repository that repeat the key', {
  timeout: 240_000,
}, async () => {
  const made = await newTask(repeated());
  assert.equal(made.status, 200, JSON.stringify(made.body));
  const ended = await untilEnded(String(made.body.id));
  assert.equal(ended.state, 'failed', JSON.stringify(ended));
  const { body } = await ask('GET', `/api/v1/tasks/${made.body.id}/steps?tree=true&limit=2000`);
  const steps = body.items as { name: string; data: { content?: string } }[];
  assert.ok(steps.length >= 12, JSON.stringify(steps.map(step => step.name)));
  const command = steps.find(step => step.name === 'run_command')?.data.content ?? '';
  assert.match(command, /exit_code|outcome/, 'the command has run');
  assert.match(command, /\[redacted\]/);
  assert.ok(provider.requests.length >= 5);
  const sent = provider.requests.map(request => request.text).join('\n');
  assert.deepEqual(shownIn(sent, canaries), [], 'nor does the model get to see one');
  assert.equal(provider.requests[0]?.headers.authorization, `Bearer ${key}`, 'but the provider gets its key');
});

test('SEC-07 checks that print the key, and their report', { timeout: 240_000 }, async () => {
  const made = await newTask('Hand it in.', ['cat leak.txt; false']);
  const ended = await untilEnded(String(made.body.id));
  assert.notEqual(ended.state, 'succeeded');
  const { body } = await ask('GET', `/api/v1/tasks/${made.body.id}/checks`);
  const outputs = JSON.stringify(body);
  assert.match(outputs, /The key is \[redacted\]/, outputs);
});

test('SEC-07 faults of the provider that quote the key', { timeout: 240_000 }, async () => {
  const quoting = (status: number): Reply => ({
    status,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ error: { message: `Incorrect API key provided: ${repeated()}`, code: key } }),
  });
  faults = [quoting(500), { status: 502, body: `<html>${repeated()}</html>` }, quoting(401)];
  const made = await newTask('Fails.');
  const ended = await untilEnded(String(made.body.id));
  assert.equal(ended.state, 'dead_letter');
  assert.match(String(ended.state_reason), /key/i, 'the reason still says what is wrong');
  await ask('GET', '/api/v1/dead-letters');
});

test('SEC-07 SEC-02 nothing of it shows: in logs, answers, events, audit, the database, and files', {
  timeout: 120_000,
}, async () => {
  const document = await ask('GET', '/api/v1/openapi.json');
  const lists = Object.keys((document.body.paths ?? {}) as object).filter(path => !path.includes('{'));
  assert.ok(lists.length > 20);
  const streams = ['/api/v1/events'];
  for (const path of lists.filter(path => !streams.includes(path))) await ask('GET', path);
  await ask('GET', '/metrics');
  answers.push({ from: 'GET /api/v1/events', text: await readEvents() });
  const credentials = JSON.parse(await readFile(join(dataDir, 'postgres', 'credentials.json'), 'utf8'));
  const masterKey = (await readFile(join(dataDir, 'master-key'), 'utf8')).trim();
  const own: Record<string, string> = {
    ...canaries,
    masterKey: masterKey.replace(/=+$/, ''),
    databaseOwner: credentials.owner,
    databaseApp: credentials.app,
    databaseAdmin: credentials.admin,
  };
  for (const { from, text } of answers) assert.deepEqual(shownIn(text, own), [], from);

  const socket = /unix_socket_directories = '([^']+)'/.exec(await readConfiguration())?.[1];
  const dump = await dumpDatabase({
    host: socket,
    port: 5432,
    user: 'guildhall_admin',
    password: credentials.admin,
    database: 'guildhall',
  });
  assert.ok(dump.size > 25 && (dump.get('public.steps') ?? '').length > 5_000);
  for (const [table, text] of dump) assert.deepEqual(shownIn(text, own), [], table);

  server.signal('SIGTERM');
  assert.equal((await server.exited).code, 0, server.output().slice(-2_000));
  const output = server.output();
  assert.ok(output.includes('"level":"debug"') && output.length > 20_000, 'the log is a debug log');
  assert.deepEqual(shownIn(output, own), [], 'standard output and error');
  const { environment, ...others } = own;
  assert.ok(environment);
  const kept = ['master-key', 'postgres/credentials.json'];
  const inFiles = await searchFiles(dataDir, others, kept);
  // The clone that the task works on has what its repository has; nothing else does.
  assert.deepEqual(
    inFiles.filter(found => !/^work\/.*\/leak\.txt: providerKey$/.test(found)),
    [],
  );
});

test('SEC-07 a start that fails and a crash do not tell what they were given', {
  timeout: 60_000,
}, async () => {
  const password = newCanary('db-');
  const given = { ...canaries, password };
  const starts: Record<string, string>[] = [
    {
      DATABASE_URL: `postgres://guildhall:${password}@127.0.0.1:1/x`,
      GUILDHALL_MASTER_KEY: Buffer.from(password).toString('base64'),
    },
    { DATABASE_URL: `mysql://guildhall:${password}@127.0.0.1:1/x`, OPENAI_API_KEY: key },
    {
      DATABASE_URL: `vault://secret/${'db'}#password`,
      VAULT_ADDR: 'http://127.0.0.1:1',
      VAULT_TOKEN: password,
    },
    { [`GUILDHALL_${'OTHER'}`]: password },
    { PORT: key },
  ];
  for (const env of starts) {
    const base = { GUILDHALL_DATA: join(dataDir, 'none'), PORT: '0' };
    const failed = spawnGuildhall('all', { ...base, ...env });
    assert.notEqual((await failed.exited).code, 0);
    assert.ok(failed.output().length > 20);
    assert.deepEqual(shownIn(failed.output(), given), [], failed.output());
  }
});

async function readConfiguration(): Promise<string> {
  const location = await readFile(join(dataDir, 'postgres', 'location'), 'utf8').catch(() => null);
  const cluster = location?.trim() ?? join(dataDir, 'postgres', 'cluster');
  return readFile(join(cluster, 'data', 'postgresql.conf'), 'utf8');
}

/** The stream of events from the beginning, until nothing new comes. */
async function readEvents(): Promise<string> {
  const stop = new AbortController();
  const response = await fetch(`${address.url}/api/v1/events`, {
    headers: { authorization: `Bearer ${address.key}`, 'last-event-id': '0' },
    signal: stop.signal,
  });
  let text = '';
  const quiet = setTimeout(() => stop.abort(), 3_000);
  try {
    for await (const chunk of response.body as ReadableStream<Uint8Array>) {
      text += Buffer.from(chunk).toString();
      quiet.refresh();
    }
  } catch (error) {
    if (!stop.signal.aborted) throw error;
  }
  clearTimeout(quiet);
  return text;
}
