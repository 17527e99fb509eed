import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { startTestApp } from '../../../test/harness/app.ts';
import { addOrganization } from '../../../test/harness/organization.ts';
import { newVisitor, type Visitor } from '../../../test/harness/visitor.ts';
import { hours, ManualClock } from '../../base/time.ts';

const clock = new ManualClock();
const guildhall = await startTestApp({
  roles: ['api'],
  clock,
  env: { GUILDHALL_LIMITS: 'login=1000,login_address=10000' },
});
after(() => guildhall[Symbol.asyncDispose]());
const { api } = guildhall;
const { db } = guildhall.database;
const password = 'seven green teapots sail';
const visit = (): Visitor => newVisitor(guildhall.app.url as string);

async function invite(
  email: string,
  more: object = {},
  key?: string,
): Promise<{ id: string; token: string }> {
  const headers: Record<string, string> = key ? { authorization: `Bearer ${key}` } : {};
  const { status, body } = await api<{ invitation: { id: string }; path: string }>(
    'POST',
    '/api/v1/invitations',
    { email, ...more },
    headers,
  );
  assert.equal(status, 200, JSON.stringify(body));
  return { id: body.invitation.id, token: body.path.slice('/invitation#'.length) };
}

const accept = (visitor: Visitor, token: string, name = 'Somebody') =>
  visitor.json('POST', '/api/v1/auth/invitation/accept', { token, name, password });

test('an invitation is shown and accepted once; of several at the same time one gets the place', async () => {
  const { token } = await invite('Ann@Example.com', { role: 'viewer' });
  const offer = await visit().json('POST', '/api/v1/auth/invitation', { token });
  assert.deepEqual(offer.body, {
    ...{ organization: 'My organization', email: 'ann@example.com', role: 'viewer', account_exists: false },
  });
  const visitors = Array.from({ length: 5 }, visit);
  const answers = await Promise.all(visitors.map(visitor => accept(visitor, token, 'Ann')));
  assert.deepEqual(answers.map(a => a.status).sort(), [200, 401, 401, 401, 401]);
  const winner = visitors[answers.findIndex(a => a.status === 200)] as Visitor;
  const me = await winner.json<{ member: object }>('GET', '/api/v1/me');
  assert.partialDeepStrictEqual(me.body.member, { name: 'Ann', role: 'viewer' });
  const users = await db.selectFrom('users').select('id').where('email', '=', 'ann@example.com').execute();
  assert.equal(users.length, 1);
});

test('an invitation ends with its time, when it is withdrawn, and when a new one takes its place', async () => {
  const late = await invite('late@example.com', { expires_in_hours: 1 });
  clock.advance(hours(1));
  const withdrawn = await invite('withdrawn@example.com');
  assert.equal((await api('DELETE', `/api/v1/invitations/${withdrawn.id}`)).status, 200);
  const again = await api('DELETE', `/api/v1/invitations/${withdrawn.id}`);
  assert.deepEqual([again.status, again.body.code], [404, 'invitation_missing']);
  const first = await invite('twice@example.com');
  const second = await invite('twice@example.com');
  for (const { token } of [late, withdrawn, first, { token: 'ghi_x' }]) {
    assert.equal((await accept(visit(), token)).body.code, 'invitation_invalid');
    const shown = await visit().json('POST', '/api/v1/auth/invitation', { token });
    assert.equal(shown.body.code, 'invitation_invalid');
  }
  assert.equal((await accept(visit(), second.token)).status, 200);
  const already = await api('POST', '/api/v1/invitations', { email: 'twice@example.com' });
  assert.deepEqual([already.status, already.body.code], [409, 'member_already']);
});

test('somebody with an account takes the place signed in, and only the one meant for them', async () => {
  const other = await addOrganization(db, 'other', new Date(clock.now()));
  const bob = visit();
  await accept(bob, (await invite('bob@example.com')).token, 'Bob');
  await bob.refresh();
  const { token } = await invite('bob@example.com', { role: 'viewer' }, other.key);
  const offer = await visit().json<{ account_exists: boolean }>('POST', '/api/v1/auth/invitation', { token });
  assert.equal(offer.body.account_exists, true);
  const stranger = await accept(visit(), token);
  assert.deepEqual(
    [stranger.status, stranger.body.code],
    [409, 'sign_in_first'],
    'a link is not the account',
  );

  const eve = visit();
  await accept(eve, (await invite('eve@example.com')).token, 'Eve');
  await eve.refresh();
  const stolen = await eve.json('POST', '/api/v1/invitations/accept', { token });
  assert.deepEqual([stolen.status, stolen.body.code], [403, 'invitation_for_another']);

  const taken = await bob.json('POST', '/api/v1/invitations/accept', { token });
  assert.deepEqual(taken.body, { organization_id: other.organizationId });
  const there = await bob.send('GET', '/api/v1/me', undefined, { 'x-organization': other.organizationId });
  assert.partialDeepStrictEqual(await there.json(), {
    organization_id: other.organizationId,
    member: { role: 'viewer' },
  });

  // Now that Bob is in both, an admin of neither can become him.
  const members = await db
    .selectFrom('members')
    .innerJoin('users', 'users.id', 'members.user_id')
    .where('users.email', '=', 'bob@example.com')
    .select(['members.id', 'members.organization_id'])
    .execute();
  assert.equal(members.length, 2);
  for (const { id, organization_id: of } of members) {
    const headers: Record<string, string> =
      of === other.organizationId ? { authorization: `Bearer ${other.key}` } : {};
    const link = await api('POST', `/api/v1/members/${id}/password-links`, undefined, headers);
    assert.deepEqual([link.status, link.body.code], [403, 'person_shared']);
  }
});

test('invitations of another organization are not there', async () => {
  const other = await addOrganization(db, 'third', new Date(clock.now()));
  const { id } = await invite('theirs@example.com', {}, other.key);
  const list = await api<{ items: { id: string }[] }>('GET', '/api/v1/invitations');
  assert.ok(list.body.items.length > 0 && list.body.items.every(item => item.id !== id));
  assert.equal((await api('DELETE', `/api/v1/invitations/${id}`)).status, 404);
});

test('the owner of a new server claims it with the link that the start prints', async () => {
  await using fresh = await startTestApp({ roles: ['api'] });
  const link = await fresh.api<{ path: string }>('POST', '/api/v1/sign-in-links');
  const owner = newVisitor(fresh.app.url as string);
  await owner.json('POST', '/api/v1/sign-in', { token: link.body.path.split('#')[1] });
  await owner.refresh();
  const before = await owner.json('GET', '/api/v1/account');
  assert.partialDeepStrictEqual(before.body, { email: null, has_password: false });
  const set = (body: object) => owner.json('POST', '/api/v1/account/password', body);
  assert.equal((await set({ new_password: password })).body.code, 'email_needed');
  assert.equal(
    (await set({ new_password: 'short', email: 'o@example.com' })).body.code,
    'password_too_short',
  );
  assert.equal((await set({ new_password: password, email: 'O@example.com' })).status, 200);
  const again = newVisitor(fresh.app.url as string);
  const signedIn = await again.json('POST', '/api/v1/auth/password', { email: 'o@example.com', password });
  assert.equal(signedIn.status, 200);
  const late = await fresh.api('POST', '/api/v1/bootstrap', { email: 'x@example.com' });
  assert.deepEqual([late.status, late.body.code], [409, 'bootstrapped_already']);
});
