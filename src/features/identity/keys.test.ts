import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, test } from 'node:test';
import { startTestApp } from '../../../test/harness/app.ts';
import { addOrganization } from '../../../test/harness/organization.ts';
import { addMember, askAs } from '../../../test/harness/people.ts';
import { ManualClock, minutes } from '../../base/time.ts';

const days = (n: number): number => n * 86_400_000;
const clock = new ManualClock();
const guildhall = await startTestApp({ roles: ['api'], clock });
after(() => guildhall[Symbol.asyncDispose]());
const { db } = guildhall.database;

const as = async (key: string, method = 'GET', path = '/api/v1/me', body?: unknown) => {
  const answer = await guildhall.api<{ code?: string; scopes?: string[] }>(method, path, body, {
    authorization: `Bearer ${key}`,
  });
  return answer;
};
const rowOf = (id: string) =>
  db.selectFrom('api_keys').selectAll().where('id', '=', id).executeTakeFirstOrThrow();

async function newKey(input: object = {}): Promise<{ id: string; key: string }> {
  const made = await guildhall.api<{ id: string; key: string }>('POST', '/api/v1/api-keys', {
    name: 'robot',
    ...input,
  });
  assert.equal(made.status, 200, JSON.stringify(made.body));
  return made.body;
}

test('IAM-03 X-40 a key works; the database holds its hash only, and it is shown once', async () => {
  const { id, key } = await newKey();
  assert.match(key, /^ghk_[A-Za-z0-9_-]{43}$/);
  assert.deepEqual((await as(key)).body.scopes, ['read', 'write']);
  const row = await rowOf(id);
  assert.equal(row.key_hash, createHash('sha256').update(key).digest('hex'));
  assert.equal(row.prefix, key.slice(0, 10));
  const everything = JSON.stringify([
    row,
    await db.selectFrom('audit_records').selectAll().execute(),
    await db.selectFrom('events').select(['type', 'data']).execute(),
    await db.selectFrom('idempotency_keys').selectAll().execute(),
    (await guildhall.api('GET', '/api/v1/api-keys')).body,
  ]);
  assert.ok(!everything.includes(key) && !everything.includes(key.slice(12)));
});

test('IAM-03 a secret is not kept for a replay: the same Idempotency-Key gives a key of its own', async () => {
  const make = () =>
    guildhall.api<{ key: string }>(
      'POST',
      '/api/v1/api-keys',
      { name: 'twice' },
      { 'idempotency-key': 'k1' },
    );
  assert.notEqual((await make()).body.key, (await make()).body.key);
});

test('IAM-03 an expired key is refused from the very moment on', async () => {
  const { id, key } = await newKey({ expires_in_days: 1 });
  const expires = (await rowOf(id)).expires_at as Date;
  assert.equal(expires.getTime(), clock.now() + days(1));
  clock.advance(days(1) - 1);
  assert.equal((await as(key)).status, 200);
  clock.advance(1);
  assert.equal((await as(key)).status, 401);
});

test('IAM-03 without another wish a key ends after 90 days; for ever only when asked for', async () => {
  const usual = await rowOf((await newKey()).id);
  assert.equal((usual.expires_at as Date).getTime(), clock.now() + days(90));
  assert.equal((await rowOf((await newKey({ expires_in_days: null })).id)).expires_at, null);
});

test('IAM-03 a revoked key is refused at once, and cannot be revoked twice', async () => {
  const { id, key } = await newKey();
  assert.equal((await as(key)).status, 200);
  assert.equal((await guildhall.api('DELETE', `/api/v1/api-keys/${id}`)).status, 200);
  assert.equal((await as(key)).status, 401);
  const again = await guildhall.api<{ code: string }>('DELETE', `/api/v1/api-keys/${id}`);
  assert.deepEqual([again.status, again.body.code], [404, 'api_key_missing']);
});

test('IAM-03 the time of the last use is kept, to the minute', async () => {
  const { id, key } = await newKey({ expires_in_days: null });
  assert.equal((await rowOf(id)).last_used_at, null);
  const first = clock.now();
  await as(key);
  assert.equal((await rowOf(id)).last_used_at?.getTime(), first);
  clock.advance(minutes(1));
  await as(key);
  assert.equal((await rowOf(id)).last_used_at?.getTime(), first, 'within a minute it is not written again');
  clock.advance(1);
  await as(key);
  assert.equal((await rowOf(id)).last_used_at?.getTime(), clock.now());
});

test('IAM-03 nobody gives a key a scope that they do not hold', async () => {
  const { key } = await newKey({ scopes: ['read', 'key.own', 'task.create'] });
  const make = (scopes: string[]) => as(key, 'POST', '/api/v1/api-keys', { name: 'more', scopes });
  for (const beyond of ['write', 'admin', 'task.control', 'member.manage']) {
    const answer = await make(['read', beyond]);
    assert.deepEqual([answer.status, answer.body.code], [403, 'scope_not_held'], beyond);
  }
  assert.equal((await make(['read', 'task.create'])).status, 200);
  assert.equal((await make(['everything'])).status, 422);
});

test('IAM-03 a key can do no more than its member, whatever it was given', async () => {
  const { key } = await newKey({ scopes: ['read', 'write', 'admin'], expires_in_days: null });
  const { ownerId } = guildhall.app.installation;
  const roles = [
    ['viewer', ['read']],
    ['auditor', ['read']],
    ['developer', ['read', 'write']],
    ['manager', ['read', 'write']],
    ['none', []],
    ['owner', ['read', 'write', 'admin']],
  ] as const;
  for (const [role, scopes] of roles) {
    await db.updateTable('members').set({ role }).where('id', '=', ownerId).execute();
    const answer = await as(key);
    assert.deepEqual(answer.body.scopes, scopes, role);
    const tasks = await as(key, 'GET', '/api/v1/tasks');
    assert.deepEqual(
      [tasks.status, tasks.body.code],
      role === 'none' ? [403, 'no_access'] : [200, undefined],
    );
  }
});

test('IAM-03 making and revoking a key are on record', async () => {
  const { id } = await newKey();
  await guildhall.api('DELETE', `/api/v1/api-keys/${id}`, undefined, { 'x-request-id': 'revoke-it' });
  const records = await db
    .selectFrom('audit_records')
    .select(['action', 'actor', 'outcome', 'request_id'])
    .where('target', '=', id)
    .orderBy('id')
    .execute();
  assert.deepEqual(
    records.map(r => [r.action, r.outcome]),
    [
      ['api_key.create', 'ok'],
      ['api_key.revoke', 'ok'],
    ],
  );
  assert.equal(records[1]?.request_id, 'revoke-it');
  assert.equal(records[0]?.actor, `member:${guildhall.app.installation.ownerId}`);
});

test('keys of another organization are neither listed nor revocable', async () => {
  const other = await addOrganization(db, 'other', new Date(clock.now()));
  const { id } = await newKey();
  const listed = await guildhall.api<{ items: { id: string }[] }>('GET', '/api/v1/api-keys', undefined, {
    authorization: `Bearer ${other.key}`,
  });
  assert.equal(listed.body.items.length, 1);
  assert.equal((await as(other.key, 'DELETE', `/api/v1/api-keys/${id}`)).status, 404);
  assert.equal((await rowOf(id)).revoked_at, null);
});

test('IAM-03 rotated: the new key works like the old one, which ends when the overlap is over', async () => {
  const { id, key } = await newKey({ scopes: ['read', 'task.create'], expires_in_days: 30 });
  const rotate = (body: object) =>
    guildhall.api<{ id: string; key: string; old_key_ends_at: string; code?: string }>(
      'POST',
      `/api/v1/api-keys/${id}/rotate`,
      body,
    );
  const { status, body } = await rotate({ overlap_minutes: 30 });
  assert.equal(status, 200);
  assert.equal(Date.parse(body.old_key_ends_at), clock.now() + minutes(30));
  const [old, fresh] = [await rowOf(id), await rowOf(body.id)];
  assert.deepEqual([fresh.scopes, fresh.name, fresh.member_id], [old.scopes, old.name, old.member_id]);
  assert.equal(
    (fresh.expires_at as Date).getTime(),
    clock.now() + days(30),
    'as long as the old one was made for',
  );
  assert.equal(old.replaced_by, fresh.id);
  for (const one of [key, body.key]) assert.equal((await as(one)).status, 200);
  assert.equal((await rotate({})).body.code, 'api_key_rotated');
  clock.advance(minutes(30) - 1);
  assert.equal((await as(key)).status, 200);
  clock.advance(1);
  assert.equal((await as(key)).status, 401);
  assert.equal((await as(body.key)).status, 200);
  assert.equal((await rotate({})).body.code, 'api_key_missing', 'what has ended is not rotated');
});

test('IAM-03 rotating does not prolong a key that would have ended sooner, and can end it at once', async () => {
  const { id, key } = await newKey({ expires_in_days: 1 });
  clock.advance(days(1) - minutes(5));
  const { body } = await guildhall.api<{ old_key_ends_at: string }>('POST', `/api/v1/api-keys/${id}/rotate`, {
    overlap_minutes: 600,
  });
  assert.equal(Date.parse(body.old_key_ends_at), clock.now() + minutes(5));
  const other = await newKey();
  await guildhall.api('POST', `/api/v1/api-keys/${other.id}/rotate`, { overlap_minutes: 0 });
  assert.equal((await as(other.key)).status, 401);
  assert.equal((await as(key)).status, 200);
});

test('IAM-03 members make, see and revoke keys of their own; only who manages keys those of others', async () => {
  const { organizationId } = guildhall.app.installation;
  const developer = await addMember(db, organizationId, 'developer', new Date(clock.now()));
  const { id } = await newKey();
  const made = await askAs<{ id: string }>(guildhall, developer, 'POST', '/api/v1/api-keys', {
    name: 'mine',
  });
  assert.equal(made.status, 200);
  const list = await askAs<{ items: { member_id: string }[] }>(
    guildhall,
    developer,
    'GET',
    '/api/v1/api-keys',
  );
  assert.deepEqual(new Set(list.body.items.map(k => k.member_id)), new Set([developer.id]));
  const revoke = async (key: string) =>
    (await askAs(guildhall, developer, 'DELETE', `/api/v1/api-keys/${key}`)).status;
  assert.equal(await revoke(id), 404);
  assert.equal(await revoke(made.body.id), 200);
  const rotate = await askAs(guildhall, developer, 'POST', `/api/v1/api-keys/${id}/rotate`);
  assert.deepEqual([rotate.status, rotate.code], [403, 'key_of_another']);
});
