import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { startTestApp } from '../../../test/harness/app.ts';
import { addMember, askAs, type Person } from '../../../test/harness/people.ts';
import { newId } from '../../base/ids.ts';
import { ManualClock } from '../../base/time.ts';
import { permissionsOf, type Role, roles } from './permissions.ts';

const clock = new ManualClock();
const guildhall = await startTestApp({ roles: ['api'], clock });
after(() => guildhall[Symbol.asyncDispose]());
const { db } = guildhall.database;
const { organizationId, ownerId, projectId } = guildhall.app.installation;
const owner: Person = { id: ownerId, subject: `member:${ownerId}`, key: guildhall.key };
const now = () => new Date(clock.now());
type Body = { id: string; key: string; role: string; items: Record<string, unknown>[] };
const as = (who: { key: string }, method: string, path: string, body?: unknown) =>
  askAs<Body>(guildhall, who, method, path, body);
const setRole = (by: Person, who: Person, role: Role) =>
  as(by, 'PATCH', `/api/v1/members/${who.id}`, { role });

/** Whether all that one role may do, another may too. */
const covers = (held: Role, wanted: Role): boolean =>
  [...permissionsOf(wanted)].every(permission => permissionsOf(held).has(permission));

test('IAM-04 nobody gives or takes a role that may do more than they may, for every pair of roles', async () => {
  for (const by of roles) {
    const granter = await addMember(db, organizationId, by, now());
    for (const wanted of roles) {
      const target = await addMember(db, organizationId, 'none', now());
      const given = await setRole(granter, target, wanted);
      const may = permissionsOf(by).has('member.manage') && covers(by, wanted);
      assert.equal(given.status === 200, may, `${by} gives ${wanted}: ${given.code}`);
      const holder = await addMember(db, organizationId, wanted, now());
      const taken = await setRole(granter, holder, 'none');
      assert.equal(taken.status === 200, may, `${by} takes ${wanted}: ${taken.code}`);
      const onProject = await as(granter, 'PUT', '/api/v1/role-bindings', {
        ...{ subject: target.subject, role: wanted, scope: 'project', scope_id: projectId },
      });
      if (by === 'none' || !permissionsOf(by).has('role.grant')) assert.equal(onProject.status, 403);
      if (onProject.status === 200 && wanted === 'admin') assert.ok(covers(by, 'admin'));
    }
    // Their own role, upwards.
    if (by !== 'owner') assert.notEqual((await setRole(granter, granter, 'owner')).status, 200, by);
  }
});

test('IAM-04 a manager of one project hands on what they hold there, and nothing elsewhere', async () => {
  const other = (await as(owner, 'POST', '/api/v1/projects', { name: 'elsewhere' })).body.id;
  const manager = await addMember(db, organizationId, 'none', now());
  const friend = await addMember(db, organizationId, 'none', now());
  const grant = (by: Person, role: string, scope_id: string, who = friend) =>
    as(by, 'PUT', '/api/v1/role-bindings', { subject: who.subject, role, scope: 'project', scope_id });
  assert.equal((await grant(owner, 'manager', projectId, manager)).status, 200);
  assert.equal((await grant(manager, 'developer', projectId)).status, 200);
  assert.equal((await grant(manager, 'manager', projectId)).status, 200);
  assert.equal((await grant(manager, 'admin', projectId)).code, 'role_not_held');
  assert.equal((await grant(manager, 'admin', projectId, manager)).code, 'role_not_held');
  assert.equal((await grant(manager, 'viewer', other)).code, 'project_missing');
  assert.equal((await grant(owner, 'admin', projectId)).status, 200);
  assert.equal((await grant(manager, 'none', projectId)).code, 'role_not_held', 'nor take what is above');
  const unknown = { id: '', key: '', subject: `member:${newId('mem')}` };
  assert.equal((await grant(owner, 'viewer', projectId, unknown)).code, 'subject_missing');
});

test('the last owner stays one, also when two owners demote each other at the same moment', async () => {
  const others = db.updateTable('members').set({ role: 'none' }).where('id', '<>', ownerId);
  await others.where('role', '=', 'owner').execute();
  assert.equal((await setRole(owner, owner, 'admin')).code, 'last_owner');
  assert.equal((await as(owner, 'POST', `/api/v1/members/${ownerId}/deactivate`)).code, 'last_owner');
  for (let round = 0; round < 5; round++) {
    const second = await addMember(db, organizationId, 'owner', now());
    const answers = await Promise.all([setRole(owner, second, 'admin'), setRole(second, owner, 'admin')]);
    const left = await db
      .selectFrom('members')
      .select('id')
      .where('organization_id', '=', organizationId)
      .where('role', '=', 'owner')
      .execute();
    assert.equal(left.length, 1, JSON.stringify(answers.map(a => a.code)));
    await db.updateTable('members').set({ role: 'admin' }).where('id', '=', second.id).execute();
    await db.updateTable('members').set({ role: 'owner' }).where('id', '=', ownerId).execute();
  }
});

test('whoever is deactivated is out at once, with keys and tokens; let in again, they need a new key', async () => {
  const who = await addMember(db, organizationId, 'developer', now());
  const token = { key: (await as(who, 'POST', '/api/v1/tokens')).body as unknown as { token: string } };
  const holder = { key: token.key.token };
  for (const one of [who, holder]) assert.equal((await as(one, 'GET', '/api/v1/tasks')).status, 200);
  assert.equal((await as(owner, 'POST', `/api/v1/members/${who.id}/deactivate`)).status, 200);
  for (const one of [who, holder]) assert.equal((await as(one, 'GET', '/api/v1/me')).status, 401);
  assert.equal((await as(owner, 'POST', `/api/v1/members/${who.id}/deactivate`)).code, 'member_deactivated');
  assert.equal((await as(owner, 'POST', `/api/v1/members/${who.id}/reactivate`)).status, 200);
  assert.equal((await as(who, 'GET', '/api/v1/me')).status, 401, 'the old key stays revoked');
});

test('a session of somebody who is deactivated is nobody’s, on the very next request', async () => {
  const who = await addMember(db, organizationId, 'admin', now());
  const { body: link } = await askAs<{ path: string }>(guildhall, who, 'POST', '/api/v1/sign-in-links');
  const signedIn = await fetch(`${guildhall.app.url}/api/v1/sign-in`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ token: link.path.split('#')[1] }),
  });
  const cookie = String(signedIn.headers.get('set-cookie')).split(';')[0] as string;
  const me = async () => (await fetch(`${guildhall.app.url}/api/v1/me`, { headers: { cookie } })).status;
  assert.equal(await me(), 200);
  await as(owner, 'POST', `/api/v1/members/${who.id}/deactivate`);
  assert.equal(await me(), 401);
});

test('a change of role holds from the very next request on', async () => {
  const who = await addMember(db, organizationId, 'admin', now());
  assert.equal((await as(who, 'GET', '/api/v1/service-accounts')).status, 200);
  await setRole(owner, who, 'viewer');
  assert.equal((await as(who, 'GET', '/api/v1/service-accounts')).status, 403);
  assert.equal((await as(who, 'GET', '/api/v1/tasks')).status, 200);
});

test('another organization is made by the owner of the installation only, and is theirs alone', async () => {
  const make = (who: { key: string }, name: string) =>
    as(who, 'POST', '/api/v1/organizations', { name, with_key: true });
  const admin = await addMember(db, organizationId, 'admin', now());
  assert.equal((await make(admin, 'theirs')).status, 403);
  const made = await make(owner, 'second');
  assert.equal(made.status, 200, JSON.stringify(made.body));
  const there = { key: made.body.key };
  assert.equal((await make(owner, 'second')).code, 'organization_exists');
  assert.equal((await make(there, 'third')).status, 403, 'an owner elsewhere is not one of the deployment');
  assert.equal((await as(there, 'POST', '/api/v1/signing-keys/rotate')).status, 403);
  assert.equal((await as(there, 'GET', '/api/v1/teams')).body.items.length, 1, 'it has its first team');
  assert.equal((await as(there, 'GET', '/api/v1/members')).body.items.length, 1);
  assert.equal((await as(there, 'GET', `/api/v1/members/${admin.id}`)).status, 404);
  const foreign = { subject: admin.subject, role: 'viewer', scope: 'project', scope_id: projectId };
  assert.equal((await as(there, 'PUT', '/api/v1/role-bindings', foreign)).code, 'project_missing');
});

test('a person in two organizations says by a header which one it is; programs and strangers cannot', async () => {
  const made = await as(owner, 'POST', '/api/v1/organizations', { name: 'switched', with_key: true });
  const { body: link } = await guildhall.api<{ path: string }>('POST', '/api/v1/sign-in-links');
  const signedIn = await fetch(`${guildhall.app.url}/api/v1/sign-in`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ token: link.path.split('#')[1] }),
  });
  const cookie = String(signedIn.headers.get('set-cookie')).split(';')[0] as string;
  const me = async (headers: Record<string, string>) => {
    const response = await fetch(`${guildhall.app.url}/api/v1/me`, { headers });
    const body = (await response.json()) as { organization_id?: string };
    return response.status === 200 ? body.organization_id : response.status;
  };
  assert.equal(await me({ cookie }), organizationId);
  assert.equal(await me({ cookie, 'x-organization': made.body.id }), made.body.id);
  assert.equal(await me({ cookie, 'x-organization': newId('org') }), 401);
  const stranger = await db
    .insertInto('organizations')
    .values({ id: newId('org'), name: 'strangers', created_at: now() })
    .returning('id')
    .executeTakeFirstOrThrow();
  assert.equal(await me({ cookie, 'x-organization': stranger.id }), 401);
  const authorization = `Bearer ${owner.key}`;
  assert.equal(await me({ authorization, 'x-organization': organizationId }), organizationId);
  assert.equal(await me({ authorization, 'x-organization': made.body.id }), 401);
  const listed = await fetch(`${guildhall.app.url}/api/v1/organizations`, { headers: { cookie } });
  const { items } = (await listed.json()) as { items: { id: string; current: boolean }[] };
  assert.deepEqual(new Set(items.filter(i => i.current).map(i => i.id)), new Set([organizationId]));
  assert.ok(items.some(i => i.id === made.body.id) && !items.some(i => i.id === stranger.id));
});

test('service accounts: made with no more than their maker holds, disabled for good with their keys', async () => {
  const admin = await addMember(db, organizationId, 'admin', now());
  const make = (by: Person, role: string) =>
    as(by, 'POST', '/api/v1/service-accounts', { name: `robot-${newId('call')}`, role });
  assert.equal((await make(admin, 'owner')).code, 'role_not_held');
  const mighty = (await make(owner, 'owner')).body.id;
  const keyFor = (by: Person, id: string) =>
    as(by, 'POST', '/api/v1/api-keys', { name: 'k', scopes: ['read', 'write'], service_account_id: id });
  assert.equal(
    (await keyFor(admin, mighty)).code,
    'role_not_held',
    'a key of it would make an owner of an admin',
  );
  const token = (by: Person, id: string) => as(by, 'POST', '/api/v1/tokens', { service_account_id: id });
  assert.equal((await token(admin, mighty)).code, 'role_not_held');
  const robot = (await make(admin, 'developer')).body.id;
  const key = { key: (await keyFor(admin, robot)).body.key };
  const me = (await as(key, 'GET', '/api/v1/me')).body as unknown as { member: { id: string } };
  assert.equal(me.member.id, robot);
  assert.equal((await as(admin, 'POST', `/api/v1/service-accounts/${robot}/disable`)).status, 200);
  assert.equal((await as(key, 'GET', '/api/v1/me')).status, 401);
  assert.equal((await keyFor(admin, robot)).code, 'service_account_disabled');
});
