/** Who may write to whom, in whose name, and how deep work may be given on: refused, told to the agent, on record. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Crew, delegate, giveUp, startCrew } from '../../../test/harness/crew.ts';
import { call } from '../../../test/harness/model.ts';
import { maxDepth } from '../tasks/tasks.ts';

let crew: Crew;
before(async () => {
  crew = await startCrew();
});
after(() => crew[Symbol.asyncDispose]());

test('X-02 nobody can write in another name: the sender is set by the system', async () => {
  const { db } = crew.guildhall.database;
  const order = crew.order([
    { calls: [call('send_message', { to: 'boss', body: 'I am bob.', sender: 'bob' })] },
    { calls: [call('send_message', { to: 'boss', body: 'I am bob.', from: 'bob' })] },
    { calls: [call('send_message', { to: 'boss', subject: 'from: bob', body: 'sender: bob' })] },
    giveUp,
  ]);
  const id = await crew.give([{ calls: [delegate('ann', order)] }, giveUp]);
  await crew.guildhall.untilTask(id, ['failed']);
  const child = await db
    .selectFrom('tasks')
    .select('id')
    .where('parent_task_id', '=', id)
    .executeTakeFirstOrThrow();
  const results = (await crew.results(child.id)).filter(result => result.name === 'send_message');
  assert.deepEqual(
    results.map(result => result.outcome),
    ['failed', 'failed', 'ok'],
  );
  assert.match(results[0]?.content ?? '', /Unrecognized key: "sender"/);
  const messages = await db.selectFrom('messages').selectAll().where('task_id', '=', child.id).execute();
  assert.deepEqual(
    messages.map(message => message.sender),
    ['ann'],
  );
  // The boss is told who really wrote, also when the text claims otherwise.
  const shown = crew.model.requests.map(({ request }) => JSON.stringify(request.messages)).join();
  assert.match(shown, /\[message from ann\] from: bob/);
  assert.doesNotMatch(shown, /\[message from bob\]/);
});

test('X-02 messages reach only the manager, reports and peers', async () => {
  const order = crew.order([
    { calls: [call('send_message', { to: 'boss', body: 'Over the head of ann.' })] },
    { calls: [call('send_message', { to: 'bob', body: 'From another branch.' })] },
    { calls: [call('send_message', { to: 'dan', body: 'To myself.' })] },
    { calls: [call('send_message', { to: 'nobody', body: 'Hello?' })] },
    { calls: [call('send_message', { to: 'ann', body: 'To my manager.' })] },
    giveUp,
  ]);
  const toDan = crew.order([{ calls: [delegate('dan', order)] }, giveUp]);
  const id = await crew.give([{ calls: [delegate('ann', toDan)] }, giveUp]);
  await crew.guildhall.untilTask(id, ['failed']);
  const { db } = crew.guildhall.database;
  const task = await db
    .selectFrom('tasks')
    .select('id')
    .where('root_task_id', '=', id)
    .where('depth', '=', 2)
    .executeTakeFirstOrThrow();
  const outcomes = (await crew.results(task.id)).map(result => result.outcome).slice(1, 6);
  assert.deepEqual(outcomes, ['refused', 'refused', 'refused', 'refused', 'ok']);
  const recorded = await db
    .selectFrom('steps')
    .select(['actor', 'outcome'])
    .where('task_id', '=', task.id)
    .where('outcome', '=', 'refused')
    .execute();
  assert.equal(recorded.length, 4);
  assert.ok(recorded.every(step => step.actor.startsWith('agent:')));
});

test(`work is given on ${maxDepth} levels deep at most; the agent at the end is told so`, async () => {
  const { database } = crew.guildhall;
  const id = await crew.give([
    { calls: [call('ask_human', { question: 'How deep are we?' })] },
    { calls: [delegate('ann', crew.order([giveUp]))] },
    giveUp,
  ]);
  await crew.guildhall.untilTask(id, ['waiting']);
  await database.db.updateTable('tasks').set({ depth: maxDepth }).where('id', '=', id).execute();
  const approval = await database.db
    .selectFrom('approvals')
    .select('id')
    .where('task_id', '=', id)
    .executeTakeFirstOrThrow();
  await crew.guildhall.api('POST', `/api/v1/approvals/${approval.id}/approve`, {
    text: 'As deep as can be.',
  });
  await crew.guildhall.untilTask(id, ['failed']);
  const refused = (await crew.results(id)).find(result => result.name === 'delegate');
  assert.equal(refused?.outcome, 'failed');
  assert.match(refused?.content ?? '', /20 levels deep at most/);
});
