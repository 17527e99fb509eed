import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { startTestApp } from '../test/harness/app.ts';
import { pathOf, recordRoutes, sampleBodies } from '../test/harness/routes.ts';
import { screens } from './api.ts';
import {
  bundleOf,
  type Permission,
  permissionsNamed,
  permissionsOf,
  roles,
} from './features/identity/permissions.ts';

const routes = recordRoutes();
const guildhall = await startTestApp({ roles: ['api'] });
after(() => guildhall[Symbol.asyncDispose]());

/** What anybody may see, each for a reason. */
const openToAll: [RegExp, string][] = [
  [/^\/livez$/, 'probes of the process have no credential'],
  [/^\/readyz$/, 'as above'],
  [/^\/version$/, 'as above'],
  [/^\/api\/v1\/sign-in$/, 'this is how a credential is had'],
  [/^\/api\/v1\/auth\//, 'as above'],
  [/^\/api\/v1\/ws$/, 'who connects may say so in the first frame, and is told nothing before'],
  [/^\/\.well-known\/jwks\.json$/, 'public keys are public'],
  [
    /^\/(index\.html|favicon\.[a-z]+|assets\/.*|[\w-]+\.(svg|png|ico|js|webmanifest|txt))$/,
    'files of the page',
  ],
];
/** The page's screens are a frame without data. */
const isOpen = (url: string): boolean =>
  screens.includes(url) || openToAll.some(([pattern]) => pattern.test(url));

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
    if (isOpen(url) ? response.status === 401 && !/sign-in$|\/auth\//.test(url) : response.status !== 401) {
      answers.push(`${method} ${url}: ${response.status}`);
    }
  }
  assert.deepEqual(answers, []);
  for (const route of routes) assert.equal(route.public, isOpen(route.url), `${route.method} ${route.url}`);
});

test('IAM-01 events need a credential too, and none is read from the address', async () => {
  const response = await fetch(`${guildhall.app.url}/api/v1/events`);
  assert.equal(response.status, 401);
  assert.equal(response.headers.get('www-authenticate'), 'Bearer realm="guildhall"');
  assert.match(response.headers.get('content-type') ?? '', /^application\/problem\+json/);
});

test('IAM-08 a credential in an address is refused on every route, whoever sends it, and is not repeated', async () => {
  const paths = ['/', '/livez', '/nowhere', '/api/v1/events', '/api/v1/tasks', '/api/v1/me', '/docs'];
  for (const name of ['token', 'access_token', 'api_key', 'Token', 'ACCESS_TOKEN', 'jwt']) {
    for (const path of paths) {
      for (const authorization of [undefined, `Bearer ${guildhall.key}`]) {
        const response = await fetch(`${guildhall.app.url}${path}?a=1&${name}=${guildhall.key}`, {
          headers: authorization ? { authorization } : {},
        });
        const text = await response.text();
        assert.deepEqual([response.status, JSON.parse(text).code], [400, 'credential_in_url'], path);
        assert.ok(!text.includes(guildhall.key));
      }
    }
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

/** Answers of all routes that a principal must be allowed to come to, for one key. */
async function refusals(key: string): Promise<Map<string, boolean>> {
  const refused = new Map<string, boolean>();
  // Events never end, and an agent's own run is for agents alone.
  const apart = ['/api/v1/events', '/api/v1/run'];
  for (const { method, url, permission } of routes.filter(r => r.permission && !apart.includes(r.url))) {
    const response = await request(method, url, { authorization: `Bearer ${key}` });
    const text = await response.text();
    const code = method === 'HEAD' || response.status !== 403 ? null : JSON.parse(text).code;
    const missing = ['scope_missing', 'permission_missing'].includes(code);
    refused.set(`${method} ${url} ${permission}`, method === 'HEAD' ? response.status === 403 : missing);
  }
  return refused;
}

test('IAM-03 a key comes to the routes of the bundles that it names, and to no other', async () => {
  for (const scopes of [['read'], ['write'], ['admin'], ['read', 'write'], ['task.create', 'usage.read']]) {
    const allowed = permissionsNamed(scopes);
    const wrong = [...(await refusals(await newKey(scopes)))].filter(
      ([route, refused]) => refused === allowed.has(route.split(' ')[2] as Permission),
    );
    assert.deepEqual(wrong, [], scopes.join(' '));
  }
});

test('IAM-04 every role comes to the routes that the table of permissions gives it, and to no other', async () => {
  const { db } = guildhall.database;
  const { ownerId } = guildhall.app.installation;
  const key = await newKey(['read', 'write', 'admin']);
  for (const role of roles) {
    await db.updateTable('members').set({ role }).where('id', '=', ownerId).execute();
    if (role === 'none') {
      const answer = await request('GET', '/api/v1/tasks', { authorization: `Bearer ${key}` });
      const { code } = (await answer.json()) as { code: string };
      assert.deepEqual([answer.status, code], [403, 'no_access']);
      continue;
    }
    const allowed = permissionsOf(role);
    const wrong = [...(await refusals(key))].filter(
      ([route, refused]) => refused === allowed.has(route.split(' ')[2] as Permission),
    );
    assert.deepEqual(wrong, [], role);
  }
  await db.updateTable('members').set({ role: 'owner' }).where('id', '=', ownerId).execute();
});

test('X-13 every write of the API needs a permission that is not of reading, but for what concerns only oneself or only looks', () => {
  const lax = routes.filter(
    r =>
      !['GET', 'HEAD', 'OPTIONS'].includes(r.method) &&
      !r.public &&
      (r.permission === null || bundleOf(r.permission) === 'read'),
  );
  const own =
    /^\/api\/v1\/(sign-out|tokens$|account\/|sessions\/|invitations\/accept$|ws-tickets$|audit\/verify$)/;
  assert.deepEqual(
    lax.map(r => `${r.method} ${r.url}`).filter(route => !own.test(route.split(' ')[1] as string)),
    [],
  );
  for (const r of lax) assert.ok(r.signedIn || r.permission, r.url);
});
