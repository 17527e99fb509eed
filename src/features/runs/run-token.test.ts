import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { startTestApp } from '../../../test/harness/app.ts';
import { addOrganization, addTask } from '../../../test/harness/organization.ts';
import { pathOf, recordRoutes, sampleBodies } from '../../../test/harness/routes.ts';
import { ManualClock, minutes } from '../../base/time.ts';
import { transact } from '../../platform/db/db.ts';
import type { RunState } from '../../platform/db/schema.ts';
import { issueRunToken } from '../identity/run-tokens.ts';

const routes = recordRoutes();
const clock = new ManualClock();
const guildhall = await startTestApp({ roles: ['api'], clock });
after(() => guildhall[Symbol.asyncDispose]());
const { db } = guildhall.database;
const now = () => new Date(clock.now());
const organization = await addOrganization(db, 'agents', now());

type Answer = { code?: string; id?: string; task: { id: string }; member: { id: string; role: string } };
const ask = (method: string, path: string, token: string, body?: unknown) =>
  guildhall.api<Answer>(method, path, body, { authorization: `Bearer ${token}` });

/** A task with its run under way, and a token of it. */
async function startRun(parentTaskId: string | null = null) {
  const task = await addTask(db, organization, now());
  if (parentTaskId)
    await db.updateTable('tasks').set({ parent_task_id: parentTaskId }).where('id', '=', task.id).execute();
  const run = await db
    .updateTable('runs')
    .set({ state: 'running' })
    .where('task_id', '=', task.id)
    .returning(['id', 'agent_id'])
    .executeTakeFirstOrThrow();
  const token = await transact(db, tx => issueRunToken(tx, organization.actor, now(), run.id));
  return { taskId: task.id, runId: run.id, agentId: run.agent_id, token };
}

const setState = (runId: string, state: RunState) =>
  db.updateTable('runs').set({ state }).where('id', '=', runId).execute();

test('IAM-04 an agent is somebody of its own: it sees its run, its task and the tasks that it gave to others', async () => {
  const own = await startRun();
  const child = await startRun(own.taskId);
  const me = await ask('GET', '/api/v1/me', own.token);
  assert.deepEqual([me.body.member.id, me.body.member.role], [own.agentId, 'none']);
  const run = await ask('GET', '/api/v1/run', own.token);
  assert.deepEqual([run.status, run.body.id, run.body.task.id], [200, own.runId, own.taskId]);
  for (const id of [own.taskId, child.taskId])
    assert.equal((await ask('GET', `/api/v1/tasks/${id}`, own.token)).status, 200);
});

test('IAM-04 what is not of its run is not there for an agent: other tasks, the one above, other organizations', async () => {
  const above = await startRun();
  const own = await startRun(above.taskId);
  const other = await addOrganization(db, 'elsewhere', now());
  const foreign = await addTask(db, other, now());
  const beside = await startRun();
  for (const id of [above.taskId, beside.taskId, foreign.id]) {
    const answer = await ask('GET', `/api/v1/tasks/${id}`, own.token);
    assert.deepEqual([answer.status, answer.body.code], [404, 'task_missing']);
  }
});

test('no route takes the token of a run but those that say so, none of them writes', async () => {
  const { token } = await startRun();
  const admitting = routes.filter(r => r.agents && r.method !== 'HEAD').map(r => `${r.method} ${r.url}`);
  assert.deepEqual(
    new Set(admitting),
    new Set(['GET /api/v1/me', 'GET /api/v1/run', 'GET /api/v1/tasks/:id']),
  );
  const wrong: string[] = [];
  for (const route of routes.filter(r => !r.public && !r.agents && r.method !== 'HEAD')) {
    const body = sampleBodies[`${route.method} ${route.url}`];
    const answer = await ask(route.method, pathOf(route.url), token, body);
    if (answer.status !== 403 || answer.body.code !== 'agent_not_admitted')
      wrong.push(`${route.method} ${route.url}: ${answer.status} ${answer.body?.code}`);
  }
  assert.ok(routes.length > 100);
  assert.deepEqual(wrong, []);
});

test('the token of a run is dead the moment that the run is over, and lives on while it waits', async () => {
  for (const state of ['queued', 'succeeded', 'failed', 'cancelled', 'timed_out', 'lost'] as const) {
    const { runId, token } = await startRun();
    await setState(runId, 'waiting');
    assert.equal((await ask('GET', '/api/v1/run', token)).status, 200);
    await setState(runId, state);
    assert.equal((await ask('GET', '/api/v1/run', token)).status, 401, state);
  }
});

test('the token of a run lives for a quarter of an hour; a new one is issued beside it, and the dead are removed', async () => {
  const { runId, token } = await startRun();
  clock.advance(minutes(15) - 1);
  assert.equal((await ask('GET', '/api/v1/run', token)).status, 200);
  clock.advance(1);
  assert.equal((await ask('GET', '/api/v1/run', token)).status, 401);
  const next = await transact(db, tx => issueRunToken(tx, organization.actor, now(), runId));
  assert.equal((await ask('GET', '/api/v1/run', next)).status, 200);
  const rows = await db.selectFrom('run_tokens').selectAll().where('run_id', '=', runId).execute();
  assert.equal(rows.length, 1);
  assert.ok(!JSON.stringify(rows).includes(next), 'only the hash is kept');
});

test('a key that may read usage is not taken for an agent', async () => {
  const answer = await guildhall.api<Answer>('GET', '/api/v1/run');
  assert.deepEqual([answer.status, answer.body.code], [403, 'agents_only']);
});
