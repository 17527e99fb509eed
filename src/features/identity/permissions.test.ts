import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { accessFile, accessPage } from '../../../test/access-page.ts';
import {
  bundleOf,
  classificationsAbove,
  isOfInstallation,
  isOfProjects,
  type Permission,
  permissions,
  permissionsNamed,
  permissionsOf,
  type Role,
  roleClearance,
  roleNamed,
  roleScopes,
  roles,
} from './permissions.ts';
import {
  holdsRole,
  may,
  maySomewhere,
  narrowed,
  noReach,
  type Principal,
  projectsWith,
} from './principal.ts';

const someone = (role: Role, more: Partial<Principal> = {}): Principal => ({
  actor: { id: 'member:mem_x', organizationId: 'org_x', requestId: 'req_x' },
  subject: { kind: 'member', id: 'mem_x', name: 'X', role },
  member: { id: 'mem_x', name: 'X', role },
  clearance: roleClearance[role],
  reach: noReach,
  narrowing: null,
  scopes: [...roleScopes[role]],
  atInstallation: false,
  run: null,
  session: null,
  via: 'session',
  csrfToken: null,
  apiKeyId: null,
  ...more,
});
const projectIds = ['proj_1', 'proj_2'];

test('IAM-04 the table: an owner may do all, nobody with the role none anything, and each role what the one below it may', () => {
  assert.deepEqual([...permissionsOf('owner')], permissions);
  assert.equal(permissionsOf('none').size, 0);
  const ladder: Role[] = ['owner', 'admin', 'manager', 'developer', 'viewer', 'none'];
  for (const [at, role] of ladder.entries()) {
    for (const permission of permissionsOf(role))
      for (const above of ladder.slice(0, at))
        assert.ok(permissionsOf(above).has(permission), `${above} ${permission}`);
  }
  for (const permission of permissionsOf('auditor')) assert.ok(!/write/.test(bundleOf(permission)));
  for (const permission of permissionsOf('viewer'))
    assert.ok(bundleOf(permission) === 'read' || permission === 'key.own', permission);
});

test('IAM-04 every role × permission × place: what may() answers follows from the table alone', () => {
  for (const role of roles) {
    for (const permission of permissions) {
      const held = permissionsOf(role).has(permission);
      const inOrganization = someone(role);
      const expected = held && !isOfInstallation(permission);
      assert.equal(may(inOrganization, permission), expected, `${role} ${permission}`);
      assert.equal(may(inOrganization, permission, { projectId: 'proj_1' }), expected);
      assert.equal(may(someone(role, { atInstallation: true }), permission), held);
      const onProject = someone('none', {
        reach: {
          projects: new Map([['proj_1', [role]]]),
          teams: new Map([['team_1', [role]]]),
          hidden: new Set(),
        },
      });
      const there = held && isOfProjects(permission);
      assert.equal(
        may(onProject, permission, { projectId: 'proj_1' }),
        there,
        `${role} on a project: ${permission}`,
      );
      assert.equal(may(onProject, permission, { teamId: 'team_1' }), there);
      assert.equal(may(onProject, permission, { projectId: 'proj_2' }), false);
      assert.equal(may(onProject, permission, { teamId: 'team_2' }), false);
      assert.equal(may(onProject, permission), false, 'never in the organization');
      assert.equal(maySomewhere(onProject, permission), there);
      const hidden = someone(role, { reach: { ...noReach, hidden: new Set(['proj_1']) } });
      assert.equal(may(hidden, permission, { projectId: 'proj_1' }), false, 'above the clearance nobody may');
    }
  }
});

test('IAM-03 a credential only takes away, however it is narrowed and narrowed again', () => {
  const all = someone('admin');
  const names: Permission[] = ['task.read', 'task.create'];
  const key = narrowed(all, { via: 'key', names, projectIds });
  const token = narrowed(key, { via: 'token', names: ['read', 'admin'], projectIds: ['proj_2', 'proj_3'] });
  for (const permission of permissions) {
    for (const projectId of ['proj_1', 'proj_2', 'proj_3']) {
      const where = { projectId };
      assert.equal(
        may(key, permission, where),
        names.includes(permission as never) && projectIds.includes(projectId),
      );
      assert.equal(may(token, permission, where), permission === 'task.read' && projectId === 'proj_2');
    }
    for (const one of [key, token]) assert.equal(may(one, permission), false);
  }
  assert.deepEqual(projectsWith(token, 'task.read'), { only: ['proj_2'] });
  assert.deepEqual(projectsWith(token, 'task.create'), { only: [] });
  assert.deepEqual(token.scopes, []);
});

test('an agent may do two things, with the tasks of its run', () => {
  const run = { runId: 'run_1', taskId: 'task_1', taskIds: new Set(['task_1', 'task_2']) };
  // Even with the role of an owner: what a run holds is decided by the run.
  const agent = someone('owner', { run, atInstallation: true });
  for (const permission of permissions) {
    const allowed = permission === 'task.read' || permission === 'usage.read';
    assert.equal(may(agent, permission, { projectId: 'proj_1', taskId: 'task_2' }), allowed, permission);
    assert.equal(may(agent, permission, { projectId: 'proj_1', taskId: 'task_3' }), false);
    assert.equal(may(agent, permission, { projectId: 'proj_1' }), false);
    assert.equal(may(agent, permission), false);
  }
  assert.deepEqual(projectsWith(agent, 'task.read'), { only: [] });
});

test('who holds a role: themselves and those above, and nobody whose credential leaves less', () => {
  assert.ok(holdsRole(someone('admin'), 'admin') && holdsRole(someone('owner'), 'admin'));
  assert.ok(!holdsRole(someone('admin'), 'owner') && !holdsRole(someone('manager'), 'admin'));
  const reading = narrowed(someone('owner'), { via: 'key', names: ['read'], projectIds: null });
  assert.ok(!holdsRole(reading, 'developer') && !holdsRole(reading, 'admin'));
});

test('bundles and single permissions are names of what a key may; other names mean nothing', () => {
  assert.deepEqual([...permissionsNamed(['task.create'])], ['task.create']);
  assert.equal(permissionsNamed(['read', 'write', 'admin']).size, permissions.length);
  assert.equal(permissionsNamed(['*', 'root', 'task', 'task.', '']).size, 0);
});

test('roles of earlier systems are known by their names, and nothing else is a role', () => {
  const known = { NO_ACCESS: 'none', MEMBER: 'developer', PM: 'manager', ADMIN: 'admin', viewer: 'viewer' };
  for (const [name, role] of Object.entries(known)) assert.equal(roleNamed(name), role);
  for (const name of ['', 'root', 'Admin', 'constructor', '__proto__']) assert.equal(roleNamed(name), null);
});

test('a clearance reaches its own class and those below', () => {
  assert.deepEqual(classificationsAbove('public'), ['internal', 'confidential', 'restricted']);
  assert.deepEqual(classificationsAbove('restricted'), []);
});

test('the tables of docs/operating/access.md are those of the code; `node test/access-page.ts` writes them', async () => {
  const text = await readFile(accessFile, 'utf8');
  assert.equal(text, accessPage(text));
  for (const permission of permissions) assert.ok(text.includes(`\`${permission}\``), permission);
});
