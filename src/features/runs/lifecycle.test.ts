/** What people and policies do to a run: cancel, pause, decide, refuse; and what a failing model does to it. */
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { type Crew, delegate, giveUp, startCrew } from '../../../test/harness/crew.ts';
import { call } from '../../../test/harness/model.ts';
import { newId } from '../../base/ids.ts';
import { noUsage } from '../models/port.ts';

let crew: Crew;
before(async () => {
  crew = await startCrew();
});
after(() => crew[Symbol.asyncDispose]());

// biome-ignore lint/suspicious/noExplicitAny: each test knows what its route answers.
const post = (path: string, body: object = {}) => crew.guildhall.api<Record<string, any>>('POST', path, body);

/** Processes on this host whose command line contains a text. */
async function processesWith(text: string): Promise<string[]> {
  const found: string[] = [];
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    const line = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    if (line.replaceAll('\0', ' ').includes(text) && Number(pid) !== process.pid) found.push(pid);
  }
  return found;
}

async function until<T>(
  what: string,
  look: () => Promise<T | null | undefined | false>,
  limitMs = 20_000,
): Promise<T> {
  const end = Date.now() + limitMs;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > end) throw new Error(`not seen in time: ${what}`);
    await new Promise(resolve => setTimeout(resolve, 20));
  }
}

const pendingApproval = (taskId: string) =>
  until('a pending approval', () =>
    crew.guildhall.database.db
      .selectFrom('approvals')
      .selectAll()
      .where('task_id', '=', taskId)
      .where('state', '=', 'pending')
      .executeTakeFirst(),
  );

test('X-04 cancelling kills the process tree of a running command within two seconds', async t => {
  const id = await crew.give([
    {
      calls: [
        call('run_command', { command: '(sleep 987654 & sleep 987655) & sleep 987656', timeout_seconds: 60 }),
      ],
    },
    giveUp,
  ]);
  await until('the command', async () => (await processesWith('sleep 98765')).length >= 3);
  const started = performance.now();
  const { status, body } = await post(`/api/v1/tasks/${id}/cancel`, { reason: 'not needed' });
  assert.equal(status, 200);
  assert.equal(body.state, 'cancelled');
  await until('the end of the processes', async () => (await processesWith('sleep 98765')).length === 0);
  const took = performance.now() - started;
  t.diagnostic(`all processes gone after ${took.toFixed(0)} ms`);
  assert.ok(took < 2_000, `took ${took} ms`);
  const run = await crew.guildhall.database.db
    .selectFrom('runs')
    .selectAll()
    .where('task_id', '=', id)
    .executeTakeFirstOrThrow();
  assert.equal(run.state, 'cancelled');
});

test('a paused task ends the step under way, begins no other, and goes on when resumed', async () => {
  const id = await crew.give([
    { calls: [call('run_command', { command: 'sleep 1.5; echo first' })] },
    { calls: [call('run_command', { command: 'echo second' })] },
    giveUp,
  ]);
  await until('the run', async () => (await crew.guildhall.untilTask(id, ['running'])).started_at !== null);
  await until(
    'the first model step',
    async () =>
      (await crew.guildhall.database.db.selectFrom('steps').selectAll().where('task_id', '=', id).execute())
        .length >= 2,
  );
  assert.equal((await post(`/api/v1/tasks/${id}/pause`)).body.state, 'paused');
  await new Promise(resolve => setTimeout(resolve, 3_000));
  assert.deepEqual(
    (await crew.results(id)).map(r => /first|second/.exec(r.content)?.[0]),
    ['first'],
  );
  assert.equal((await post(`/api/v1/tasks/${id}/resume`)).status, 200);
  await crew.guildhall.untilTask(id, ['failed']);
  assert.deepEqual(
    (await crew.results(id)).slice(0, 2).map(r => /first|second/.exec(r.content)?.[0]),
    ['first', 'second'],
  );
});

test('a question suspends the run without a worker, and the answer resumes it', async () => {
  const id = await crew.give([
    { calls: [call('ask_human', { question: 'Which colour?', options: ['red', 'blue'] })] },
    giveUp,
  ]);
  const approval = await pendingApproval(id);
  const task = await crew.guildhall.untilTask(id, ['waiting']);
  assert.equal(task.waiting_on, 'input');
  const run = await crew.guildhall.database.db
    .selectFrom('runs')
    .selectAll()
    .where('task_id', '=', id)
    .executeTakeFirstOrThrow();
  assert.equal(run.worker_id, null);
  assert.equal(
    (await post(`/api/v1/approvals/${approval.id}/approve`, { text: 'green' })).body.code,
    'answer_not_offered',
  );
  assert.equal((await post(`/api/v1/approvals/${approval.id}/approve`, { text: 'blue' })).status, 200);
  await crew.guildhall.untilTask(id, ['failed']);
  assert.equal((await crew.results(id))[0]?.content, 'answer: blue');
  assert.equal(
    (await post(`/api/v1/approvals/${approval.id}/approve`, { text: 'red' })).body.code,
    'approval_decided',
  );
});

test('a policy that asks holds the very call back until people decide; a rejection reaches the agent with its reason', async () => {
  const { db } = crew.guildhall.database;
  const rule = {
    organization_id: crew.guildhall.app.installation.organizationId,
    position: 1,
    tool: 'run_command',
    agent_role: null,
    created_at: new Date(),
  };
  await db
    .insertInto('tool_policies')
    .values({
      ...rule,
      id: newId('int'),
      argument_pattern: 'deploy',
      outcome: 'ask',
      reason: 'deployments need a person',
    })
    .execute();
  await db
    .insertInto('tool_policies')
    .values({ ...rule, id: newId('int'), argument_pattern: 'rm -rf', outcome: 'deny', reason: 'no' })
    .execute();
  try {
    const id = await crew.give([
      { calls: [call('run_command', { command: 'echo deploy one' })] },
      { calls: [call('run_command', { command: 'echo deploy two' })] },
      { calls: [call('run_command', { command: 'rm -rf deploy' })] },
      giveUp,
    ]);
    const first = await pendingApproval(id);
    assert.equal((await crew.guildhall.untilTask(id, ['waiting'])).waiting_on, 'approval');
    assert.equal((await post(`/api/v1/approvals/${first.id}/reject`, {})).body.code, 'reason_required');
    await post(`/api/v1/approvals/${first.id}/approve`);
    const second = await pendingApproval(id);
    assert.notEqual(second.payload_hash, first.payload_hash);
    await post(`/api/v1/approvals/${second.id}/reject`, { text: 'not on a Friday' });
    await crew.guildhall.untilTask(id, ['failed']);
    const results = await crew.results(id);
    assert.match(results[0]?.content ?? '', /deploy one/);
    assert.deepEqual(
      [results[1]?.outcome, /not on a Friday/.test(results[1]?.content ?? '')],
      ['refused', true],
    );
    assert.deepEqual(
      [results[2]?.outcome, /Refused by policy: no/.test(results[2]?.content ?? '')],
      ['refused', true],
    );
  } finally {
    await db.deleteFrom('tool_policies').execute();
  }
});

test('X-02 skip-level delegation, unknown tools and invalid arguments are refused, told to the agent, and on record', async () => {
  const id = await crew.give([
    {
      calls: [
        delegate('dan', crew.order([giveUp])),
        call('launch_missiles', {}),
        call('read_file', { path: '../../etc/passwd' }),
        call('read_file', { line: 3 }),
      ],
    },
    { calls: [call('send_message', { to: 'dan', body: 'hello' })] },
    giveUp,
  ]);
  await crew.guildhall.untilTask(id, ['failed']);
  const results = await crew.results(id);
  assert.deepEqual(
    results.slice(0, 5).map(r => [r.name, r.outcome]),
    [
      ['delegate', 'refused'],
      ['launch_missiles', 'refused'],
      ['read_file', 'failed'],
      ['read_file', 'failed'],
      ['send_message', 'refused'],
    ],
  );
  assert.match(results[0]?.content ?? '', /dan does not report to you/);
  assert.match(results[2]?.content ?? '', /outside the repository/);
  assert.match(results[3]?.content ?? '', /path: .*line|line|path/);
  const { rows } = await crew.guildhall.database.pool.query(
    "select outcome from audit_trail where action = 'tool.call' and target = 'delegate' and data ->> 'run_id' = $1",
    [await crew.runOf(id)],
  );
  assert.equal(rows[0]?.outcome, 'refused');
});

test('a rejected assignment reaches the delegator with its reason', async () => {
  const refusal = {
    calls: [call('decide_assignment', { decision: 'reject', reason: 'I have no access to that' })],
  };
  const id = await crew.give([{ calls: [delegate('ann', crew.order([giveUp], refusal))] }, giveUp]);
  await crew.guildhall.untilTask(id, ['failed']);
  const [result] = await crew.results(id);
  assert.match(result?.content ?? '', /^decision: rejected$/m);
  assert.match(result?.content ?? '', /I have no access to that/);
});

test('JOB-06 three children of one turn work at the same time', async t => {
  const slow = [{ calls: [call('run_command', { command: 'sleep 1.5' })] }, giveUp];
  const id = await crew.give([
    { calls: ['ann', 'bob', 'cid'].map(name => delegate(name, crew.order(slow))) },
    giveUp,
  ]);
  await crew.guildhall.untilTask(id, ['failed']);
  const runs = await crew.guildhall.database.db
    .selectFrom('steps')
    .innerJoin('tasks', 'tasks.id', 'steps.task_id')
    .select(['steps.started_at', 'steps.ended_at'])
    .where('tasks.parent_task_id', '=', id)
    .where('steps.name', '=', 'run_command')
    .execute();
  const together =
    Math.max(...runs.map(r => r.ended_at.getTime())) - Math.min(...runs.map(r => r.started_at.getTime()));
  const oneByOne = runs.reduce((sum, r) => sum + r.ended_at.getTime() - r.started_at.getTime(), 0);
  t.diagnostic(`together ${together} ms, one by one ${oneByOne} ms`);
  assert.equal(runs.length, 3);
  assert.ok(together < oneByOne * 0.75);
});

test('JOB-03 JOB-04 a model that keeps failing is tried again with growing delays, then a dead letter that can be replayed', async () => {
  let broken = true;
  const id = await crew.give(() => {
    if (!broken) return giveUp;
    return {
      ok: false,
      failure: { kind: 'overloaded', retryable: true, message: 'busy' },
      usage: noUsage,
      total_ms: 1,
    };
  });
  const { db } = crew.guildhall.database;
  const delays: number[] = [];
  for (let attempt = 1; attempt <= 3; attempt++) {
    const run = await until('a wait', () =>
      db
        .selectFrom('runs')
        .selectAll()
        .where('task_id', '=', id)
        .where('state', '=', 'waiting')
        .where('failure_count', '=', attempt)
        .executeTakeFirst(),
    );
    delays.push((run.wake_at?.getTime() ?? 0) - Date.now());
    // The clock is not waited for: the wait is over as soon as the row says so.
    await db
      .updateTable('runs')
      .set({ wake_at: new Date(0) })
      .where('id', '=', run.id)
      .execute();
    await crew.guildhall.database.pool.query(
      "select graphile_worker.add_job('run.advance', json_build_object('run_id', $1::text))",
      [run.id],
    );
  }
  const task = await crew.guildhall.untilTask(id, ['dead_letter']);
  assert.match(task.state_reason, /busy/);
  for (const [i, delay] of delays.entries()) {
    assert.ok(delay > 1_000 * 2 ** i * 0.6 && delay <= 2_000 * 2 ** i, `delay ${i + 1} is ${delay} ms`);
  }
  const list = () =>
    crew.guildhall.api<{ items: { id: string; task_id: string; replayed_at: string | null }[] }>(
      'GET',
      '/api/v1/dead-letters',
    );
  const before = (await list()).body.items.find(letter => letter.task_id === id);
  assert.deepEqual(
    (await list()).body.items.find(letter => letter.task_id === id),
    before,
    'looking changes nothing',
  );
  broken = false;
  assert.equal((await post(`/api/v1/dead-letters/${before?.id}/replay`)).status, 200);
  await crew.guildhall.untilTask(id, ['failed']);
  assert.notEqual((await list()).body.items.find(letter => letter.task_id === id)?.replayed_at, null);
});

test('JOB-04 what a retry cannot mend is not tried again', async () => {
  const id = await crew.give(() => ({
    ok: false,
    failure: { kind: 'unauthorized', retryable: false, message: 'bad key' },
    usage: noUsage,
    total_ms: 1,
  }));
  const task = await crew.guildhall.untilTask(id, ['dead_letter']);
  assert.match(task.state_reason, /bad key/);
  const run = await crew.guildhall.database.db
    .selectFrom('runs')
    .selectAll()
    .where('task_id', '=', id)
    .executeTakeFirstOrThrow();
  assert.equal(crew.model.requests.filter(r => r.key.startsWith(run.id)).length, 1);
});

test('JOB-05 JOB-02 a command beyond its time is stopped and reported as such', async () => {
  const id = await crew.give([
    { calls: [call('run_command', { command: 'sleep 60', timeout_seconds: 1 })] },
    giveUp,
  ]);
  await crew.guildhall.untilTask(id, ['failed']);
  assert.match((await crew.results(id))[0]?.content ?? '', /^outcome: timed_out/);
});

test('JOB-05 a task beyond its deadline is timed out, its tools are killed, its children end', async () => {
  const { db } = crew.guildhall.database;
  const id = await crew.give([
    {
      calls: [
        delegate('ann', crew.order([{ calls: [call('run_command', { command: 'sleep 876543' })] }, giveUp])),
      ],
    },
    giveUp,
  ]);
  await until('the command', async () => (await processesWith('sleep 876543')).length > 0);
  await db
    .updateTable('tasks')
    .set({ deadline_at: new Date(0) })
    .where('id', '=', id)
    .execute();
  await crew.guildhall.untilTask(id, ['timed_out']);
  await until('the end of the command', async () => (await processesWith('sleep 876543')).length === 0);
  const child = await db
    .selectFrom('tasks')
    .selectAll()
    .where('parent_task_id', '=', id)
    .executeTakeFirstOrThrow();
  assert.equal(child.state, 'timed_out');
});
