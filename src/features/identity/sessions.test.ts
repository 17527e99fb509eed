import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, test } from 'node:test';
import { startTestApp } from '../../../test/harness/app.ts';
import { ManualClock } from '../../base/time.ts';
import { transact } from '../../platform/db/db.ts';
import { sessionLifeMs, sweepSessions } from './sessions.ts';
import { signInLinkLifeMs } from './sign-in-links.ts';

const clock = new ManualClock();
const guildhall = await startTestApp({
  roles: ['api'],
  clock,
  env: { GUILDHALL_LIMITS: 'login=1000,login_address=10000' },
});
after(() => guildhall[Symbol.asyncDispose]());
const { db } = guildhall.database;

async function newLink(): Promise<string> {
  const made = await guildhall.api<{ path: string }>('POST', '/api/v1/sign-in-links');
  assert.match(made.body.path, /^\/sign-in#ghl_/);
  return made.body.path.slice('/sign-in#'.length);
}

const send = (method: string, path: string, headers: Record<string, string> = {}, body?: unknown) =>
  fetch(`${guildhall.app.url}${path}`, {
    method,
    headers: body === undefined ? headers : { ...headers, 'content-type': 'application/json' },
    body: body === undefined ? undefined : JSON.stringify(body),
  });

const signIn = (token: string) => send('POST', '/api/v1/sign-in', {}, { token });

interface Session {
  cookie: string;
  csrf: string;
}

async function newSession(): Promise<Session> {
  const response = await signIn(await newLink());
  assert.equal(response.status, 200);
  const cookie = response.headers.getSetCookie()[0]?.split(';')[0] ?? '';
  const me = (await (await send('GET', '/api/v1/me', { cookie })).json()) as { csrf_token: string };
  return { cookie, csrf: me.csrf_token };
}

const codeOf = async (response: Response) => ((await response.json()) as { code?: string }).code;

test('a sign-in link works once, of ten at the same time one', async () => {
  const token = await newLink();
  const answers = await Promise.all(Array.from({ length: 10 }, () => signIn(token)));
  const statuses = answers.map(a => a.status);
  assert.equal(statuses.filter(s => s === 200).length, 1);
  assert.equal(statuses.filter(s => s === 401).length, 9);
  const refused = await signIn(token);
  assert.equal(await codeOf(refused), 'sign_in_link_invalid');
  assert.equal(refused.headers.getSetCookie().length, 0);
});

test('a sign-in link expires after half an hour; what is no link is refused alike', async () => {
  const token = await newLink();
  clock.advance(signInLinkLifeMs);
  assert.equal((await signIn(token)).status, 401);
  const late = await newLink();
  clock.advance(signInLinkLifeMs - 1);
  assert.equal((await signIn(late)).status, 200);
  for (const wrong of ['ghl_', `${await newLink()}x`, guildhall.key]) {
    assert.equal(await codeOf(await signIn(wrong)), 'sign_in_link_invalid');
  }
});

test('the database holds hashes of links and sessions, not the tokens', async () => {
  const token = await newLink();
  const response = await signIn(token);
  const session = /guildhall_session=([^;]+)/.exec(response.headers.getSetCookie()[0] ?? '')?.[1] ?? '';
  const rows = JSON.stringify([
    await db.selectFrom('sign_in_links').selectAll().execute(),
    await db.selectFrom('sessions').selectAll().execute(),
    await db.selectFrom('audit_records').selectAll().execute(),
  ]);
  assert.ok(!rows.includes(token) && !rows.includes(session) && session.length > 40);
  assert.ok(rows.includes(createHash('sha256').update(session).digest('hex')));
});

test('IAM-05 the cookie is for this server only: HttpOnly, SameSite=Strict, with an end', async () => {
  const response = await signIn(await newLink());
  const [cookie = ''] = response.headers.getSetCookie();
  assert.match(cookie, /^guildhall_session=ghs_[A-Za-z0-9_-]{43}; /);
  assert.match(cookie, /; HttpOnly(;|$)/);
  assert.match(cookie, /; SameSite=Strict(;|$)/);
  assert.match(cookie, /; Path=\/(;|$)/);
  const expires = Date.parse(/Expires=([^;]+)/.exec(cookie)?.[1] ?? '');
  assert.ok(Math.abs(expires - clock.now() - sessionLifeMs) <= 1_000);
  assert.doesNotMatch(cookie, /Domain=/);
});

test('IAM-05 behind https the cookie is Secure and the browser told to stay with https', async () => {
  await using secure = await startTestApp({
    roles: ['api'],
    clock,
    env: { GUILDHALL_PUBLIC_URL: 'https://guildhall.example' },
  });
  const link = await secure.api<{ path: string }>('POST', '/api/v1/sign-in-links');
  const response = await fetch(`${secure.app.url}/api/v1/sign-in`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ token: link.body.path.split('#')[1] }),
  });
  const [cookie = ''] = response.headers.getSetCookie();
  assert.match(cookie, /^__Host-guildhall_session=ghs_/, 'for this host alone, only by https');
  assert.match(cookie, /; Secure(;|$)/);
  const me = (name: string) =>
    fetch(`${secure.app.url}/api/v1/me`, {
      headers: { cookie: `${name}=${/=([^;]+)/.exec(cookie)?.[1]}` },
    });
  assert.equal((await me('__Host-guildhall_session')).status, 200);
  assert.equal((await me('guildhall_session')).status, 401, 'a cookie that another host may have set');
  assert.match(response.headers.get('strict-transport-security') ?? '', /max-age=31536000/);
});

test('IAM-05 a write with the cookie needs the CSRF token of this very session', async () => {
  const { cookie, csrf } = await newSession();
  const other = await newSession();
  const write = (headers: Record<string, string>) =>
    send('POST', '/api/v1/sign-in-links', { cookie, ...headers });
  assert.equal((await write({ 'x-csrf-token': csrf })).status, 200);
  for (const headers of [
    {},
    { 'x-csrf-token': '' },
    { 'x-csrf-token': `${csrf}x` },
    { 'x-csrf-token': other.csrf },
  ]) {
    const refused = await write(headers as Record<string, string>);
    assert.equal(refused.status, 403);
    assert.equal(await codeOf(refused), 'csrf_token_missing');
  }
  for (const [method, path] of [
    ['POST', '/api/v1/tasks'],
    ['PUT', '/api/v1/budgets'],
    ['DELETE', '/api/v1/api-keys/key_00000000000000000000000000'],
    ['POST', '/api/v1/sign-out'],
  ] as const) {
    assert.equal((await send(method, path, { cookie })).status, 403, path);
  }
  assert.equal((await send('GET', '/api/v1/tasks', { cookie })).status, 200, 'reading needs none');
});

test('IAM-05 signing out ends the session on the server, not only in the browser', async () => {
  const { cookie, csrf } = await newSession();
  const kept = await newSession();
  const response = await send('POST', '/api/v1/sign-out', { cookie, 'x-csrf-token': csrf });
  assert.equal(response.status, 200);
  assert.match(response.headers.getSetCookie()[0] ?? '', /guildhall_session=;.*Expires=Thu, 01 Jan 1970/);
  assert.equal((await send('GET', '/api/v1/me', { cookie })).status, 401);
  assert.equal((await send('GET', '/api/v1/me', { cookie: kept.cookie })).status, 200);
  const records = await db
    .selectFrom('audit_records')
    .select('target')
    .where('action', '=', 'session.revoke')
    .execute();
  assert.equal(records.length, 1);
  assert.match(records[0]?.target ?? '', /^ses_/);
});

test('IAM-05 a session that is ended on one server is ended on the others', async () => {
  await using other = await startTestApp({ roles: ['api'], clock, database: guildhall.database });
  const { cookie, csrf } = await newSession();
  const there = (method: string, path: string, headers: Record<string, string> = {}) =>
    fetch(`${other.app.url}${path}`, { method, headers: { cookie, ...headers } });
  assert.equal((await there('GET', '/api/v1/me')).status, 200, 'both know it');
  const signedOut = await send('POST', '/api/v1/sign-out', { cookie, 'x-csrf-token': csrf });
  assert.equal(signedOut.status, 200);
  assert.equal((await there('GET', '/api/v1/me')).status, 401);
  assert.equal((await there('POST', '/api/v1/sign-in-links', { 'x-csrf-token': csrf })).status, 401);
});

test('IAM-05 a session ends after two weeks', async () => {
  const { cookie } = await newSession();
  clock.advance(sessionLifeMs - 1);
  assert.equal((await send('GET', '/api/v1/me', { cookie })).status, 200);
  clock.advance(1);
  assert.equal((await send('GET', '/api/v1/me', { cookie })).status, 401);
});

test('a wrong Authorization header is not forgiven for a good cookie', async () => {
  const { cookie } = await newSession();
  const response = await send('GET', '/api/v1/me', { cookie, authorization: 'Bearer nonsense' });
  assert.equal(response.status, 401);
});

test('sessions and unfinished sign-ins that have expired are removed, the others stay', async () => {
  const { cookie } = await newSession();
  const now = new Date(clock.now());
  await db
    .insertInto('verifications')
    .values(
      [-1, 1].map(off => ({
        ...{ id: `ver_${off}`, identifier: 'x', value: 'y', created_at: now, updated_at: now },
        expires_at: new Date(clock.now() + off * 60_000),
      })),
    )
    .execute();
  await transact(db, tx => sweepSessions(tx, now, 100));
  assert.equal((await send('GET', '/api/v1/me', { cookie })).status, 200);
  const left = await db.selectFrom('verifications').select('id').execute();
  assert.deepEqual(
    left.map(row => row.id),
    ['ver_1'],
  );
  clock.advance(sessionLifeMs);
  await transact(db, tx => sweepSessions(tx, new Date(clock.now()), 100));
  assert.deepEqual(await db.selectFrom('sessions').select('id').execute(), []);
});
