/** Two hands on one run, and more calls than money: what must not happen twice or beyond a limit. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startTestApp, type TestApp } from '../../../test/harness/app.ts';
import { call, programmedModel } from '../../../test/harness/model.ts';
import { openTask } from '../../../test/harness/tasks.ts';
import { transact } from '../../platform/db/db.ts';
import { setBudget } from '../budgets/budgets.ts';
import { addPrice } from '../budgets/prices.ts';
import type { Task } from '../tasks/tasks.ts';
import { newRunCaches } from './context.ts';
import { commitStep, stepKey } from './journal.ts';
import { openJournal } from './journal-batch.ts';
import { claimRun, LeaseLost } from './lease.ts';
import { sweep } from './sweep.ts';
import { Worker } from './worker.ts';

let guildhall: TestApp;
before(async () => {
  const model = programmedModel((_request, turn) =>
    turn < 1
      ? { calls: [call('no_such_tool', { turn })] }
      : { calls: [call('submit_result', { decision: 'gave_up', summary: 'done' })] },
  );
  guildhall = await startTestApp({
    roles: [],
    modelDrivers: [model],
    env: { GUILDHALL_MODEL: 'programmed/team', GUILDHALL_WORKER_CONCURRENCY: '40' },
  });
});
after(() => guildhall[Symbol.asyncDispose]());

async function runOf(task: Task): Promise<string> {
  return (
    await guildhall.database.db
      .selectFrom('runs')
      .select('id')
      .where('task_id', '=', task.id)
      .executeTakeFirstOrThrow()
  ).id;
}

test('DAT-18 of 50 parallel claims of one task exactly one wins', async () => {
  const runId = await runOf(await openTask(guildhall));
  const claims = await Promise.all(
    Array.from({ length: 50 }, (_, i) =>
      claimRun(guildhall.database.db, `worker-${i}`, new Date(), 10_000, runId),
    ),
  );
  const won = claims.filter(claim => claim !== null);
  assert.equal(won.length, 1);
  assert.equal(won[0]?.lease.fencingToken, 1);
});

test('JOB-01 a worker whose lease ran out can be overtaken, and nothing it writes afterwards counts', async () => {
  const { db } = guildhall.database;
  const runId = await runOf(await openTask(guildhall));
  const start = Date.now();
  const first = (await claimRun(db, 'frozen', new Date(start), 1_000, runId))?.lease;
  assert.ok(first);
  assert.equal(await claimRun(db, 'other', new Date(start + 500), 1_000, runId), null);
  const second = (await claimRun(db, 'other', new Date(start + 1_001), 1_000, runId))?.lease;
  assert.ok(second);
  const step = {
    seq: 0,
    kind: 'notice' as const,
    name: 'notice',
    call_id: null,
    outcome: 'ok' as const,
    data: { text: 'late' },
  };
  const write = (lease: typeof first, text: string) =>
    commitStep(db, lease, new Date(), {
      ...step,
      data: { text },
      idempotencyKey: stepKey(runId, 0),
      startedAt: new Date(),
    });
  await assert.rejects(write(first, 'late'), LeaseLost);
  await write(second, 'mine');
  await assert.rejects(write(first, 'late'), LeaseLost);
  await assert.rejects(
    write(second, 'again'),
    LeaseLost,
    'a step that is there already is not written again',
  );
  const steps = await db
    .selectFrom('steps')
    .select(['data', 'fencing_token'])
    .where('run_id', '=', runId)
    .execute();
  assert.deepEqual(
    steps.map(s => [s.data.text, s.fencing_token]),
    [['mine', second.fencingToken]],
  );
});

test('X-02 an assignee who stays silent violates the rules: the task ends, it is on record, the delegator is woken', async () => {
  const { db, pool } = guildhall.database;
  const above = await openTask(guildhall);
  const runId = await runOf(above);
  const child = await openTask(guildhall, {
    parent: { task: above, runId, callId: 'call_1', acceptBy: new Date(Date.now() - 1) },
  });
  await sweep({ db, clock: { now: () => Date.now() }, log: guildhall.app.log, leaseMs: 10_000 });
  const ended = await db.selectFrom('tasks').selectAll().where('id', '=', child.id).executeTakeFirstOrThrow();
  assert.deepEqual([ended.state, ended.decision], ['failed', 'ignored']);
  const audit = await pool.query(
    "select outcome, data from audit_trail where action = 'task.accept' and target = $1",
    [child.id],
  );
  assert.deepEqual(audit.rows, [
    { outcome: 'failed', data: { violation: 'not accepted in time', agent_id: child.agent_id } },
  ]);
  const jobs = await pool.query('select 1 from graphile_worker.jobs where key = $1', [
    `run.advance:${runId}`,
  ]);
  assert.equal(jobs.rowCount, 1);
});

test('JOB-01 the runs of a worker without a heartbeat are lost to it and go back to the queue', async () => {
  const { db } = guildhall.database;
  const runId = await runOf(await openTask(guildhall));
  const past = new Date(Date.now() - 20_000);
  const dead = {
    id: 'wrk_dead',
    host: 'h',
    pid: 1,
    state: 'active' as const,
    queue_worker_ids: ['x'],
    started_at: past,
    heartbeat_at: past,
  };
  await db.insertInto('workers').values(dead).execute();
  assert.ok(await claimRun(db, dead.id, new Date(), 60_000, runId));
  await sweep({ db, clock: { now: () => Date.now() }, log: guildhall.app.log, leaseMs: 10_000 });
  const run = await db.selectFrom('runs').selectAll().where('id', '=', runId).executeTakeFirstOrThrow();
  assert.equal(run.state, 'lost');
  const next = await claimRun(db, 'other', new Date(), 10_000, runId);
  assert.equal(next?.lease.fencingToken, 2, 'the same run goes on under a newer token');
});

test('BUD-01 a budget of $0.50 under 200 parallel calls is never exceeded, and the ledger agrees with it', async () => {
  const { db } = guildhall.database;
  const price = {
    provider: 'programmed',
    model: 'team',
    valid_from: new Date(0),
    cached_read_micros: 0,
    cached_write_micros: 0,
    source: 'test',
  };
  // A call costs about $0.0035 and is taken for up to $0.25 beforehand: few fit at a time, and not all in the end.
  await transact(db, tx => addPrice(tx, { ...price, input_micros: 40_000_000, output_micros: 100_000 }));
  const { projectId } = guildhall.app.installation;
  const actor = {
    id: 'system',
    organizationId: guildhall.app.installation.organizationId,
    requestId: 'req_test',
  };
  await transact(db, tx =>
    setBudget(tx, actor, new Date(), { scope: 'project', scopeId: projectId, limitMicros: 500_000 }),
  );
  for (let i = 0; i < 100; i += 20) await Promise.all(Array.from({ length: 20 }, () => openTask(guildhall)));
  const { log, models, workshop } = guildhall.app;
  const clock = { now: () => Date.now() };
  const deps = {
    db,
    journal: openJournal(db),
    clock,
    random: Math.random,
    log,
    models,
    workshop,
    caches: newRunCaches(clock),
  };
  await using worker = new Worker(deps, {
    pool: guildhall.database.pool,
    concurrency: 40,
    leaseMs: 10_000,
    drainMs: 1_000,
    handlers: { 'task.review': async () => {} },
  });
  await worker.start();
  const end = Date.now() + 45_000;
  let highest = 0;
  for (;;) {
    const budget = await db
      .selectFrom('budgets')
      .selectAll()
      .where('scope', '=', 'project')
      .executeTakeFirstOrThrow();
    highest = Math.max(highest, budget.spent_micros + budget.reserved_micros);
    assert.ok(
      budget.spent_micros + budget.reserved_micros <= budget.limit_micros,
      `${budget.spent_micros} + ${budget.reserved_micros}`,
    );
    await sweep({ db, clock, log, leaseMs: 10_000 });
    const states = await db
      .selectFrom('runs')
      .select(['state', 'waiting_on'])
      .where('state', 'in', ['queued', 'running', 'waiting'])
      .execute();
    const onlyWaiting = states.length > 0 && states.every(s => s.state === 'waiting');
    if (
      states.length === 0 ||
      (onlyWaiting && budget.reserved_micros === 0 && budget.limit_micros - budget.spent_micros < 300_000) ||
      Date.now() > end
    )
      break;
    await new Promise(resolve => setTimeout(resolve, 50));
  }
  await worker.drain();
  const budget = await db
    .selectFrom('budgets')
    .selectAll()
    .where('scope', '=', 'project')
    .executeTakeFirstOrThrow();
  const { sum } = await db
    .selectFrom('usage_records')
    .select(eb => eb.fn.sum<number>('cost_micros').as('sum'))
    .where('cost_micros', 'is not', null)
    .executeTakeFirstOrThrow();
  const open = await db
    .selectFrom('reservations')
    .select('idempotency_key')
    .where('state', '=', 'open')
    .execute();
  assert.deepEqual(open, []);
  assert.equal(budget.reserved_micros, 0);
  assert.equal(budget.spent_micros, Number(sum));
  assert.ok(budget.spent_micros <= 500_000 && highest <= 500_000);
  assert.ok(budget.spent_micros > 200_000, `only ${budget.spent_micros} of 500000 could be used`);
});
