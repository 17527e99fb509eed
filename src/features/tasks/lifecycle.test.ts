import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { openTestDatabase } from '../../../test/harness/database.ts';
import { addOrganization, addTask, newTask } from '../../../test/harness/organization.ts';
import { hours, minutes } from '../../base/time.ts';
import { transact } from '../../platform/db/db.ts';
import type { Row } from '../../platform/db/schema.ts';
import {
  cancelTask,
  createTask,
  dependOn,
  endTask,
  getTask,
  maxDepth,
  moveTask,
  type NewTask,
  pauseTask,
  resumeTask,
  retryTask,
  type Task,
} from './tasks.ts';

const database = await openTestDatabase();
after(() => database[Symbol.asyncDispose]());
const { db, pool } = database;
const start = new Date(Date.UTC(2030, 0, 1));
const now = start;
const org = await addOrganization(db, 'lifecycle', now);
const foreign = await addOrganization(db, 'foreign', now);
const { actor } = org;

const add = (more: Partial<NewTask> = {}): Promise<Task> => addTask(db, org, now, more);
const read = (id: string): Promise<Task> => getTask(db, actor, id);
const runsOf = (id: string): Promise<Row<'runs'>[]> =>
  db.selectFrom('runs').selectAll().where('task_id', '=', id).orderBy('id').execute();
const openRunsOf = async (id: string) =>
  (await runsOf(id)).filter(r => ['queued', 'running', 'waiting', 'lost'].includes(r.state));
const jobsOf = async (key: string) =>
  (await pool.query('select key from graphile_worker.jobs where key = $1', [key])).rows.length;
const end = (task: Task, state: 'succeeded' | 'failed' | 'cancelled' | 'timed_out' | 'dead_letter') =>
  transact(db, async tx => {
    if (state === 'succeeded' && task.state !== 'in_review') {
      if (task.state === 'queued') await moveTask(tx, actor, now, task, 'running', {});
      await moveTask(tx, actor, now, task, 'in_review', {});
    }
    return endTask(tx, actor, now, task, state, {});
  });
/** A child as an agent would make it. */
async function addChild(parent: Task, callId: string): Promise<Task> {
  const [run] = await runsOf(parent.id);
  const acceptBy = new Date(now.getTime() + minutes(5));
  return add({ parent: { task: parent, runId: run?.id as string, callId, acceptBy } });
}

test('X-34 a new task is queued with one run, one job and one event of each kind', async () => {
  const task = await add({ budgetMicros: 5_000 });
  assert.equal(task.state, 'queued');
  assert.equal(task.root_task_id, task.id);
  assert.deepEqual(task.decisions, ['done', 'gave_up']);
  const runs = await runsOf(task.id);
  assert.deepEqual(
    runs.map(r => [r.state, r.round, r.request_id]),
    [['queued', 1, actor.requestId]],
  );
  assert.equal(await jobsOf(`run.advance:${runs[0]?.id}`), 1);
  const events = await db
    .selectFrom('events')
    .select('type')
    .where('task_id', '=', task.id)
    .orderBy('seq')
    .execute();
  assert.deepEqual(
    events.map(e => e.type),
    ['task.created', 'run.queued'],
  );
});

test('a task tree is at most 20 levels deep', async () => {
  let task = await add();
  const root = task;
  for (let depth = 1; depth <= maxDepth; depth++) {
    task = await addChild(task, `call_${depth}`);
    assert.deepEqual([task.depth, task.root_task_id], [depth, root.id]);
  }
  await assert.rejects(addChild(task, 'call_21'), { code: 'depth_exceeded', status: 422 });
});

test('one call of a run makes one child, however often it is made', async () => {
  const parent = await add();
  await addChild(parent, 'call_1');
  await assert.rejects(addChild(parent, 'call_1'), { code: '23505' });
});

test('cancelling a task ends its run and everything below it, and raises the fencing token', async () => {
  const root = await add();
  const child = await addChild(root, 'c1');
  const grandchild = await addChild(child, 'c2');
  const done = await addChild(root, 'c3');
  await end(done, 'succeeded');
  const before = (await runsOf(grandchild.id))[0] as Row<'runs'>;
  await transact(db, tx => cancelTask(tx, actor, now, root.id, 'no longer needed'));
  assert.deepEqual(
    [(await read(root.id)).state, (await read(root.id)).state_reason],
    ['cancelled', 'no longer needed'],
  );
  for (const task of [child, grandchild]) {
    assert.equal((await read(task.id)).state, 'cancelled');
    assert.deepEqual(await openRunsOf(task.id), []);
  }
  assert.equal((await read(done.id)).state, 'succeeded', 'what has ended stays as it ended');
  assert.equal((await runsOf(grandchild.id))[0]?.fencing_token, before.fencing_token + 1);
  await assert.rejects(
    transact(db, tx => cancelTask(tx, actor, now, root.id, null)),
    { code: 'task_state_conflict' },
  );
});

test('the end of a child wakes the run of its parent', async () => {
  const parent = await add();
  const child = await addChild(parent, 'c1');
  const [run] = await runsOf(parent.id);
  await pool.query('select graphile_worker.remove_job($1)', [`run.advance:${run?.id}`]);
  await end(child, 'failed');
  assert.equal(await jobsOf(`run.advance:${run?.id}`), 1);
  assert.equal((await read(parent.id)).state, 'queued', 'and the parent decides what follows');
});

test('pausing keeps the run and resuming wakes it; a paused task is not advanced', async () => {
  const task = await add();
  const [run] = await runsOf(task.id);
  await transact(db, tx => pauseTask(tx, actor, now, task.id, 'wait a moment'));
  assert.deepEqual(
    [(await read(task.id)).state, (await read(task.id)).state_reason],
    ['paused', 'wait a moment'],
  );
  assert.equal((await openRunsOf(task.id)).length, 1);
  await pool.query('select graphile_worker.remove_job($1)', [`run.advance:${run?.id}`]);
  await transact(db, tx => resumeTask(tx, actor, now, task.id));
  const resumed = await read(task.id);
  assert.deepEqual([resumed.state, resumed.state_reason], ['queued', null]);
  assert.equal((await runsOf(task.id)).length, 1, 'it is the same run');
  assert.equal(await jobsOf(`run.advance:${run?.id}`), 1);
});

test('pausing tells a running run to stop at its next step', async () => {
  const task = await add();
  await db.updateTable('runs').set({ state: 'running' }).where('task_id', '=', task.id).execute();
  await transact(db, tx => moveTask(tx, actor, now, task, 'running', {}));
  await transact(db, tx => pauseTask(tx, actor, now, task.id, null));
  assert.equal((await runsOf(task.id))[0]?.stop_requested, 'pause');
  await transact(db, tx => resumeTask(tx, actor, now, task.id));
  assert.equal((await runsOf(task.id))[0]?.stop_requested, null);
});

for (const state of ['failed', 'cancelled', 'timed_out', 'dead_letter'] as const) {
  test(`a task that ended as ${state} can be tried again, with a new run and a new deadline`, async () => {
    const task = await add({ deadlineAt: new Date(now.getTime() + hours(2)) });
    await end(task, state);
    const later = new Date(now.getTime() + hours(24));
    await transact(db, tx => retryTask(tx, actor, later, task.id));
    const retried = await read(task.id);
    assert.deepEqual([retried.state, retried.round, retried.ended_at], ['queued', 1, null]);
    assert.equal(retried.deadline_at.getTime(), later.getTime() + hours(2));
    assert.equal((await openRunsOf(task.id)).length, 1);
    assert.equal((await runsOf(task.id)).length, 2);
  });
}

test('a delegated task cannot be retried on its own, a succeeded one not at all', async () => {
  const root = await add();
  const child = await addChild(root, 'c1');
  await end(child, 'failed');
  await assert.rejects(
    transact(db, tx => retryTask(tx, actor, now, child.id)),
    { code: 'task_has_parent' },
  );
  const done = await add();
  await end(done, 'succeeded');
  await assert.rejects(
    transact(db, tx => retryTask(tx, actor, now, done.id)),
    { code: 'task_state_conflict' },
  );
});

test('retrying at the same moment opens one run', async () => {
  const task = await add();
  await end(task, 'failed');
  const tries = await Promise.allSettled(
    Array.from({ length: 8 }, () => transact(db, tx => retryTask(tx, actor, now, task.id))),
  );
  assert.equal(tries.filter(t => t.status === 'fulfilled').length, 1);
  assert.equal((await openRunsOf(task.id)).length, 1);
});

test('a task waits for what it depends on, and starts when all of it has succeeded', async () => {
  const [a, b] = [await add(), await add()];
  const task = await add({ dependsOn: [a.id, b.id, a.id] });
  assert.deepEqual([task.state, task.waiting_on], ['waiting', 'dependency']);
  assert.deepEqual(await runsOf(task.id), []);
  await end(a, 'succeeded');
  assert.equal((await read(task.id)).state, 'waiting');
  await end(b, 'succeeded');
  assert.equal((await read(task.id)).state, 'queued');
  assert.equal((await openRunsOf(task.id)).length, 1);
});

test('a dependency that ends at the very moment it is named is not waited for in vain', async () => {
  for (const first of ['the end', 'the task']) {
    const a = await add();
    const inside = Promise.withResolvers<void>();
    const go = Promise.withResolvers<void>();
    const hold = async () => {
      inside.resolve();
      await go.promise;
    };
    const ending = () =>
      transact(db, async tx => {
        await moveTask(tx, actor, now, a, 'running', {});
        await moveTask(tx, actor, now, a, 'in_review', {});
        await endTask(tx, actor, now, a, 'succeeded', {});
        if (first === 'the end') await hold();
      });
    const making = () =>
      transact(db, async tx => {
        const task = await createTask(tx, actor, now, newTask(org, now, { dependsOn: [a.id] }));
        if (first === 'the task') await hold();
        return task;
      });
    const [ahead, behind] = first === 'the end' ? [ending(), making] : [making(), ending];
    await inside.promise;
    const other = behind();
    setTimeout(go.resolve, 100);
    const made = (await Promise.all([ahead, other])).find(task => task !== undefined) as Task;
    assert.equal((await read(made.id)).state, 'queued', `${first} first`);
    assert.equal((await openRunsOf(made.id)).length, 1);
  }
});

test('a task whose dependency fails fails too, and says because of which; so do those behind it', async () => {
  const a = await add();
  const b = await add({ dependsOn: [a.id] });
  const c = await add({ dependsOn: [b.id] });
  await end(a, 'cancelled');
  assert.equal((await read(b.id)).state, 'failed');
  assert.match((await read(b.id)).state_reason ?? '', new RegExp(`${a.id}, which is cancelled`));
  assert.equal((await read(c.id)).state, 'failed');
  const late = await add({ dependsOn: [a.id] });
  assert.equal(late.state, 'failed', 'one that comes too late hears it at once');
  assert.deepEqual(await runsOf(late.id), []);
});

test('dependencies in a circle, on itself or on what does not exist are refused', async () => {
  const a = await add();
  const b = await add({ dependsOn: [a.id] });
  const c = await add({ dependsOn: [b.id] });
  for (const [from, to] of [
    [a, b],
    [a, c],
    [a, a],
  ] as const) {
    await assert.rejects(
      transact(db, tx => dependOn(tx, actor, now, from.id, to.id)),
      { code: 'dependency_cycle' },
    );
  }
  await assert.rejects(add({ dependsOn: ['task_none'] }), { code: 'dependency_missing' });
  const theirs = await addTask(db, foreign, now);
  await assert.rejects(add({ dependsOn: [theirs.id] }), { code: 'dependency_missing' });
  assert.equal((await read(a.id)).state, 'queued');
});

test('two dependencies that close a circle only together: one is refused', async () => {
  for (let round = 0; round < 5; round++) {
    const [a, b] = [await add(), await add()];
    const both = await Promise.allSettled([
      transact(db, tx => dependOn(tx, actor, now, a.id, b.id)),
      transact(db, tx => dependOn(tx, actor, now, b.id, a.id)),
    ]);
    assert.equal(both.filter(r => r.status === 'fulfilled').length, 1, `round ${round}`);
  }
});

test('a queued task can be given a dependency; one that has begun cannot; one on a finished task changes nothing', async () => {
  const [a, b] = [await add(), await add()];
  const waiting = await transact(db, tx => dependOn(tx, actor, now, b.id, a.id));
  assert.deepEqual([waiting.state, waiting.waiting_on], ['waiting', 'dependency']);
  assert.deepEqual(await openRunsOf(b.id), []);
  await end(a, 'succeeded');
  assert.equal((await openRunsOf(b.id)).length, 1);
  const c = await add();
  const unchanged = await transact(db, tx => dependOn(tx, actor, now, c.id, a.id));
  assert.equal(unchanged.state, 'queued');
  assert.equal((await openRunsOf(c.id)).length, 1);
  await db.updateTable('tasks').set({ started_at: now }).where('id', '=', c.id).execute();
  await assert.rejects(
    transact(db, tx => dependOn(tx, actor, now, c.id, b.id)),
    { code: 'task_started' },
  );
});

test('a paused task whose dependency ends waits no more when it is resumed', async () => {
  const a = await add();
  const b = await add({ dependsOn: [a.id] });
  await transact(db, tx => pauseTask(tx, actor, now, b.id, null));
  await end(a, 'succeeded');
  assert.equal((await read(b.id)).state, 'paused');
  await transact(db, tx => resumeTask(tx, actor, now, b.id));
  assert.equal((await read(b.id)).state, 'queued');
  assert.equal((await openRunsOf(b.id)).length, 1);
});

test('a task of another organization can be neither read nor acted on', async () => {
  const theirs = await addTask(db, foreign, now);
  await assert.rejects(getTask(db, actor, theirs.id), { code: 'task_missing', status: 404 });
  for (const act of [cancelTask, pauseTask, resumeTask, retryTask]) {
    await assert.rejects(
      transact(db, tx => act(tx, actor, now, theirs.id, null)),
      { code: 'task_missing' },
    );
  }
  assert.equal((await getTask(db, foreign.actor, theirs.id)).state, 'queued');
});

test('a task that ends lets go of what was asked for it', async () => {
  const task = await add();
  const [run] = await runsOf(task.id);
  await db
    .insertInto('approvals')
    .values({
      id: 'apr_x',
      organization_id: org.organizationId,
      task_id: task.id,
      run_id: run?.id as string,
      call_id: 'c',
      kind: 'question',
      question: 'q',
      options: [],
      payload_hash: 'h',
      state: 'pending',
      created_at: now,
      expires_at: now,
    })
    .execute();
  await transact(db, tx => cancelTask(tx, actor, now, task.id, null));
  const approval = await db
    .selectFrom('approvals')
    .select('state')
    .where('id', '=', 'apr_x')
    .executeTakeFirstOrThrow();
  assert.equal(approval.state, 'cancelled');
});

test('a task in a transaction that fails leaves nothing', async () => {
  const count = async () =>
    (
      await pool.query(
        'select (select count(*) from tasks) + (select count(*) from runs) + (select count(*) from graphile_worker.jobs) as n',
      )
    ).rows[0].n;
  const before = await count();
  await assert.rejects(
    transact(db, async tx => {
      await createTask(tx, actor, now, newTask(org, now));
      throw new Error('no');
    }),
  );
  assert.equal(await count(), before);
});
