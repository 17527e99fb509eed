import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { startTestApp } from '../test/harness/app.ts';
import { pathOf, recordRoutes, sampleBodies } from '../test/harness/routes.ts';

const routes = recordRoutes();
const guildhall = await startTestApp({ roles: ['api'] });
after(() => guildhall[Symbol.asyncDispose]());

/** What anybody may see, each for a reason. */
const openToAll: [RegExp, string][] = [
  [/^\/livez$/, 'probes of the process have no credential'],
  [/^\/readyz$/, 'as above'],
  [/^\/version$/, 'as above'],
  [/^\/api\/v1\/sign-in$/, 'this is how a credential is had'],
  [/^\/(|sign-in|tasks|approvals|agents|system)(\/\*)?$/, 'the page: a frame without data'],
  [
    /^\/(index\.html|favicon\.[a-z]+|assets\/.*|[\w-]+\.(svg|png|ico|js|webmanifest|txt))$/,
    'files of the page',
  ],
];
const isOpen = (url: string): boolean => openToAll.some(([pattern]) => pattern.test(url));

async function request(method: string, url: string, headers: Record<string, string>): Promise<Response> {
  const body = sampleBodies[`${method} ${url}`];
  const response = await fetch(`${guildhall.app.url}${pathOf(url)}`, {
    method,
    redirect: 'manual',
    headers: { ...headers, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
    body: body === undefined ? undefined : JSON.stringify(body),
    signal: AbortSignal.timeout(10_000),
  });
  return response;
}

async function newKey(scopes: string[]): Promise<string> {
  const made = await guildhall.api<{ key: string }>('POST', '/api/v1/api-keys', {
    name: scopes.join('-'),
    scopes,
  });
  assert.equal(made.status, 200);
  return made.body.key;
}

test('IAM-01 every route but the listed ones answers 401 to whoever has no credential', async () => {
  assert.ok(routes.length > 60, `only ${routes.length} routes were seen`);
  const answers: string[] = [];
  for (const { method, url } of routes) {
    const response = await request(method, url, {});
    await response.body?.cancel();
    if (isOpen(url) ? response.status === 401 && url !== '/api/v1/sign-in' : response.status !== 401) {
      answers.push(`${method} ${url}: ${response.status}`);
    }
  }
  assert.deepEqual(answers, []);
  for (const route of routes) assert.equal(route.public, isOpen(route.url), `${route.method} ${route.url}`);
});

test('IAM-01 events need a credential too, and none is read from the address', async () => {
  for (const path of [
    '/api/v1/events',
    `/api/v1/events?key=${guildhall.key}`,
    `/api/v1/events?token=${guildhall.key}`,
  ]) {
    const response = await fetch(`${guildhall.app.url}${path}`);
    assert.equal(response.status, 401, path);
    assert.equal(response.headers.get('www-authenticate'), 'Bearer realm="guildhall"');
    assert.match(response.headers.get('content-type') ?? '', /^application\/problem\+json/);
  }
});

test('IAM-01 what looks like a credential but is none is refused', async () => {
  const { key } = guildhall;
  for (const authorization of [
    '',
    'Bearer',
    'Bearer ',
    'Bearer ghk_',
    `Bearer ${key.slice(0, -1)}`,
    `Bearer ${key}x`,
    `Bearer ${key} x`,
    `bearer ${key}`,
    `Basic ${Buffer.from(`${key}:`).toString('base64')}`,
    `Token ${key}`,
    key,
    `Bearer ghk_' or '1'='1`,
    `Bearer ghs_${key.slice(4)}`,
  ]) {
    const response = await fetch(`${guildhall.app.url}/api/v1/me`, { headers: { authorization } });
    assert.equal(response.status, 401, authorization);
  }
  const cookie = await fetch(`${guildhall.app.url}/api/v1/me`, {
    headers: { cookie: `guildhall_session=${key}` },
  });
  assert.equal(cookie.status, 401);
});

test('IAM-03 a read-only key reads, and can neither write nor use what admins use', async () => {
  const authorization = `Bearer ${await newKey(['read'])}`;
  const wrong: string[] = [];
  for (const { method, url, scope } of routes.filter(r => !r.public && r.url !== '/api/v1/events')) {
    const response = await request(method, url, { authorization });
    const text = await response.text();
    const refused =
      response.status === 403 && (method === 'HEAD' || JSON.parse(text).code === 'scope_missing');
    if (refused !== (scope !== 'read')) wrong.push(`${method} ${url}: ${response.status}`);
  }
  assert.deepEqual(wrong, []);
});

test('IAM-03 a key without the scope admin is refused by every route for admins', async () => {
  const authorization = `Bearer ${await newKey(['read', 'write'])}`;
  const forAdmins = routes.filter(r => r.scope === 'admin');
  assert.deepEqual(
    new Set(forAdmins.filter(r => r.method !== 'HEAD').map(r => `${r.method} ${r.url}`)),
    new Set([
      'POST /api/v1/sign-in-links',
      'GET /api/v1/api-keys',
      'POST /api/v1/api-keys',
      'DELETE /api/v1/api-keys/:id',
      'PUT /api/v1/budgets',
      'POST /api/v1/prices',
      'POST /api/v1/teams',
      'POST /api/v1/agents',
      'PATCH /api/v1/agents/:id',
    ]),
  );
  for (const { method, url } of forAdmins) {
    assert.equal((await request(method, url, { authorization })).status, 403, `${method} ${url}`);
  }
});

test('IAM-03 a key that only writes cannot read', async () => {
  const authorization = `Bearer ${await newKey(['write'])}`;
  assert.equal((await request('GET', '/api/v1/tasks', { authorization })).status, 403);
  assert.equal((await request('POST', '/api/v1/tasks/:id/cancel', { authorization })).status, 404);
});

test('X-13 every write of the API needs more than the scope read, but for signing out', () => {
  const lax = routes.filter(
    r => !['GET', 'HEAD', 'OPTIONS'].includes(r.method) && !r.public && r.scope === 'read',
  );
  assert.deepEqual(
    lax.map(r => `${r.method} ${r.url}`),
    ['POST /api/v1/sign-out'],
  );
});
