import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { startTestApp } from '../test/harness/app.ts';
import { readConfig } from './config.ts';

const origin = 'https://other.example';
const guildhall = await startTestApp({
  roles: ['api'],
  env: { GUILDHALL_PUBLIC_URL: 'https://guildhall.example' },
});
const { database } = guildhall;
const shared = await startTestApp({ roles: ['api'], database, env: { GUILDHALL_CORS_ORIGINS: origin } });
after(async () => {
  await shared[Symbol.asyncDispose]();
  await guildhall[Symbol.asyncDispose]();
});
const authorization = `Bearer ${guildhall.key}`;
const fetchFrom = (path: string, init: RequestInit = {}) =>
  fetch(`${guildhall.app.url}${path}`, { ...init, headers: { authorization, ...init.headers } });
const fetchShared = (path: string, init: RequestInit = {}) =>
  fetch(`${shared.app.url}${path}`, { ...init, headers: { authorization, ...init.headers } });

/** What varies with the content, the connection or the route, and is not about safety. */
const unrelated =
  /^(connection|keep-alive|date|content-(type|length)|transfer-encoding|x-request-id|ratelimit(-policy)?|vary)$/;

const safety = (headers: Headers): Record<string, string> =>
  Object.fromEntries([...headers].filter(([name]) => !unrelated.test(name)));

const onAll = {
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'origin-agent-cluster': '?1',
  'permissions-policy':
    'accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), microphone=(), midi=(), payment=(), usb=()',
  'referrer-policy': 'no-referrer',
  'strict-transport-security': 'max-age=31536000; includeSubDomains',
  'x-content-type-options': 'nosniff',
  'x-dns-prefetch-control': 'off',
  'x-download-options': 'noopen',
  'x-frame-options': 'DENY',
  'x-permitted-cross-domain-policies': 'none',
  'x-xss-protection': '0',
};
const dataPolicy = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

test('NET-03 every answer of the API has exactly these headers, refusals too', async () => {
  const me = await fetchFrom('/api/v1/me');
  assert.equal(me.status, 200);
  const { etag, ...rest } = safety(me.headers);
  assert.ok(etag);
  assert.deepEqual(rest, {
    ...onAll,
    'content-security-policy': dataPolicy,
    'cache-control': 'private, no-cache',
  });
  for (const path of ['/nowhere', '/api/v1/tasks?x=1']) {
    const refusal = await fetchFrom(path);
    assert.deepEqual(safety(refusal.headers), { ...onAll, 'content-security-policy': dataPolicy }, path);
  }
});

test('NET-03 the page runs only what its nonce names, a new one each time', async t => {
  const nonces: string[] = [];
  for (const path of ['/', '/sign-in', '/tasks/x']) {
    const response = await fetchFrom(path);
    if (response.status === 404) return t.skip('the page is not built');
    const html = await response.text();
    const { 'content-security-policy': policy = '', ...rest } = safety(response.headers);
    assert.deepEqual(rest, { ...onAll, 'cache-control': 'no-store' }, path);
    const nonce = /'nonce-([A-Za-z0-9+/]{22}==)'/.exec(policy)?.[1] as string;
    nonces.push(nonce);
    assert.equal(
      policy,
      `default-src 'none'; script-src 'self' 'nonce-${nonce}'; style-src 'self' 'nonce-${nonce}'; img-src 'self' data:; font-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'`,
    );
    const scripts = html.match(/<script\b[^>]*>/g) ?? [];
    assert.ok(scripts.length >= 2);
    for (const script of scripts) assert.ok(script.includes(`nonce="${nonce}"`), script);
  }
  assert.equal(new Set(nonces).size, nonces.length);
});

test('NET-03 the reference at /docs is shown to who is signed in, and runs only files of this server', async () => {
  assert.equal((await fetch(`${guildhall.app.url}/docs/`)).status, 401);
  assert.equal((await fetch(`${guildhall.app.url}/api/v1/openapi.json`)).status, 401);
  const docs = await fetchFrom('/docs/');
  assert.equal(docs.status, 200);
  const { 'content-security-policy': policy, ...rest } = safety(docs.headers);
  assert.deepEqual(rest, onAll);
  assert.equal(
    policy,
    "default-src 'none'; script-src 'self'; style-src 'self' 'sha256-RL3ie0nH+Lzz2YNqQN83mnU0J1ot4QL7b99vMdIX99w='; img-src 'self' data:; font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  );
});

test('NET-03 without https nothing promises it', async () => {
  const { headers } = await fetch(`${shared.app.url}/livez`);
  assert.equal(headers.get('strict-transport-security'), null);
});

test('NET-01 only the origins that are named may read an answer, with credentials', async () => {
  const allowed = await fetchShared('/api/v1/me', { headers: { origin } });
  assert.equal(allowed.headers.get('access-control-allow-origin'), origin);
  assert.equal(allowed.headers.get('access-control-allow-credentials'), 'true');
  assert.equal(allowed.headers.get('cross-origin-resource-policy'), 'cross-origin');
  assert.match(allowed.headers.get('vary') ?? '', /origin/i);
  for (const foreign of [
    'https://evil.example',
    'http://other.example',
    'https://other.example:8443',
    'https://other.example.evil.example',
    'https://sub.other.example',
    'null',
    '*',
  ]) {
    for (const init of [
      { headers: { origin: foreign } },
      { method: 'OPTIONS', headers: { origin: foreign, 'access-control-request-method': 'POST' } },
    ]) {
      const { headers } = await fetchShared('/api/v1/me', init);
      assert.equal(headers.get('access-control-allow-origin'), null, foreign);
      assert.equal(headers.get('cross-origin-resource-policy'), 'same-origin');
    }
  }
});

test('NET-01 a preflight needs no credential and names what may be sent; without named origins there is none', async () => {
  const ask = (url: string) =>
    fetch(`${url}/api/v1/tasks`, {
      method: 'OPTIONS',
      headers: {
        origin,
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'authorization',
      },
    });
  const preflight = await ask(shared.app.url as string);
  assert.equal(preflight.status, 204);
  assert.equal(preflight.headers.get('access-control-allow-origin'), origin);
  assert.match(preflight.headers.get('access-control-allow-methods') ?? '', /POST/);
  assert.match(preflight.headers.get('access-control-allow-headers') ?? '', /x-csrf-token/);
  const none = await ask(guildhall.app.url as string);
  assert.equal(none.headers.get('access-control-allow-origin'), null);
  assert.equal(none.headers.get('access-control-allow-methods'), null);
});

test('NET-01 origins are named one by one: a wildcard stops the start', () => {
  for (const wrong of ['*', 'https://*.example', 'null', 'https://a.example/', 'a.example', 'file:///x']) {
    assert.throws(() => readConfig({ GUILDHALL_CORS_ORIGINS: wrong }), { code: 'configuration_invalid' });
  }
});
