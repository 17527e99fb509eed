import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startTestApp } from '../test/harness/app.ts';
import { newTask } from '../test/harness/organization.ts';
import { addMember, askAs, type Person } from '../test/harness/people.ts';
import { newId } from './base/ids.ts';
import { ManualClock } from './base/time.ts';
import { createTask } from './features/tasks/tasks.ts';
import { transact } from './platform/db/db.ts';

const clock = new ManualClock();
const guildhall = await startTestApp({ roles: ['api'], clock });
after(() => guildhall[Symbol.asyncDispose]());
const { db } = guildhall.database;
const { organizationId, ownerId } = guildhall.app.installation;
const owner: Person = { id: ownerId, subject: `member:${ownerId}`, key: guildhall.key };
const now = () => new Date(clock.now());
const as = <T = { id: string; items: { id: string }[] }>(
  who: { key: string },
  method: string,
  path: string,
  body?: unknown,
) => askAs<T>(guildhall, who, method, path, body);

let teamId: string;
let agentId: string;
before(async () => {
  const agent = await db
    .selectFrom('agents')
    .select(['id', 'team_id'])
    .where('organization_id', '=', organizationId)
    .where('reports_to', 'is', null)
    .executeTakeFirstOrThrow();
  [teamId, agentId] = [agent.team_id, agent.id];
});

interface Project {
  id: string;
  name: string;
  taskId: string;
  approvalId: string;
}

let count = 0;
/** A project with a task, a pending approval, a budget, a dead letter and some usage in it. */
async function newProject(input: object = {}): Promise<Project> {
  const name = `project-${++count}`;
  const made = await as(owner, 'POST', '/api/v1/projects', { name, ...input });
  assert.equal(made.status, 200, JSON.stringify(made.body));
  const { id } = made.body;
  const actor = { id: owner.subject, organizationId, requestId: 'req_projects' };
  const approvalId = newId('apr');
  const task = await transact(db, async tx => {
    const task = await createTask(
      tx,
      actor,
      now(),
      newTask({ projectId: id, agentId }, now(), { budgetMicros: 5 }),
    );
    const run = await tx
      .selectFrom('runs')
      .select('id')
      .where('task_id', '=', task.id)
      .executeTakeFirstOrThrow();
    const row = { organization_id: organizationId, task_id: task.id, run_id: run.id, created_at: now() };
    await tx
      .insertInto('approvals')
      .values({
        ...{ ...row, id: approvalId, call_id: 'c', kind: 'question', question: 'Which?', options: [] },
        ...{ payload_hash: 'h', state: 'pending', expires_at: new Date(clock.now() + 1_000_000) },
      })
      .execute();
    await tx
      .insertInto('dead_letters')
      .values({ ...row, id: newId('dl'), code: 'c', reason: 'r' })
      .execute();
    return task;
  });
  return { id, name, taskId: task.id, approvalId };
}

const grant = (by: Person, who: Person, role: string, scope: string, scope_id: string) =>
  as(by, 'PUT', '/api/v1/role-bindings', { subject: who.subject, role, scope, scope_id });

/** All that lists and single rows show of a project to somebody: nothing, or everything. */
async function seen(who: Person, project: Project): Promise<Record<string, boolean>> {
  const found: Record<string, boolean> = {};
  for (const list of ['tasks', 'approvals?state=all', 'projects', 'budgets', 'dead-letters']) {
    const { body } = await as(who, 'GET', `/api/v1/${list}`);
    const text = JSON.stringify(body);
    found[list] = [project.id, project.taskId, project.approvalId].some(id => text.includes(id));
  }
  const single = [
    `projects/${project.id}`,
    `approvals/${project.approvalId}`,
    ...['', '/tree', '/steps', '/checks', '/messages'].map(path => `tasks/${project.taskId}${path}`),
  ];
  for (const path of single) found[path] = (await as(who, 'GET', `/api/v1/${path}`)).status === 200;
  return found;
}
const allSeen = (found: Record<string, boolean>): void =>
  assert.deepEqual(
    Object.keys(found).filter(path => !found[path]),
    [],
    'not seen',
  );
const noneSeen = (found: Record<string, boolean>): void =>
  assert.deepEqual(
    Object.keys(found).filter(path => found[path]),
    [],
    'seen',
  );

test('IAM-04 somebody without a role who is developer on one project sees and does just that', async () => {
  const [mine, other] = [await newProject(), await newProject()];
  const who = await addMember(db, organizationId, 'none', now());
  assert.equal((await as(who, 'GET', '/api/v1/tasks')).code, 'no_access');
  assert.equal((await grant(owner, who, 'developer', 'project', mine.id)).status, 200);
  allSeen(await seen(who, mine));
  noneSeen(await seen(who, other));
  const control = (taskId: string) => as(who, 'POST', `/api/v1/tasks/${taskId}/pause`);
  assert.equal((await control(mine.taskId)).status, 200);
  assert.equal((await control(other.taskId)).status, 404);
  const reject = (id: string) => as(who, 'POST', `/api/v1/approvals/${id}/reject`, { text: 'No.' });
  assert.equal((await reject(other.approvalId)).status, 404);
  assert.equal((await reject(mine.approvalId)).status, 200);
  for (const path of ['members', 'audit', 'secrets', 'service-accounts', 'api-keys']) {
    assert.equal((await as(who, 'GET', `/api/v1/${path}`)).status, 403, path);
  }
  assert.equal((await grant(owner, who, 'none', 'project', mine.id)).status, 200);
  assert.equal((await as(who, 'GET', '/api/v1/tasks')).code, 'no_access', 'at once');
});

test('IAM-04 a viewer in the organization may see all of it, and work where a project says so', async () => {
  const [mine, other] = [await newProject(), await newProject()];
  const who = await addMember(db, organizationId, 'viewer', now());
  await grant(owner, who, 'developer', 'project', mine.id);
  allSeen(await seen(who, mine));
  allSeen(await seen(who, other));
  const answers = [];
  for (const { taskId } of [mine, other])
    answers.push((await as(who, 'POST', `/api/v1/tasks/${taskId}/pause`)).status);
  assert.deepEqual(answers, [200, 403], 'what may be seen is refused, not hidden');
});

test('IAM-04 a role on a team holds for the teams below it and their projects, and for nothing beside', async () => {
  const newTeam = async (parent: string | null) => {
    const made = await as(owner, 'POST', '/api/v1/teams', {
      name: `team-${++count}`,
      template: 'software-team',
    });
    if (parent) {
      const moved = await as(owner, 'PATCH', `/api/v1/teams/${made.body.id}`, { parent_team_id: parent });
      assert.equal(moved.status, 200);
    }
    return made.body.id;
  };
  const top = await newTeam(null);
  const middle = await newTeam(top);
  const low = await newTeam(middle);
  const beside = await newTeam(top);
  const [atLow, atMiddle, atTop, atBeside] = [
    await newProject({ team_id: low }),
    await newProject({ team_id: middle }),
    await newProject({ team_id: top }),
    await newProject({ team_id: beside }),
  ];
  const who = await addMember(db, organizationId, 'none', now());
  assert.equal((await grant(owner, who, 'manager', 'team', middle)).status, 200);
  allSeen(await seen(who, atLow));
  allSeen(await seen(who, atMiddle));
  noneSeen(await seen(who, atTop));
  noneSeen(await seen(who, atBeside));
  const teams = (await as(who, 'GET', '/api/v1/teams')).body.items.map(team => team.id);
  assert.deepEqual(new Set(teams), new Set([middle, low]));
  const circle = await as(owner, 'PATCH', `/api/v1/teams/${top}`, { parent_team_id: low });
  assert.deepEqual([circle.status, circle.code], [422, 'team_cycle']);
  await as(owner, 'PATCH', `/api/v1/teams/${low}`, { parent_team_id: beside });
  noneSeen(await seen(who, atLow));
});

test('IAM-04 above somebody’s clearance a project and its tasks do not exist, whatever their role', async () => {
  const classes = ['public', 'internal', 'confidential', 'restricted'] as const;
  const projects: Project[] = [];
  for (const classification of classes) projects.push(await newProject({ classification }));
  for (const [reach, clearance] of classes.entries()) {
    const who = await addMember(db, organizationId, 'admin', now(), clearance);
    for (const [at, project] of projects.entries()) {
      const found = await seen(who, project);
      if (at <= reach) allSeen(found);
      else noneSeen(found);
      const pause = await as(who, 'POST', `/api/v1/tasks/${project.taskId}/cancel`, { reason: 'x' });
      assert.equal(pause.status === 404, at > reach);
    }
    const name = projects[3]?.name;
    const create = await as(who, 'POST', '/api/v1/tasks', { request: 'Do it.', project: name });
    assert.equal(create.code === 'project_missing', clearance !== 'restricted');
  }
});

test('IAM-04 a project that is classed higher is gone at once for those who are not cleared; nobody raises above themself', async () => {
  const project = await newProject();
  const who = await addMember(db, organizationId, 'manager', now());
  allSeen(await seen(who, project));
  const raise = (by: Person, classification: string) =>
    as(by, 'PATCH', `/api/v1/projects/${project.id}`, { classification });
  assert.equal((await raise(who, 'restricted')).code, 'clearance_not_held');
  assert.equal((await raise(owner, 'restricted')).status, 200);
  noneSeen(await seen(who, project));
  assert.equal((await raise(who, 'public')).status, 404);
});

test('agents of a team that is not cleared for a project are not given its tasks', async () => {
  const project = await newProject({ classification: 'confidential' });
  const create = () => as(owner, 'POST', '/api/v1/tasks', { request: 'Do it.', project: project.name });
  assert.deepEqual([(await create()).status, (await create()).code], [403, 'team_not_cleared']);
  await as(owner, 'PATCH', `/api/v1/teams/${teamId}`, { clearance: 'confidential' });
  assert.notEqual((await create()).code, 'team_not_cleared');
  await as(owner, 'PATCH', `/api/v1/teams/${teamId}`, { clearance: 'internal' });
});

test('nothing new begins in an archived project until it is restored; lists leave it out', async () => {
  const project = await newProject();
  const create = () => as(owner, 'POST', '/api/v1/tasks', { request: 'Do it.', project: project.name });
  assert.equal((await as(owner, 'POST', `/api/v1/projects/${project.id}/archive`)).status, 200);
  assert.equal((await create()).code, 'project_archived');
  const listed = async (query: string) =>
    JSON.stringify((await as(owner, 'GET', `/api/v1/projects${query}`)).body).includes(project.id);
  assert.deepEqual(
    [await listed(''), await listed('?archived=true'), await listed('?archived=all')],
    [false, true, true],
  );
  assert.equal((await as(owner, 'POST', `/api/v1/projects/${project.id}/archive`)).status, 409);
  assert.equal((await as(owner, 'POST', `/api/v1/projects/${project.id}/restore`)).status, 200);
  assert.equal(await listed(''), true);
});

test('IAM-04 a task cannot be made to wait for one that its maker may not see', async () => {
  const [mine, other] = [await newProject(), await newProject()];
  const who = await addMember(db, organizationId, 'none', now());
  await grant(owner, who, 'developer', 'project', mine.id);
  const create = await as(who, 'POST', '/api/v1/tasks', {
    request: 'Do it.',
    project: mine.name,
    depends_on: [other.taskId],
  });
  assert.ok(['dependency_missing', 'sandbox_unusable'].includes(String(create.code)), String(create.code));
});

test('IAM-03 a key for one project reaches that project, and nothing of the organization', async () => {
  const [mine, other] = [await newProject(), await newProject()];
  const made = await as<{ key: string }>(owner, 'POST', '/api/v1/api-keys', {
    name: 'one project',
    scopes: ['read', 'write', 'admin'],
    project_ids: [mine.id],
  });
  const key = { id: '', subject: '', key: made.body.key };
  allSeen(await seen(key, mine));
  noneSeen(await seen(key, other));
  for (const path of ['members', 'audit', 'roles', 'secrets', 'service-accounts'])
    assert.equal((await as(key, 'GET', `/api/v1/${path}`)).status, 403, path);
  assert.equal((await as(key, 'POST', '/api/v1/projects', { name: 'another' })).status, 403);
  assert.equal((await as(key, 'POST', '/api/v1/sign-in-links')).status, 403);
  const beyond = await as(owner, 'POST', '/api/v1/api-keys', { name: 'x', project_ids: [newId('proj')] });
  assert.deepEqual([beyond.status, beyond.code], [404, 'project_missing']);
});
