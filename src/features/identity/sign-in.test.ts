import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { after, test } from 'node:test';
import { startTestApp } from '../../../test/harness/app.ts';
import { newVisitor, type Visitor } from '../../../test/harness/visitor.ts';

const guildhall = await startTestApp({
  roles: ['api'],
  env: { GUILDHALL_LIMITS: 'login=1000,login_address=10000' },
});
after(() => guildhall[Symbol.asyncDispose]());
const { db } = guildhall.database;
const { api } = guildhall;
const visit = (): Visitor => newVisitor(guildhall.app.url as string);
const good = 'seven green teapots sail';

/** RFC 6238, as an authenticator app computes it. */
function codeOf(secret: string, at: number = Date.now()): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
  const bits = [...secret.replace(/=+$/, '')]
    .map(char => alphabet.indexOf(char).toString(2).padStart(5, '0'))
    .join('');
  const key = Buffer.from((bits.match(/.{8}/g) ?? []).map(byte => Number.parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(at / 30_000)));
  const digest = createHmac('sha1', key).update(counter).digest();
  const offset = (digest.at(-1) as number) & 15;
  return String((digest.readUInt32BE(offset) & 0x7fffffff) % 1_000_000).padStart(6, '0');
}

let count = 0;
/** Somebody invited, with a password, signed in. */
async function newPerson(role = 'developer'): Promise<{ visitor: Visitor; email: string }> {
  const email = `person${++count}@example.com`;
  const { body } = await api<{ path: string }>('POST', '/api/v1/invitations', { email, role });
  const token = body.path.split('#')[1];
  const visitor = visit();
  const accepted = await visitor.json('POST', '/api/v1/auth/invitation/accept', {
    ...{ token, name: 'Some Person', password: good },
  });
  assert.equal(accepted.status, 200, JSON.stringify(accepted.body));
  await visitor.refresh();
  return { visitor, email };
}

const records = (action: string, outcome: string) =>
  db
    .selectFrom('audit_records')
    .selectAll()
    .where('action', '=', action)
    .where('outcome', '=', outcome as 'ok')
    .orderBy('id', 'desc')
    .execute();

test('the first admin is made once: by a link to set a password, and nobody after them', async () => {
  const made = await api<{ path: string }>('POST', '/api/v1/bootstrap', {
    email: 'Root@Example.com',
    name: 'Root',
  });
  assert.equal(made.status, 200);
  assert.match(made.body.path, /^\/set-password#ghl_/);
  const visitor = visit();
  const token = made.body.path.split('#')[1];
  const weak = await visitor.json('POST', '/api/v1/auth/set-password', { token, password: 'Password1234!' });
  assert.equal(weak.body.code, 'password_too_common');
  const set = await visitor.json('POST', '/api/v1/auth/set-password', { token, password: good });
  assert.equal(set.status, 200, 'a refused password does not use the link up');
  const signedIn = await visitor.json('POST', '/api/v1/auth/password', {
    email: 'root@example.com',
    password: good,
  });
  assert.deepEqual(signedIn.body, { signed_in: true, second_step: false });
  const me = await visitor.json<{ member: { role: string; name: string } }>('GET', '/api/v1/me');
  assert.deepEqual([me.body.member.role, me.body.member.name], ['owner', 'Root']);

  const second = await api('POST', '/api/v1/bootstrap', { email: 'second@example.com', password: good });
  assert.deepEqual([second.status, second.body.code], [409, 'bootstrapped_already'], 'IAM-10');
  assert.equal((await records('admin.bootstrap', 'refused')).length, 1);
  const again = await visitor.json('POST', '/api/v1/auth/set-password', { token, password: `${good} again` });
  assert.equal(again.body.code, 'password_link_invalid');
});

test('a wrong password and an unknown address are refused alike, and recorded without what was typed', async () => {
  const { email } = await newPerson();
  const visitor = visit();
  const wrong = await visitor.json('POST', '/api/v1/auth/password', {
    email,
    password: 'not it, not it at all',
  });
  const unknown = await visitor.json('POST', '/api/v1/auth/password', {
    ...{ email: 'typed-secret@example.com', password: good },
  });
  for (const refused of [wrong, unknown]) {
    assert.equal(refused.status, 401);
    assert.equal(refused.body.code, 'credentials_wrong');
    assert.equal(refused.headers.getSetCookie().length, 0);
  }
  const [last, before] = await records('session.create', 'refused');
  assert.equal(last?.target, null);
  assert.match(before?.target ?? '', /^usr_/);
  assert.ok(!JSON.stringify([last, before]).includes('typed-secret'));
});

test('X-40 passwords lie in the database as argon2id, sessions as hashes; no token is in any answer', async () => {
  const { visitor, email } = await newPerson();
  const answer = await visitor.json('POST', '/api/v1/auth/password', { email, password: good });
  assert.deepEqual(answer.body, { signed_in: true, second_step: false });
  const account = await db
    .selectFrom('accounts as a')
    .innerJoin('users as u', 'u.id', 'a.user_id')
    .where('u.email', '=', email)
    .select('a.password_hash')
    .executeTakeFirstOrThrow();
  assert.match(account.password_hash ?? '', /^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
  const everything = JSON.stringify([
    await db.selectFrom('sessions').selectAll().execute(),
    await db.selectFrom('verifications').selectAll().execute(),
    await db.selectFrom('audit_records').selectAll().execute(),
  ]);
  const token = visitor.cookies.get('guildhall_session') ?? '';
  assert.ok(token.length > 40 && !everything.includes(token));
});

test('a second factor: set up, needed from then on, by app or backup code, each code of which works once', async () => {
  const { visitor, email } = await newPerson();
  const begun = await visitor.json<{ secret: string; uri: string; backup_codes: string[] }>(
    ...(['POST', '/api/v1/account/second-factor', { password: good }] as const),
  );
  assert.equal(begun.status, 200, JSON.stringify(begun.body));
  assert.match(begun.body.uri, /^otpauth:\/\/totp\/Guildhall/);
  const { secret, backup_codes: codes } = begun.body;
  const before = visitor.cookies.get('guildhall_session');
  const wrong = await visitor.json('POST', '/api/v1/account/second-factor/confirm', { code: '000000' });
  assert.equal(wrong.body.code, 'code_wrong');
  const confirmed = await visitor.json('POST', '/api/v1/account/second-factor/confirm', {
    code: codeOf(secret),
  });
  assert.deepEqual(confirmed.body, { on: true });
  assert.notEqual(visitor.cookies.get('guildhall_session'), before, 'the session is a new one');

  const other = visit();
  const first = await other.json('POST', '/api/v1/auth/password', { email, password: good });
  assert.deepEqual(first.body, { signed_in: false, second_step: true });
  assert.ok(!other.cookies.has('guildhall_session'));
  assert.equal((await other.send('GET', '/api/v1/me')).status, 401, 'half a sign-in is none');
  const guess = await other.json('POST', '/api/v1/auth/second-step', { code: '000000' });
  assert.equal(guess.body.code, 'code_wrong');
  const used = codeOf(secret);
  const right = await other.json('POST', '/api/v1/auth/second-step', { code: used });
  assert.deepEqual(right.body, { signed_in: true }, JSON.stringify(right.body));
  const watcher = visit();
  await watcher.json('POST', '/api/v1/auth/password', { email, password: good });
  const replayed = await watcher.json('POST', '/api/v1/auth/second-step', { code: used });
  assert.equal(replayed.body.code, 'code_wrong', 'a code that was seen is worth nothing');
  assert.equal((await watcher.send('GET', '/api/v1/me')).status, 401);
  assert.equal((await other.send('GET', '/api/v1/me')).status, 200);

  const [backup = ''] = codes;
  for (const expected of [200, 401]) {
    const third = visit();
    await third.json('POST', '/api/v1/auth/password', { email, password: good });
    const used = await third.json('POST', '/api/v1/auth/second-step', { code: backup, kind: 'backup' });
    assert.equal(used.status, expected, JSON.stringify(used.body));
  }
  const rows = JSON.stringify(await db.selectFrom('second_factors').selectAll().execute());
  assert.ok(!rows.includes(secret) && !rows.includes(codes[1] as string), 'encrypted');

  await other.refresh();
  const off = await other.json('POST', '/api/v1/account/second-factor/remove', { password: good });
  assert.deepEqual(off.body, { on: false });
  const plain = await visit().json('POST', '/api/v1/auth/password', { email, password: good });
  assert.deepEqual(plain.body, { signed_in: true, second_step: false });
  for (const action of ['begin', 'confirm', 'remove'])
    assert.ok((await records(`second_factor.${action}`, 'ok')).length >= 1, action);
});

test('five wrong codes end a sign-in: the right one comes too late', async () => {
  const { visitor, email } = await newPerson();
  const begun = await visitor.json<{ secret: string }>('POST', '/api/v1/account/second-factor', {
    password: good,
  });
  await visitor.json('POST', '/api/v1/account/second-factor/confirm', { code: codeOf(begun.body.secret) });
  const thief = visit();
  await thief.json('POST', '/api/v1/auth/password', { email, password: good });
  for (let n = 0; n < 5; n++) {
    const guess = await thief.json('POST', '/api/v1/auth/second-step', { code: '000000' });
    assert.equal(guess.status, 401);
  }
  const late = await thief.json('POST', '/api/v1/auth/second-step', { code: codeOf(begun.body.secret) });
  assert.equal(late.body.code, 'second_step_expired', JSON.stringify(late.body));
});

test('a password is changed with the present one; other sessions end, this one goes on', async () => {
  const { visitor, email } = await newPerson();
  const elsewhere = visit();
  await elsewhere.json('POST', '/api/v1/auth/password', { email, password: good });
  const wanted = 'nine purple lanterns hum';
  const without = await visitor.json('POST', '/api/v1/account/password', { new_password: wanted });
  assert.equal(without.body.code, 'password_wrong');
  const changed = await visitor.json('POST', '/api/v1/account/password', {
    ...{ current_password: good, new_password: wanted },
  });
  assert.equal(changed.status, 200, JSON.stringify(changed.body));
  assert.equal((await elsewhere.send('GET', '/api/v1/me')).status, 401);
  assert.equal((await visitor.send('GET', '/api/v1/me')).status, 200);
  const old = await visit().json('POST', '/api/v1/auth/password', { email, password: good });
  assert.equal(old.status, 401);
  const fresh = await visit().json('POST', '/api/v1/auth/password', { email, password: wanted });
  assert.equal(fresh.status, 200);
});

test('IAM-05 one sees and ends one’s own sessions; out everywhere ends this one too', async () => {
  const { visitor, email } = await newPerson();
  const elsewhere = visit();
  await elsewhere.json('POST', '/api/v1/auth/password', { email, password: good });
  const list = await visitor.json<{ items: { id: string; current: boolean; method: string }[] }>(
    'GET',
    '/api/v1/sessions',
  );
  assert.deepEqual(
    list.body.items.map(s => [s.current, s.method]),
    [
      [false, 'password'],
      [true, 'invitation'],
    ],
  );
  const stranger = await newPerson();
  const [other] = list.body.items;
  const foreign = await stranger.visitor.json('DELETE', `/api/v1/sessions/${other?.id}`);
  assert.equal(foreign.body.code, 'session_missing');
  assert.equal((await elsewhere.send('GET', '/api/v1/me')).status, 200);
  assert.equal((await visitor.json('DELETE', `/api/v1/sessions/${other?.id}`)).status, 200);
  assert.equal((await elsewhere.send('GET', '/api/v1/me')).status, 401);
  const all = await visitor.json('POST', '/api/v1/sessions/end-all');
  assert.deepEqual(all.body, { ended: 1 });
  assert.equal((await visitor.send('GET', '/api/v1/me')).status, 401);
});

test('an admin ends the sessions of a member and makes a link for a new password', async () => {
  const { visitor, email } = await newPerson();
  const { body: me } = await visitor.json<{ member: { id: string } }>('GET', '/api/v1/me');
  const ended = await api('DELETE', `/api/v1/members/${me.member.id}/sessions`);
  assert.deepEqual(ended.body, { ended: 1 });
  assert.equal((await visitor.send('GET', '/api/v1/me')).status, 401);
  const link = await api<{ path: string }>('POST', `/api/v1/members/${me.member.id}/password-links`);
  const token = link.body.path.split('#')[1];
  const wanted = 'eleven quiet foxes bake';
  const asSignIn = await visitor.json('POST', '/api/v1/sign-in', { token });
  assert.equal(asSignIn.body.code, 'sign_in_link_invalid', 'a link for a password signs nobody in');
  assert.equal(
    (await visitor.json('POST', '/api/v1/auth/set-password', { token, password: wanted })).status,
    200,
  );
  assert.equal(
    (await visit().json('POST', '/api/v1/auth/password', { email, password: wanted })).status,
    200,
  );
});

test('X-14 a sign-in from another site, or from a form, is refused', async () => {
  const { email } = await newPerson();
  const body = { email, password: good };
  const forged: Record<string, string>[] = [
    { origin: 'https://evil.example' },
    { origin: 'null' },
    { 'sec-fetch-site': 'cross-site' },
  ];
  for (const headers of forged) {
    const refused = await visit().send('POST', '/api/v1/auth/password', body, headers);
    assert.equal(refused.status, 403);
    assert.equal(((await refused.json()) as { code: string }).code, 'origin_refused');
    assert.equal(refused.headers.getSetCookie().length, 0);
  }
  const form = await fetch(`${guildhall.app.url}/api/v1/auth/password`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams(body),
  });
  assert.equal(form.status, 415);
  const own = await visit().send('POST', '/api/v1/auth/password', body, {
    origin: guildhall.app.url as string,
  });
  assert.equal(own.status, 200);
});

test('nobody makes an account unasked, unless the operator has opened that', async () => {
  const person = { name: 'Anybody', email: 'anybody@example.com', password: good };
  const closed = await visit().json('POST', '/api/v1/auth/sign-up', person);
  assert.deepEqual([closed.status, closed.body.code], [403, 'sign_up_closed']);
  await using open = await startTestApp({
    roles: ['api'],
    database: guildhall.database,
    env: { GUILDHALL_SIGN_UP: 'open', GUILDHALL_LIMITS: 'login=1000,login_address=10000' },
  });
  const visitor = newVisitor(open.app.url as string);
  assert.equal((await visitor.json('POST', '/api/v1/auth/sign-up', person)).status, 200);
  const me = await visitor.json<{ member: { role: string } }>('GET', '/api/v1/me');
  assert.equal(me.body.member.role, 'none');
  const tasks = await visitor.json('GET', '/api/v1/tasks');
  assert.deepEqual([tasks.status, tasks.body.code], [403, 'no_access']);
  const twice = await newVisitor(open.app.url as string).json('POST', '/api/v1/auth/sign-up', person);
  assert.equal(twice.body.code, 'email_taken');
});

test('of the library only what we use is there: its own routes answer 404', async () => {
  for (const path of [
    'sign-in/email',
    'sign-up/email',
    'get-session',
    'list-sessions',
    'two-factor/enable',
    'ok',
    'error',
  ]) {
    for (const method of ['GET', 'POST']) {
      const answer = await visit().send(method, `/api/v1/auth/${path}`, method === 'POST' ? {} : undefined);
      assert.ok([404, 405].includes(answer.status), `${method} ${path}: ${answer.status}`);
    }
  }
});

test('whoever guesses at a browser that stands open is stopped after five tries, on every route together', async () => {
  await using strict = await startTestApp({ roles: ['api'] });
  const made = await strict.api<{ path: string }>('POST', '/api/v1/invitations', {
    email: 'open@example.com',
  });
  const visitor = newVisitor(strict.app.url as string);
  const token = made.body.path.split('#')[1];
  await visitor.json('POST', '/api/v1/auth/invitation/accept', { token, name: 'Open', password: good });
  await visitor.refresh();
  const statuses: number[] = [];
  for (let n = 0; n < 4; n++) {
    const guess = { current_password: `guess number ${n}`, new_password: `${good} indeed` };
    statuses.push((await visitor.send('POST', '/api/v1/account/password', guess)).status);
    const other = { password: `guess number ${n}` };
    statuses.push((await visitor.send('POST', '/api/v1/account/second-factor/remove', other)).status);
  }
  assert.deepEqual(statuses, [403, 403, 403, 403, 403, 429, 429, 429]);
});
