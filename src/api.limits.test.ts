import assert from 'node:assert/strict';
import { request as rawRequest } from 'node:http';
import { after, test } from 'node:test';
import { startTestApp, type TestApp } from '../test/harness/app.ts';
import { openTestDatabase } from '../test/harness/database.ts';

const database = await openTestDatabase();
const apps: TestApp[] = [];
after(async () => {
  for (const app of apps) await app[Symbol.asyncDispose]();
  await database[Symbol.asyncDispose]();
});

/** One more server on the same database. */
async function replica(limits: string, env: Record<string, string> = {}): Promise<TestApp> {
  const app = await startTestApp({ roles: ['api'], database, env: { GUILDHALL_LIMITS: limits, ...env } });
  apps.push(app);
  return app;
}

interface Answer {
  status: number;
  code: string | null;
  headers: Record<string, unknown>;
}

/** A request from an address of the loopback network, so that tests do not share one. */
function ask(
  app: TestApp,
  method: string,
  path: string,
  more: { from?: string; body?: unknown; headers?: Record<string, string> } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = rawRequest(`${app.app.url}${path}`, {
      method,
      localAddress: more.from ?? '127.0.0.1',
      headers: {
        ...(more.body === undefined ? {} : { 'content-type': 'application/json' }),
        ...more.headers,
      },
    });
    request.on('response', async response => {
      const text = (await response.toArray()).join('');
      const code = response.statusCode === 200 ? null : (JSON.parse(text).code as string);
      resolve({ status: response.statusCode ?? 0, code, headers: response.headers });
    });
    request.on('error', reject);
    request.end(more.body === undefined ? undefined : JSON.stringify(more.body));
  });
}

const signIn = (
  app: TestApp,
  token: string,
  more: { from?: string; headers?: Record<string, string> } = {},
) => ask(app, 'POST', '/api/v1/sign-in', { body: { token }, ...more });

test('RL-01 RL-02 the 6th try to sign in within a minute is 429, on whichever replica, and after a restart too', async () => {
  const [a, b] = [await replica(''), await replica('')];
  const codes: (string | null)[] = [];
  for (const app of [a, b, a, b, a]) codes.push((await signIn(app, 'ghl_guess', { from: '127.0.1.1' })).code);
  assert.deepEqual(new Set(codes), new Set(['sign_in_link_invalid']));
  for (const app of [b, a, await replica('')]) {
    const { status, code, headers } = await signIn(app, 'ghl_guess', { from: '127.0.1.1' });
    assert.deepEqual([status, code], [429, 'rate_limited']);
    const wait = Number(headers['retry-after']);
    assert.ok(Number.isInteger(wait) && wait >= 1 && wait <= 60, String(headers['retry-after']));
    assert.equal(headers['ratelimit-policy'], '"login";q=5;w=60');
    assert.equal(headers.ratelimit, `"login";r=0;t=${wait}`);
    assert.match(String(headers['content-type']), /^application\/problem\+json/);
  }
  // Another account, or the same one from elsewhere, is not that account from here.
  assert.equal((await signIn(a, 'ghl_other', { from: '127.0.1.1' })).code, 'sign_in_link_invalid');
  assert.equal((await signIn(a, 'ghl_guess', { from: '127.0.1.2' })).code, 'sign_in_link_invalid');
});

test('RL-02 an address that tries many accounts is limited as well', async () => {
  const app = await replica('login_address=7');
  const answers: (string | null)[] = [];
  for (let i = 0; i < 8; i++) answers.push((await signIn(app, `ghl_spray_${i}`, { from: '127.0.2.1' })).code);
  assert.deepEqual(answers.slice(6), ['sign_in_link_invalid', 'rate_limited']);
});

test('RL-02 each limit bites for what it counts, and its header fields count down', async () => {
  const app = await replica('read=4,write=2,costly=1,stream=1');
  const headers = { authorization: `Bearer ${app.key}` };
  const of = (method: string, path: string, body?: unknown) => ask(app, method, path, { headers, body });
  const reads = [];
  for (let i = 0; i < 5; i++) reads.push(await of('GET', '/api/v1/me'));
  assert.deepEqual(
    reads.map(answer => answer.status),
    [200, 200, 200, 200, 429],
  );
  assert.deepEqual(
    reads.slice(0, 4).map(answer => /r=(\d+)/.exec(String(answer.headers.ratelimit))?.[1]),
    ['3', '2', '1', '0'],
  );
  assert.equal(reads[0]?.headers['ratelimit-policy'], '"read";q=4;w=60');
  const writes = [];
  for (let i = 0; i < 3; i++) writes.push((await of('POST', '/api/v1/tasks', {})).status);
  assert.deepEqual(writes, [422, 422, 429]);
  const diff = '/api/v1/tasks/task_00000000000000000000000000/diff';
  assert.notEqual((await of('GET', diff)).status, 429);
  assert.equal((await of('GET', diff)).code, 'rate_limited');
  const wrongStart = '/api/v1/events?last_event_id=x';
  assert.equal((await of('GET', wrongStart)).code, 'last_event_id_invalid');
  assert.equal((await of('GET', wrongStart)).code, 'rate_limited');
});

test('RL-02 a key, an organization, an address and all together have a limit each', async () => {
  for (const [name, refusing] of [
    ['key', 'key'],
    ['organization', 'organization'],
    ['address', 'address'],
    ['global', 'global'],
  ] as const) {
    // Counters of the tests before are not of this one.
    await database.pool.query('delete from rate_limits');
    const app = await replica(`${name}=3`);
    const headers = { authorization: `Bearer ${app.key}` };
    const statuses: number[] = [];
    for (let i = 0; i < 4; i++) {
      // Each from another address, but for the limit of addresses.
      const from = name === 'address' ? '127.0.3.1' : `127.0.3.${10 + i}`;
      statuses.push((await ask(app, 'GET', '/api/v1/me', { headers, from })).status);
    }
    assert.deepEqual(statuses, [200, 200, 200, 429], name);
    const { headers: refused } = await ask(app, 'GET', '/api/v1/me', { headers, from: '127.0.3.1' });
    assert.match(String(refused['ratelimit-policy']), new RegExp(`^"${refusing}";q=3;`));
  }
});

test('a probe of the process is answered whatever the limits', async () => {
  const app = await replica('address=1,global=1');
  for (let i = 0; i < 5; i++)
    assert.equal((await ask(app, 'GET', '/livez', { from: '127.0.4.1' })).status, 200);
});

test('X-42 X-Forwarded-For of nobody that is trusted changes nothing', async () => {
  await database.pool.query('delete from rate_limits');
  const app = await replica('address=3');
  for (const [i, forwarded] of ['1.1.1.1', '2.2.2.2', '127.0.0.1, 3.3.3.3', '4.4.4.4'].entries()) {
    const headers = { 'x-forwarded-for': forwarded, 'x-real-ip': forwarded, forwarded: `for=${forwarded}` };
    const { status } = await ask(app, 'GET', '/version', { from: '127.0.5.1', headers });
    assert.equal(status, i < 3 ? 200 : 429, forwarded);
  }
});

test('X-42 a trusted proxy names the client: its last word counts, not what the client claimed before', async () => {
  const app = await replica('address=2', { GUILDHALL_TRUSTED_PROXIES: '127.0.6.0/24,10.0.0.0/8' });
  const get = (forwarded: string | null, from = '127.0.6.1') =>
    ask(app, 'GET', '/version', {
      from,
      headers: forwarded === null ? {} : { 'x-forwarded-for': forwarded },
    });
  /** Each line: requests that are one client. */
  const clients: [string | null, string?][][] = [
    // The client writes what it likes in front of the address that the proxy appends.
    [['203.0.113.1'], ['1.1.1.1, 203.0.113.1'], ['127.0.0.1,203.0.113.1']],
    // Two proxies of ours in a row.
    [['203.0.113.2, 10.1.2.3'], ['9.9.9.9, 203.0.113.2, 10.9.9.9'], ['203.0.113.2']],
    // Of IPv6 a /64 is one client, in any spelling; mapped IPv4 is IPv4.
    [['2001:db8:1:2::1'], ['2001:DB8:1:2:ffff::9'], ['2001:0db8:0001:0002:0:0:0:3']],
    [['::ffff:203.0.113.3'], ['203.0.113.3'], ['::ffff:cb00:7103']],
    // What is no address counts as the proxy that passed it on.
    [
      ['unknown', '127.0.6.7'],
      ['<script>', '127.0.6.7'],
      [null, '127.0.6.7'],
    ],
    // An untrusted peer is itself, whatever it sends.
    [
      ['203.0.113.9', '127.0.7.1'],
      ['203.0.113.10', '127.0.7.1'],
      [null, '127.0.7.1'],
    ],
  ];
  for (const requests of clients) {
    const statuses: number[] = [];
    for (const [forwarded, from] of requests) statuses.push((await get(forwarded, from)).status);
    assert.deepEqual(statuses, [200, 200, 429], JSON.stringify(requests));
  }
  for (const other of ['203.0.113.4', '2001:db8:1:3::1', '2001:db8::1']) {
    assert.equal((await get(other)).status, 200, other);
  }
});

test('X-42 the host that a proxy forwards is believed only of a trusted one', async () => {
  const app = await replica('', {
    GUILDHALL_TRUSTED_PROXIES: '127.0.8.1',
    GUILDHALL_ALLOWED_HOSTS: 'guildhall.example',
  });
  const get = (from: string, forwarded: string) =>
    ask(app, 'GET', '/version', { from, headers: { 'x-forwarded-host': forwarded } });
  assert.equal((await get('127.0.8.1', 'guildhall.example')).status, 200);
  assert.equal((await get('127.0.8.1', 'evil.example')).status, 421);
  assert.equal((await get('127.0.9.1', 'evil.example')).status, 200); // Its own Host is right.
});
