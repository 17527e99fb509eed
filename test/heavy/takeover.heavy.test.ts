/** A worker that is frozen past its lease and wakes up again, and one that dies with many runs in flight. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { call, type Turn } from '../harness/model.ts';
import { startFleet, until } from '../harness/processes.ts';
import { startWireTeam } from '../harness/wire-team.ts';

const turns = (n: number): Turn[] => [
  ...Array.from({ length: n }, (_, i) => ({ calls: [call('no_such_tool', { turn: i })] })),
  { calls: [call('submit_result', { decision: 'gave_up', summary: 'Enough.' })] },
];

const answerAfter = (program: Turn[]) => (request: { messages: { role: string }[] }) =>
  program[request.messages.filter(m => m.role === 'assistant').length] as Turn;

test('JOB-01 a worker frozen past its lease is overtaken; when it wakes, its late writes are refused and it works on', {
  timeout: 120_000,
}, async t => {
  await using team = await startWireTeam(answerAfter(turns(6)));
  await using fleet = await startFleet({ modelUrl: team.url });
  const { db } = fleet.guildhall.database;
  const frozen = await fleet.start('worker');
  await fleet.start('sweeper');
  // The third call is held: the worker is frozen while it waits for the answer.
  const hold = team.hold(({ request }) => request.messages.filter(m => m.role === 'assistant').length === 2);
  const created = await fleet.guildhall.api<{ id: string }>('POST', '/api/v1/tasks', { request: 'Turn.' });
  const id = created.body.id;
  await hold.reached;
  const run = await db.selectFrom('runs').selectAll().where('task_id', '=', id).executeTakeFirstOrThrow();
  frozen.signal('SIGSTOP');
  const at = performance.now();
  const before = await db
    .selectFrom('steps')
    .selectAll()
    .where('run_id', '=', run.id)
    .orderBy('seq')
    .execute();
  await fleet.start('worker');
  await until('the run is overtaken', 20_000, async () => {
    const now = await db.selectFrom('runs').selectAll().where('id', '=', run.id).executeTakeFirstOrThrow();
    return now.fencing_token > run.fencing_token && now.state === 'running';
  });
  t.diagnostic(`overtaken after ${(performance.now() - at).toFixed(0)} ms`);
  hold.release();
  frozen.signal('SIGCONT');
  const ended = await fleet.guildhall.untilTask(id, ['failed']);
  assert.match(ended.state_reason, /gave up/);
  const steps = await db
    .selectFrom('steps')
    .selectAll()
    .where('run_id', '=', run.id)
    .orderBy('seq')
    .execute();
  assert.deepEqual(steps.slice(0, before.length), before, 'what was journaled before stays as it was');
  assert.ok(
    steps.slice(before.length).every(step => step.fencing_token > run.fencing_token),
    'nothing was written under the old token',
  );
  assert.deepEqual(
    steps.map(step => step.seq),
    steps.map((_, i) => i),
  );
  // The answer that came too late is paid for, under a key of its own; the calls of the journal are booked once each.
  const usage = await db
    .selectFrom('usage_records')
    .select('idempotency_key')
    .where('run_id', '=', run.id)
    .execute();
  const journaled = steps.filter(step => step.kind === 'model').map(step => step.idempotency_key);
  assert.deepEqual(
    usage
      .map(u => u.idempotency_key)
      .filter(key => !key.includes(':late-'))
      .sort(),
    journaled.sort(),
  );
  await until(
    'the woken worker is active again',
    20_000,
    async () =>
      (await db.selectFrom('workers').select('state').where('pid', '=', frozen.pid).executeTakeFirst())
        ?.state === 'active',
  );
});

test('JOB-01 20 runs in flight on a worker that is killed all go on within ten seconds, and none of their steps is redone', {
  timeout: 120_000,
}, async t => {
  await using team = await startWireTeam(answerAfter(turns(3)));
  await using fleet = await startFleet({ modelUrl: team.url, env: { GUILDHALL_WORKER_CONCURRENCY: '25' } });
  const { db } = fleet.guildhall.database;
  const victim = await fleet.start('worker');
  await fleet.start('sweeper');
  const hold = team.hold(({ request }) => request.messages.filter(m => m.role === 'assistant').length === 1);
  const ids = await Promise.all(
    Array.from(
      { length: 20 },
      async () =>
        (await fleet.guildhall.api<{ id: string }>('POST', '/api/v1/tasks', { request: 'Turn.' })).body.id,
    ),
  );
  await until('all 20 wait for the model', 30_000, () => hold.count() === 20);
  const other = await fleet.start('worker');
  const before = await db.selectFrom('steps').selectAll().orderBy('run_id').orderBy('seq').execute();
  const at = performance.now();
  await victim.kill();
  hold.release();
  await until('all runs are held by the other worker, or have ended', 15_000, async () => {
    const runs = await db.selectFrom('runs').select(['fencing_token']).where('task_id', 'in', ids).execute();
    return runs.every(run => run.fencing_token >= 2);
  });
  const took = performance.now() - at;
  t.diagnostic(`20 runs taken over after ${took.toFixed(0)} ms`);
  assert.ok(took < 10_000);
  for (const id of ids) await fleet.guildhall.untilTask(id, ['failed']);
  const after = await db.selectFrom('steps').selectAll().orderBy('run_id').orderBy('seq').execute();
  const kept = after.filter(step => before.some(b => b.run_id === step.run_id && b.seq === step.seq));
  assert.deepEqual(kept, before);
  assert.equal(after.length, 20 * 9, 'each run has its opening, four turns and four results, once');
  assert.ok(other.pid > 0);
  await sleep(0);
});
