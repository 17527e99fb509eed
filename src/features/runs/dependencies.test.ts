/** Tasks that depend on others: they wait, they fall with them, they never wait for each other or for nothing. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Crew, giveUp, handIn, startCrew } from '../../../test/harness/crew.ts';
import { call } from '../../../test/harness/model.ts';
import { Problem } from '../../base/problem.ts';
import { transact } from '../../platform/db/db.ts';
import { systemActor } from '../../platform/journal/facts.ts';
import { dependOn, endTask, getTask } from '../tasks/tasks.ts';

let crew: Crew;
before(async () => {
  crew = await startCrew();
});
after(() => crew[Symbol.asyncDispose]());

const actor = () => systemActor(crew.guildhall.app.installation.organizationId, 'req_test');
const stateOf = async (id: string) => {
  const { state, waiting_on, state_reason } = await getTask(crew.guildhall.database.db, actor(), id);
  return { state, waiting_on, state_reason };
};
const question = { calls: [call('ask_human', { question: 'Go on?' })] };

async function answer(taskId: string): Promise<void> {
  const { guildhall } = crew;
  await guildhall.untilTask(taskId, ['waiting']);
  const { id } = await guildhall.database.db
    .selectFrom('approvals')
    .select('id')
    .where('task_id', '=', taskId)
    .executeTakeFirstOrThrow();
  await guildhall.api('POST', `/api/v1/approvals/${id}/approve`, { text: 'Yes.' });
}

test('a task begins when the one it depends on has succeeded, and not before', async () => {
  const first = await crew.give([question, handIn]);
  const second = await crew.give([giveUp], { depends_on: [first] });
  assert.deepEqual(await stateOf(second), { state: 'waiting', waiting_on: 'dependency', state_reason: null });
  const runs = await crew.guildhall.database.db.selectFrom('runs').where('task_id', '=', second).execute();
  assert.deepEqual(runs, []);
  await answer(first);
  await crew.guildhall.untilTask(first, ['succeeded']);
  await crew.guildhall.untilTask(second, ['failed']);
  assert.match((await stateOf(second)).state_reason ?? '', /gave up/);
});

test('a task fails with the one it depends on, and so does what depends on it', async () => {
  const first = await crew.give([question, giveUp]);
  const second = await crew.give([giveUp], { depends_on: [first] });
  const third = await crew.give([giveUp], { depends_on: [second] });
  await answer(first);
  for (const id of [first, second, third]) await crew.guildhall.untilTask(id, ['failed']);
  assert.equal((await stateOf(second)).state_reason, `It depends on ${first}, which is failed.`);
  assert.equal((await stateOf(third)).state_reason, `It depends on ${second}, which is failed.`);
  const late = await crew.give([giveUp], { depends_on: [first] });
  assert.equal((await stateOf(late)).state, 'failed', 'also when it comes afterwards');
});

test('tasks that would wait for each other are refused, however long the circle', async () => {
  const { db } = crew.guildhall.database;
  const gate = await crew.give([question, giveUp]);
  const a = await crew.give([giveUp], { depends_on: [gate] });
  const b = await crew.give([giveUp], { depends_on: [a] });
  const c = await crew.give([giveUp], { depends_on: [b] });
  const isCycle = (error: unknown) => error instanceof Problem && error.code === 'dependency_cycle';
  for (const [task, on] of [
    [a, c],
    [a, b],
    [a, a],
  ] as const)
    await assert.rejects(
      transact(db, tx => dependOn(tx, actor(), new Date(), task, on)),
      isCycle,
    );
});

test('a task that comes at the moment in which its dependency ends is not forgotten', async () => {
  const { db } = crew.guildhall.database;
  const first = await crew.give([question, giveUp]);
  await crew.guildhall.untilTask(first, ['waiting']);
  let second: Promise<string> | null = null;
  await transact(db, async tx => {
    await endTask(tx, actor(), new Date(), await getTask(tx, actor(), first), 'failed', { reason: 'Over.' });
    // Comes while the end is decided but not committed: it has to wait for it, or it would wait for ever.
    second = crew.give([giveUp], { depends_on: [first] });
    await new Promise(resolve => setTimeout(resolve, 500));
  });
  assert.ok(second);
  const ended = await crew.guildhall.untilTask(await second, ['failed'], 5_000);
  assert.equal(ended.state_reason, `It depends on ${first}, which is failed.`);
});
