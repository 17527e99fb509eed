/** A worker that is frozen in the midst of a transaction, with rows locked: others go on all the same. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import pg from 'pg';
import { call, type Turn } from '../harness/model.ts';
import { startFleet, until } from '../harness/processes.ts';
import { startWireTeam } from '../harness/wire-team.ts';

const turns: Turn[] = [
  { calls: [call('ask_human', { question: 'Go on?' })] },
  { calls: [call('submit_result', { decision: 'gave_up', summary: 'Enough.' })] },
];

/** The run is locked and about to be suspended for two seconds, the first time. */
const slowly = `
create sequence test_times;
create function slowly() returns trigger language plpgsql security definer as $$
begin
  if nextval('test_times') = 1 then perform pg_sleep(2); end if;
  return new;
end $$;
create trigger slowly before update on runs for each row when (new.state = 'waiting') execute function slowly();`;

test('JOB-01 a worker frozen inside a transaction is overtaken, and the sweeps go on', {
  timeout: 120_000,
}, async t => {
  await using team = await startWireTeam(
    request => turns[request.messages.filter(m => m.role === 'assistant').length] as Turn,
  );
  await using fleet = await startFleet({ modelUrl: team.url });
  const { guildhall } = fleet;
  const { db } = guildhall.database;
  const owner = new pg.Client(guildhall.database.owner as pg.ClientConfig);
  await owner.connect();
  await using opened = new AsyncDisposableStack();
  opened.defer(() => owner.end());
  await owner.query(slowly);
  const frozen = await fleet.start('worker');
  await fleet.start('sweeper');
  const give = async () =>
    (await guildhall.api<{ id: string }>('POST', '/api/v1/tasks', { request: 'Ask.' })).body.id;
  const id = await give();
  await until('the run is being suspended', 30_000, async () => {
    const { rowCount } = await owner.query(
      `select 1 from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'`,
    );
    return rowCount === 1;
  });
  frozen.signal('SIGSTOP');
  const started = performance.now();
  const other = await fleet.start('worker');
  const run = await until('another one has suspended the run', 15_000, () =>
    db
      .selectFrom('runs')
      .selectAll()
      .where('task_id', '=', id)
      .where('state', '=', 'waiting')
      .where('fencing_token', '>', 1)
      .executeTakeFirst(),
  );
  t.diagnostic(`overtaken ${Math.round(performance.now() - started)} ms after it was frozen`);
  const steps = await db.selectFrom('steps').selectAll().where('run_id', '=', run.id).execute();
  assert.deepEqual(
    steps.map(step => [step.kind, step.fencing_token]),
    [
      ['notice', 1],
      ['model', 1],
    ],
    'no journaled step was redone',
  );
  const approvals = await db.selectFrom('approvals').selectAll().where('run_id', '=', run.id).execute();
  assert.equal(approvals.length, 1, 'people are asked once');
  await guildhall.api('POST', `/api/v1/approvals/${approvals[0]?.id}/approve`, { text: 'Yes.' });
  await guildhall.untilTask(id, ['failed']);

  frozen.signal('SIGCONT');
  await other.kill();
  const next = await give();
  await guildhall.untilTask(next, ['waiting'], 30_000);
});
