/** Waiting holds no worker, and whatever a run waits for wakes it, also in the moment in which it lies down. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { type Crew, delegate, giveUp, startCrew } from '../../../test/harness/crew.ts';
import { call } from '../../../test/harness/model.ts';
import { until } from '../../../test/harness/processes.ts';
import { type Db, openDb, openPool } from '../../platform/db/db.ts';

let crew: Crew;
before(async () => {
  crew = await startCrew({ env: { GUILDHALL_WORKER_CONCURRENCY: '1' } });
});
after(() => crew[Symbol.asyncDispose]());

const post = (path: string, body: object = {}) => crew.guildhall.api<{ id: string }>('POST', path, body);

const untilWaiting = (taskId: string, waitingOn: string) =>
  until(`${taskId} waits on ${waitingOn}`, 20_000, async () => {
    const task = await crew.guildhall.database.db
      .selectFrom('tasks')
      .select(['state', 'waiting_on'])
      .where('id', '=', taskId)
      .executeTakeFirstOrThrow();
    return task.state === 'waiting' && task.waiting_on === waitingOn;
  });

const approvalOf = (taskId: string) =>
  crew.guildhall.database.db
    .selectFrom('approvals')
    .select('id')
    .where('task_id', '=', taskId)
    .where('state', '=', 'pending')
    .executeTakeFirstOrThrow();

/** Runs `work` while rows of a table are slow to change. */
async function withSlow(slow: Crew, when: string, work: () => Promise<void>): Promise<void> {
  const pool = openPool({ ...slow.guildhall.database.owner, max: 1 }, () => {});
  const owner: Db = openDb(pool);
  try {
    await sql`create or replace function slowly() returns trigger language plpgsql as
      $$ begin perform pg_sleep(1); return new; end $$`.execute(owner);
    await sql`create trigger slowly ${sql.raw(when)} execute function slowly()`.execute(owner);
    await work();
  } finally {
    await sql`drop function if exists slowly cascade`.execute(owner);
    await pool.end();
  }
}

test('runs that wait for an answer, a child, an approval or money leave the only worker free, and all go on', async () => {
  const { guildhall } = crew;
  const { db } = guildhall.database;
  const { organizationId } = guildhall.app.installation;
  await db
    .insertInto('tool_policies')
    .values({
      id: 'rule',
      organization_id: organizationId,
      position: 1,
      tool: 'write_file',
      agent_role: null,
      argument_pattern: null,
      outcome: 'ask',
      reason: 'Writing is asked about here.',
      created_at: new Date(),
    })
    .execute();
  const question = call('ask_human', { question: 'Really?' });
  const forAnswer = await crew.give([{ calls: [question] }, giveUp]);
  const forChild = await crew.give([
    { calls: [delegate('ann', crew.order([{ calls: [question] }, giveUp]))] },
    giveUp,
  ]);
  const forApproval = await crew.give([{ calls: [call('write_file', { path: 'a', content: 'b' })] }, giveUp]);
  const forMoney = await crew.give([giveUp], { budget_usd: 1 });
  await untilWaiting(forAnswer, 'input');
  await untilWaiting(forChild, 'children');
  await untilWaiting(forApproval, 'approval');
  await untilWaiting(forMoney, 'budget');
  const child = await db
    .selectFrom('tasks')
    .select('id')
    .where('parent_task_id', '=', forChild)
    .executeTakeFirstOrThrow();
  await untilWaiting(child.id, 'input');
  const held = await db.selectFrom('runs').select('id').where('worker_id', 'is not', null).execute();
  assert.deepEqual(held, []);
  await until('what waits costs rows only: there is no job', 5_000, async () => {
    const jobs = await sql`select 1 from graphile_worker.jobs`.execute(db);
    return jobs.rows.length === 0;
  });

  const started = performance.now();
  await guildhall.untilTask(await crew.give([giveUp]), ['failed']);
  assert.ok(performance.now() - started < 5_000, 'another task is served at once');

  for (const id of [forAnswer, child.id, forApproval]) {
    const { status } = await post(`/api/v1/approvals/${(await approvalOf(id)).id}/approve`, { text: 'Yes.' });
    assert.equal(status, 200);
  }
  const price = { provider: 'programmed', model: 'test', input_usd: 1, output_usd: 1, source: 'test' };
  assert.equal((await post('/api/v1/prices', price)).status, 200);
  for (const id of [forAnswer, forChild, forApproval, forMoney])
    await guildhall.untilTask(id, ['failed'], 10_000);
  assert.deepEqual(
    (await crew.results(forAnswer)).map(result => result.content),
    ['answer: Yes.', 'handed in'],
  );
  assert.match((await crew.results(forApproval))[0]?.content ?? '', /^wrote: a$/m);
});

test('a price that is added at the moment in which a run begins to wait for it is seen', async () => {
  await using unpriced = await startCrew();
  const id = await unpriced.give([giveUp], { budget_usd: 1 });
  await unpriced.guildhall.untilTask(id, ['waiting']);
  const price = { provider: 'programmed', model: 'test', input_usd: 1, output_usd: 1, source: 'test' };
  assert.equal((await unpriced.guildhall.api('POST', '/api/v1/prices', price)).status, 200);
  await unpriced.guildhall.untilTask(id, ['failed'], 5_000);
});

test('a child that ends while its parent lies down to wait still wakes it', async () => {
  await using wide = await startCrew();
  // The parent is held for a second between its look at the child and the commit of its wait.
  const when = `before update on runs for each row
    when (new.state = 'waiting' and new.waiting_on ->> 'kind' = 'children')`;
  await withSlow(wide, when, async () => {
    const id = await wide.give([{ calls: [delegate('ann', wide.order([giveUp]))] }, giveUp]);
    const task = await wide.guildhall.untilTask(id, ['failed', 'succeeded'], 10_000);
    assert.match(task.state_reason, /gave up/);
  });
});

test('cancelling in the midst of a call that changes rows neither fails nor waits for the other', async () => {
  const { database } = crew.guildhall;
  // The worker has the run locked for a second in the transaction of its message, then it needs the task.
  await withSlow(crew, `after insert on steps for each row when (new.name = 'send_message')`, async () => {
    const id = await crew.give([
      { calls: [call('send_message', { to: 'ann', body: 'Hello.' })] },
      { calls: [call('run_command', { command: 'sleep 60' })] },
    ]);
    await until('the message is being sent', 10_000, async () => {
      const { rows } = await sql`select 1 from pg_stat_activity
        where datname = current_database() and wait_event = 'PgSleep'`.execute(database.db);
      return rows.length > 0;
    });
    const started = performance.now();
    const { status, body } = await post(`/api/v1/tasks/${id}/cancel`);
    assert.equal(status, 200, JSON.stringify(body));
    assert.ok(performance.now() - started < 2_000);
    const messages = await database.db.selectFrom('messages').selectAll().where('task_id', '=', id).execute();
    const steps = (await crew.results(id)).filter(result => result.name === 'send_message');
    assert.equal(messages.length, steps.length, 'the message exists exactly when the journal says so');
  });
});
