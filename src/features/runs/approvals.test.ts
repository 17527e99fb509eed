/** An approval is for one very call: exactly these arguments, once. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Crew, delegate, giveUp, startCrew } from '../../../test/harness/crew.ts';
import { call } from '../../../test/harness/model.ts';
import { until } from '../../../test/harness/processes.ts';
import { noUsage } from '../models/port.ts';

let crew: Crew;
before(async () => {
  crew = await startCrew();
  await crew.guildhall.database.db
    .insertInto('tool_policies')
    .values({
      id: 'rule',
      organization_id: crew.guildhall.app.installation.organizationId,
      position: 1,
      tool: 'run_command',
      agent_role: null,
      argument_pattern: null,
      outcome: 'ask',
      reason: 'Commands are asked about here.',
      created_at: new Date(),
    })
    .execute();
});
after(() => crew[Symbol.asyncDispose]());

/** An answer of a server that numbers the calls of each answer from the start. */
const numbered = (name: string, args: Record<string, string | string[]>) => ({
  ok: true as const,
  content: [{ type: 'tool_call' as const, id: 'call_0', name, arguments: args }],
  stop: 'tool_calls' as const,
  usage: noUsage,
  usage_exact: true,
  model: 'test',
  provider_request_id: null,
  first_token_ms: 0,
  total_ms: 0,
});

const pending = (taskId: string) =>
  until('an approval is asked for', 20_000, () =>
    crew.guildhall.database.db
      .selectFrom('approvals')
      .selectAll()
      .where('task_id', '=', taskId)
      .where('state', '=', 'pending')
      .executeTakeFirst(),
  );
const decide = (id: string, verb: 'approve' | 'reject', text: string) =>
  crew.guildhall.api('POST', `/api/v1/approvals/${id}/${verb}`, { text });

test('X-02 an approval is used once: the same command again, under the same call id, is asked about again', async () => {
  const command = { command: 'echo ran >> /workspace/ran; cat /workspace/ran' };
  const id = await crew.give((_request, turn) => (turn < 3 ? numbered('run_command', command) : giveUp));
  const asked: string[] = [];
  for (const verb of ['approve', 'approve', 'reject'] as const) {
    const approval = await pending(id);
    asked.push(approval.payload_hash);
    assert.equal((await decide(approval.id, verb, 'Twice is enough.')).status, 200);
  }
  await crew.guildhall.untilTask(id, ['failed']);
  assert.equal(new Set(asked).size, 1, 'they asked for exactly the same');
  const results = await crew.results(id);
  assert.deepEqual(
    results.map(result => [result.name, result.outcome]),
    [
      ['run_command', 'ok'],
      ['run_command', 'ok'],
      ['run_command', 'refused'],
      ['submit_result', 'ok'],
    ],
  );
  assert.match(results[1]?.content ?? '', /ran\nran$/);
  assert.equal(results[2]?.content, 'Not approved (rejected): Twice is enough.');
  const { body } = await decide((await approvals(id))[0]!, 'reject', 'Too late.');
  assert.equal(body.code, 'approval_decided');
});

const approvals = async (taskId: string): Promise<string[]> =>
  (
    await crew.guildhall.database.db
      .selectFrom('approvals')
      .select('id')
      .where('task_id', '=', taskId)
      .orderBy('id')
      .execute()
  ).map(row => row.id);

test('two delegations under the same call id are two tasks', async () => {
  const orders = [crew.order([giveUp]), crew.order([giveUp])];
  const args = (turn: number) => delegate('ann', orders[turn] as string).arguments as Record<string, string>;
  const id = await crew.give((_request, turn) => (turn < 2 ? numbered('delegate', args(turn)) : giveUp));
  await crew.guildhall.untilTask(id, ['failed']);
  const children = await crew.guildhall.database.db
    .selectFrom('tasks')
    .select('id')
    .where('parent_task_id', '=', id)
    .execute();
  assert.equal(children.length, 2);
  const told = (await crew.results(id)).slice(0, 2).map(result => /^task: (.+)$/m.exec(result.content)?.[1]);
  assert.deepEqual(told.sort(), children.map(child => child.id).sort());
});

test('X-02 an approval of other arguments allows nothing', async () => {
  const { db } = crew.guildhall.database;
  const id = await crew.give([{ calls: [call('run_command', { command: 'echo dangerous' })] }, giveUp]);
  const approval = await pending(id);
  // As if somebody had it approved for something harmless.
  await db
    .updateTable('approvals')
    .set({ payload_hash: 'f'.repeat(64) })
    .where('id', '=', approval.id)
    .execute();
  await decide(approval.id, 'approve', '');
  await crew.guildhall.untilTask(id, ['failed']);
  const [refused] = await crew.results(id);
  assert.deepEqual(
    [refused?.name, refused?.outcome, refused?.content],
    ['run_command', 'refused', 'The approval was given for another call.'],
  );
});
