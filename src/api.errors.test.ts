import assert from 'node:assert/strict';
import { request as rawRequest } from 'node:http';
import { after, test } from 'node:test';
import pg from 'pg';
import { startTestApp } from '../test/harness/app.ts';
import { newId } from './base/ids.ts';

const guildhall = await startTestApp({ roles: ['api'] });
after(() => guildhall[Symbol.asyncDispose]());
const someTask = newId('task', 0);

interface Answer {
  status: number;
  headers: Headers;
  problem: {
    type: string;
    title: string;
    status: number;
    code: string;
    request_id: string;
    detail?: unknown;
  };
}

/** Sends, and checks what holds for every refusal: RFC 9457, a code, the request id in body and header. */
async function refused(
  path: string,
  init: RequestInit & { headers?: Record<string, string> } = {},
): Promise<Answer> {
  const response = await fetch(`${guildhall.app.url}${path}`, {
    ...init,
    headers: { authorization: `Bearer ${guildhall.key}`, ...init.headers },
  });
  const text = await response.text();
  assert.match(response.headers.get('content-type') ?? '', /^application\/problem\+json/, text);
  const problem = JSON.parse(text) as Answer['problem'];
  assert.equal(problem.status, response.status);
  assert.match(problem.code, /^[a-z][a-z0-9_]+$/);
  assert.equal(problem.type, `urn:guildhall:problem:${problem.code}`);
  assert.match(problem.title, /^[A-Z`].*[.?!]$/);
  assert.match(problem.request_id, /^req_/);
  assert.equal(problem.request_id, response.headers.get('x-request-id'));
  return { status: response.status, headers: response.headers, problem };
}

const post = (path: string, body: string, type = 'application/json') =>
  refused(path, { method: 'POST', body, headers: { 'content-type': type } });

test('a body that is not JSON is 400', async () => {
  for (const body of ['{', '{"request": }', 'request=x', '', '{"a":1}}', '\u0000', '[1,']) {
    const { status, problem } = await post('/api/v1/tasks', body);
    assert.deepEqual([status, problem.code], [400, 'request_malformed'], body);
  }
});

test('a body that tries to reach the prototype of objects is refused', async () => {
  for (const body of [
    '{"__proto__":{"x":1},"request":"a"}',
    '{"constructor":{"prototype":{"x":1}},"request":"a"}',
  ]) {
    const { status } = await post('/api/v1/tasks', body);
    assert.ok(status === 400 || status === 422);
  }
  assert.equal(({} as { x?: number }).x, undefined);
});

test('VAL-01 a body in which a name stands twice, or whose bytes are no text, is 400', async () => {
  const twice = await post('/api/v1/tasks', '{"request":"a","title":"x","title":"y"}');
  assert.deepEqual([twice.status, twice.problem.code], [400, 'json_key_refused']);
  const escaped = await post('/api/v1/tasks', '{"request":"a","title":"x","t\\u0069tle":"y"}');
  assert.deepEqual([escaped.status, escaped.problem.code], [400, 'json_key_refused']);
  const bytes = await refused('/api/v1/tasks', {
    method: 'POST',
    body: Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]),
    headers: { 'content-type': 'application/json' },
  });
  assert.deepEqual([bytes.status, bytes.problem.code], [400, 'request_malformed']);
});

test('VAL-01 a route that takes no query or no body refuses them', async () => {
  for (const path of ['/livez?probe=1', '/api/v1/me?as=admin', `/api/v1/tasks/${someTask}?full=1`]) {
    const { status, problem } = await refused(path);
    assert.deepEqual([status, problem.code], [422, 'request_invalid'], path);
  }
  const { status, problem } = await refused(`/api/v1/dead-letters/${newId('dl', 0)}/replay`, {
    method: 'POST',
    body: '{"force":true}',
    headers: { 'content-type': 'application/json' },
  });
  assert.deepEqual([status, problem.code], [422, 'request_invalid']);
});

test('a method that an address does not have is 405 with those that it has; OPTIONS tells them; TRACE never works', async () => {
  for (const [method, path, allow] of [
    ['DELETE', '/api/v1/tasks', 'GET, HEAD, POST, OPTIONS'],
    ['PUT', `/api/v1/tasks/${someTask}`, 'GET, HEAD, OPTIONS'],
    ['POST', '/api/v1/events', 'GET, OPTIONS'],
  ] as const) {
    const { status, problem, headers } = await refused(path, { method });
    assert.deepEqual([status, problem.code], [405, 'method_not_allowed'], path);
    assert.equal(headers.get('allow'), allow);
    const options = await fetch(`${guildhall.app.url}${path}`, { method: 'OPTIONS' });
    assert.deepEqual([options.status, options.headers.get('allow')], [204, allow]);
    assert.equal(options.headers.get('access-control-allow-origin'), null);
  }
  assert.equal((await fetch(`${guildhall.app.url}/nowhere`, { method: 'OPTIONS' })).status, 404);
  const head = await fetch(`${guildhall.app.url}/api/v1/me`, {
    method: 'HEAD',
    headers: { authorization: `Bearer ${guildhall.key}` },
  });
  assert.deepEqual([head.status, await head.text()], [200, '']);
  const traced = await new Promise<{ status?: number; text: string }>((resolve, reject) => {
    const request = rawRequest(`${guildhall.app.url}/api/v1/me`, {
      method: 'TRACE',
      headers: { cookie: 'guildhall_session=canary-of-trace' },
    });
    request.on('response', async response =>
      resolve({ status: response.statusCode, text: (await response.toArray()).join('') }),
    );
    request.on('error', reject);
    request.end();
  });
  assert.equal(traced.status, 405);
  assert.doesNotMatch(traced.text, /canary/);
});

test('a body in another form than JSON is 415', async () => {
  for (const type of [
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/xml',
  ]) {
    const { status, problem } = await post('/api/v1/tasks', 'request=x', type);
    assert.deepEqual([status, problem.code], [415, 'media_type_unsupported'], type);
  }
});

test('VAL-06 a body of one byte more than 1 MiB is 413, whether it says its length or not; 1 MiB is read', async () => {
  const limit = 1024 * 1024;
  const body = (bytes: number) => `{"request":"${'x'.repeat(bytes - 14)}"}`;
  const over = await post('/api/v1/tasks', body(limit + 1));
  assert.deepEqual([over.status, over.problem.code], [413, 'body_too_large']);
  const at = await post('/api/v1/tasks', body(limit));
  assert.deepEqual([at.status, at.problem.code], [422, 'request_invalid']);
  const status = await new Promise<number | undefined>((resolve, reject) => {
    const chunked = rawRequest(`${guildhall.app.url}/api/v1/tasks`, {
      method: 'POST',
      headers: { authorization: `Bearer ${guildhall.key}`, 'content-type': 'application/json' },
    });
    chunked.on('response', response => resolve(response.resume().statusCode));
    chunked.on('error', reject);
    for (let sent = 0; sent <= limit; sent += 65_536) chunked.write(' '.repeat(65_536));
    chunked.end('{}');
  });
  assert.equal(status, 413);
});

test('VAL-01 fields that a route does not know are refused, by name', async () => {
  const { status, problem } = await post(
    '/api/v1/tasks',
    '{"request":"a","owner":"me","repository":{"location":"/x","shell":true}}',
  );
  assert.deepEqual([status, problem.code], [422, 'request_invalid']);
  assert.match(JSON.stringify(problem.detail), /owner/);
  assert.match(JSON.stringify(problem.detail), /shell/);
  for (const path of [
    '/api/v1/tasks?limi=3',
    '/api/v1/approvals?status=all',
    '/api/v1/events?since=1',
    '/api/v1/agents?team=x',
  ]) {
    assert.equal((await refused(path)).status, 422, path);
  }
});

test('VAL-01 wrong values are 422 with the place of each fault, and change nothing', async () => {
  const bodies = [
    '{}',
    '[]',
    'null',
    '"x"',
    '{"request":""}',
    '{"request":"   "}',
    '{"request":3}',
    '{"request":"a","checks":"npm test"}',
    '{"request":"a","checks":[""]}',
    '{"request":"a","deadline_minutes":0}',
    '{"request":"a","deadline_minutes":1.5}',
    '{"request":"a","budget_usd":-1}',
    '{"request":"a","budget_usd":1e999}',
    '{"request":"a","depends_on":["../x"]}',
    `{"request":"a","title":"${'t'.repeat(201)}"}`,
    `{"request":"${'x'.repeat(20_001)}"}`,
  ];
  for (const body of bodies) {
    const { status, problem } = await post('/api/v1/tasks', body);
    assert.deepEqual([status, problem.code], [422, 'request_invalid'], body);
    assert.ok((problem.detail as { fields: unknown[] }).fields.length > 0);
  }
  assert.equal((await guildhall.api<{ items: [] }>('GET', '/api/v1/tasks')).body.items.length, 0);
});

test('VAL-01 text that cannot be stored is 422 wherever it stands, never an error of the database', async () => {
  const bodies = [
    '{"request":"a\\u0000b"}',
    '{"request":"a\\ud800b"}',
    '{"request":"a","requirements":["ok","\\udfff"]}',
    '{"request":"a","team":"\\u0000"}',
  ];
  for (const body of bodies)
    assert.equal((await post('/api/v1/tasks', body)).problem.code, 'text_invalid', body);
  for (const path of ['/api/v1/tasks?cursor=%00', '/api/v1/dead-letters?cursor=a%00']) {
    assert.equal((await refused(path)).problem.code, 'text_invalid', path);
  }
  const deep = `{"request":${'['.repeat(400_000)}${']'.repeat(400_000)}}`;
  assert.equal((await post('/api/v1/tasks', deep)).problem.code, 'json_too_deep');
});

test('VAL-03 ids and paths in the address that are none are 404 or 422, never more', async () => {
  const paths = [
    '/api/v1/tasks/..%2f..%2fetc%2fpasswd',
    '/api/v1/tasks/%2e%2e/',
    '/api/v1/tasks/1%27%20or%201=1',
    '/api/v1/tasks/task_x',
    `/api/v1/tasks/${someTask.toUpperCase()}`,
    '/api/v1/agents/%00',
    '/assets/..%2f..%2f..%2fpackage.json',
    '/assets/%2e%2e/%2e%2e/package.json',
    '/..%2f..%2fetc/passwd',
    '/api/v1/nothing',
    '/api/v2/tasks',
    '/%',
    '/api/v1/tasks/%E0%A4%A',
    `/api/v1/tasks/${'x'.repeat(3_000)}`,
  ];
  for (const path of paths) {
    const { status } = await refused(path);
    assert.ok([400, 404, 414, 422].includes(status), `${path}: ${status}`);
  }
});

test('what does not exist is 404 with a code of its own', async () => {
  const codes: [string, string][] = [
    [`/api/v1/tasks/${someTask}`, 'task_missing'],
    [`/api/v1/tasks/${someTask}/tree`, 'task_missing'],
    [`/api/v1/tasks/${someTask}/diff`, 'task_missing'],
    [`/api/v1/events?task_id=${someTask}`, 'task_missing'],
    [`/api/v1/approvals/${newId('apr', 0)}`, 'approval_missing'],
    [`/api/v1/agents/${newId('agt', 0)}`, 'agent_missing'],
    [`/api/v1/dead-letters/${newId('dl', 0)}`, 'dead_letter_missing'],
    ['/nowhere', 'route_missing'],
  ];
  for (const [path, code] of codes) {
    const { status, problem } = await refused(path);
    assert.deepEqual([status, problem.code], [404, code], path);
  }
});

test('a write without a body takes the defaults of its schema', async () => {
  const { problem } = await refused(`/api/v1/tasks/${someTask}/cancel`, { method: 'POST' });
  assert.equal(problem.code, 'task_missing');
});

test('a request id that the caller gives comes back; one that is no id is replaced', async () => {
  const given = await fetch(`${guildhall.app.url}/livez`, { headers: { 'x-request-id': 'my-trace.42_A' } });
  assert.equal(given.headers.get('x-request-id'), 'my-trace.42_A');
  for (const wrong of ['a b', 'x'.repeat(101), 'a"b', '<x>', '$(x)']) {
    const response = await fetch(`${guildhall.app.url}/livez`, { headers: { 'x-request-id': wrong } });
    assert.match(response.headers.get('x-request-id') ?? '', /^req_[0-9a-z]{26}$/);
  }
});

test('NET-06 an error inside tells nothing but its request id', async () => {
  const client = new pg.Client(guildhall.database.owner as pg.ClientConfig);
  await client.connect();
  try {
    await client.query('alter table dead_letters rename to gone_letters');
    const { status, problem, headers } = await refused('/api/v1/dead-letters?limit=3');
    assert.deepEqual([status, problem.code], [500, 'internal_error']);
    assert.deepEqual(
      Object.keys(problem).sort((a, b) => a.localeCompare(b)),
      ['code', 'request_id', 'status', 'title', 'type'],
    );
    const shown = JSON.stringify([problem, [...headers]]);
    assert.doesNotMatch(shown, /dead_letters|select|relation|42P01|node_modules|\.ts|\/src|stack|pg/i);
  } finally {
    await client.query('alter table gone_letters rename to dead_letters');
    await client.end();
  }
});
