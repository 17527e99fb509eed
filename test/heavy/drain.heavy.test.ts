/** SIGTERM to a worker: what is under way ends or is given back, nothing is taken for a failure, the exit code is 0. */
import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { brokenAdd, makeRepository } from '../harness/app.ts';
import { call, type Turn } from '../harness/model.ts';
import { type Fleet, processesWith, startFleet, until } from '../harness/processes.ts';
import { startWireTeam, type WireTeam } from '../harness/wire-team.ts';

/** Nothing else on this machine sleeps exactly so long. */
const long = `40.${process.pid}`;
const short = `1.5${process.pid}`;

const turns = (command: string): Turn[] => [
  { calls: [call('run_command', { command })] },
  { calls: [call('edit_file', { path: 'sum.js', old_text: 'a - b', new_text: 'a + b' })] },
  {
    calls: [
      call('git_commit', { message: 'Add' }),
      call('submit_result', { decision: 'done', summary: 'Done.' }),
    ],
  },
];

describe('a worker that is told to stop', () => {
  let team: WireTeam;
  let fleet: Fleet;
  let repository: string;
  let command = 'true';
  before(async () => {
    team = await startWireTeam(
      request => turns(command)[request.messages.filter(m => m.role === 'assistant').length] as Turn,
    );
    fleet = await startFleet({ modelUrl: team.url });
    repository = await makeRepository(brokenAdd);
    // The lead does all of it alone here.
    const lead = await fleet.guildhall.database.db
      .selectFrom('agents')
      .select('id')
      .where('name', '=', 'lead')
      .executeTakeFirstOrThrow();
    const tools = ['run_command', 'edit_file', 'git_commit', 'submit_result'];
    assert.equal((await fleet.guildhall.api('PATCH', `/api/v1/agents/${lead.id}`, { tools })).status, 200);
    await fleet.start('sweeper');
  });
  after(async () => {
    await fleet[Symbol.asyncDispose]();
    await team[Symbol.asyncDispose]();
    await rm(repository, { recursive: true, force: true });
  });

  const give = async (checks: string[]) =>
    (
      await fleet.guildhall.api<{ id: string }>('POST', '/api/v1/tasks', {
        request: 'Repair it.',
        repository: { location: repository },
        checks,
      })
    ).body.id;
  const stepsOf = (taskId: string) =>
    fleet.guildhall.database.db
      .selectFrom('steps')
      .select(['seq', 'name', 'outcome', 'fencing_token', 'data'])
      .where('task_id', '=', taskId)
      .orderBy('seq')
      .execute();
  const whole = ['notice', 'test', 'run_command', 'test', 'edit_file', 'test', 'git_commit', 'submit_result'];

  test('a command that is nearly done is waited for, journaled, and not run again', async () => {
    command = `sleep ${short}; echo done`;
    const first = await fleet.start('worker');
    const id = await give([]);
    await until('the command runs', 30_000, () => processesWith('sleep', short).length > 0);
    first.signal('SIGTERM');
    assert.deepEqual(await first.exited, { code: 0, signal: null });
    const before = await stepsOf(id);
    assert.match(String(before.at(-1)?.data.content), /exit_code: 0[\s\S]*done/);
    const second = await fleet.start('worker');
    await fleet.guildhall.untilTask(id, ['failed', 'succeeded']);
    const after = await stepsOf(id);
    assert.deepEqual(after.slice(0, before.length), before);
    assert.deepEqual(
      after.map(step => step.name),
      whole,
    );
    second.signal('SIGTERM');
    assert.equal((await second.exited).code, 0);
  });

  test('a command without end is killed and the run given back; another worker runs it again', async t => {
    command = `sleep ${long}`;
    const first = await fleet.start('worker');
    const id = await give([]);
    await until('the command runs', 30_000, () => processesWith('sleep', long).length > 0);
    const started = performance.now();
    first.signal('SIGTERM');
    assert.deepEqual(await first.exited, { code: 0, signal: null });
    t.diagnostic(`stopped after ${Math.round(performance.now() - started)} ms`);
    assert.deepEqual(processesWith('sleep', long), []);
    const run = await fleet.guildhall.database.db
      .selectFrom('runs')
      .selectAll()
      .where('task_id', '=', id)
      .executeTakeFirstOrThrow();
    assert.deepEqual([run.state, run.worker_id, run.failure_count], ['queued', null, 0]);
    const steps = await fleet.guildhall.database.db
      .selectFrom('steps')
      .select('seq')
      .where('run_id', '=', run.id)
      .execute();
    assert.equal(steps.length, 2);
    await fleet.guildhall.api('POST', `/api/v1/tasks/${id}/cancel`);
  });

  test('VAL-03 a check that is cut off is no verdict: another worker runs it, in the same round', async () => {
    command = 'true';
    const slow = `sleep 8.${process.pid}`;
    const first = await fleet.start('worker');
    const id = await give([`${slow}; grep "a + b" sum.js`]);
    await until('the check runs', 30_000, () => processesWith(...slow.split(' ')).length > 0);
    first.signal('SIGTERM');
    assert.deepEqual(await first.exited, { code: 0, signal: null });
    const { db } = fleet.guildhall.database;
    assert.deepEqual(await db.selectFrom('checks').select('id').where('task_id', '=', id).execute(), []);
    await fleet.start('worker');
    const task = await fleet.guildhall.untilTask(id, ['failed', 'succeeded'], 60_000);
    assert.equal(task.state, 'succeeded', task.state_reason);
    assert.equal(task.round, 1);
  });
});
