import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { startTestApp } from '../../../test/harness/app.ts';
import { call, programmedModel } from '../../../test/harness/model.ts';

// A lead that writes some messages and gives up: the cheapest task that has several model calls.
const turns = 4;
const model = programmedModel((_, turn) =>
  turn < turns - 1
    ? {
        text: 'x'.repeat(40 * (turn + 1)),
        calls: [call('send_message', { to: 'coder', body: `note ${turn}` })],
      }
    : { calls: [call('submit_result', { decision: 'gave_up', summary: 'Enough.' })] },
);
const guildhall = await startTestApp({
  modelDrivers: [model],
  env: { GUILDHALL_MODEL: 'programmed/model-a' },
});
after(() => guildhall[Symbol.asyncDispose]());
const { pool } = guildhall.database;

interface Usage {
  calls: number;
  tokens: Record<string, number>;
  cost_micros: number;
  unpriced_calls: number;
}
interface Task {
  id: string;
  usage: Usage;
  tree_usage: Usage;
  budget: { limit_micros: number; spent_micros: number; reserved_micros: number } | null;
}
const create = async (more: object = {}): Promise<string> => {
  const { status, body } = await guildhall.api<Task>('POST', '/api/v1/tasks', { request: 'Spend.', ...more });
  assert.equal(status, 200, JSON.stringify(body));
  return body.id;
};
const show = async (id: string) => (await guildhall.api<Task>('GET', `/api/v1/tasks/${id}`)).body;
const addPrice = (usd: number) =>
  guildhall.api('POST', '/api/v1/prices', {
    provider: 'programmed',
    model: 'model-a',
    input_usd: usd,
    output_usd: usd * 5,
    source: 'test',
  });

test('CST-02 without a price and without a budget a call is made, and its cost is unknown, not zero', async () => {
  const id = await create();
  await guildhall.untilTask(id, ['failed']);
  const { usage } = await show(id);
  assert.deepEqual([usage.calls, usage.unpriced_calls, usage.cost_micros], [turns, turns, 0]);
});

test('CST-02 under a budget no call is made with a model that has no price; with a price it goes on', async () => {
  const calls = model.requests.length;
  const id = await create({ budget_usd: 5 });
  const waiting = await guildhall.untilTask(id, ['waiting']);
  assert.equal(waiting.waiting_on, 'budget');
  assert.match(waiting.state_reason, /programmed\/model-a has no price/);
  assert.equal(model.requests.length, calls, 'nothing was sent');
  assert.equal((await addPrice(2)).status, 200);
  await guildhall.untilTask(id, ['failed']);
  const { usage } = await show(id);
  assert.deepEqual([usage.calls, usage.unpriced_calls], [turns, 0]);
});

test('CST-01 the usage of a task is the sum of what the provider counted, every call of it', async () => {
  const first = model.requests.length;
  const id = await create({ budget_usd: 5 });
  await guildhall.untilTask(id, ['failed']);
  const made = model.requests.slice(first);
  assert.equal(made.length, turns);
  const sent = made.reduce(
    (sum, { request }) => sum + Math.ceil(Buffer.byteLength(JSON.stringify(request.messages)) / 4),
    0,
  );
  const { usage, tree_usage } = await show(id);
  assert.equal(usage.calls, turns);
  assert.equal(usage.tokens.input_tokens, sent);
  assert.ok(usage.tokens.output_tokens && usage.tokens.output_tokens > 0);
  assert.equal(usage.tokens.total, (usage.tokens.input_tokens ?? 0) + (usage.tokens.output_tokens ?? 0));
  assert.equal(
    usage.cost_micros,
    (usage.tokens.input_tokens ?? 0) * 2 + (usage.tokens.output_tokens ?? 0) * 10,
  );
  assert.deepEqual(tree_usage, usage);
});

test('BUD-01 BUD-04 a budget that is too small is never overspent: the task waits, and goes on when it is raised', async () => {
  const id = await create({ budget_usd: 0.011 });
  const waiting = await guildhall.untilTask(id, ['waiting', 'failed']);
  assert.deepEqual([waiting.state, waiting.waiting_on], ['waiting', 'budget']);
  assert.match(waiting.state_reason, /does not fit the budget/);
  const before = (await show(id)).budget;
  assert.ok(before && before.spent_micros + before.reserved_micros <= before.limit_micros);
  for (const { request } of model.requests.slice(-1))
    assert.ok(request.max_output_tokens < 8_000, 'the last call was clamped');
  await guildhall.api('PUT', '/api/v1/budgets', { scope: 'task', scope_id: id, limit_usd: 5 });
  await guildhall.untilTask(id, ['failed']);
  const after_ = await show(id);
  assert.equal(after_.usage.calls, turns);
  assert.deepEqual(
    [after_.budget?.spent_micros, after_.budget?.reserved_micros],
    [after_.usage.cost_micros, 0],
  );
});

test('BUD-02 the budget of the organization holds too, whatever the task has', async () => {
  const { organizationId } = guildhall.app.installation;
  const spent = (await guildhall.api<Usage>('GET', '/api/v1/usage')).body.cost_micros;
  const set = (limit_usd: number) =>
    guildhall.api('PUT', '/api/v1/budgets', { scope: 'organization', scope_id: organizationId, limit_usd });
  await set(0);
  const id = await create({ budget_usd: 100 });
  const waiting = await guildhall.untilTask(id, ['waiting']);
  assert.equal(waiting.waiting_on, 'budget');
  await set(10);
  await guildhall.untilTask(id, ['failed']);
  const used = (await guildhall.api<Usage>('GET', '/api/v1/usage')).body.cost_micros - spent;
  const { rows } = await pool.query(
    `select spent_micros, reserved_micros from budgets where scope = 'organization'`,
  );
  assert.deepEqual(rows, [{ spent_micros: used, reserved_micros: 0 }]);
});

test('CST-02 a new price counts from its day on; what was used keeps the price of its time', async () => {
  const before = (await guildhall.api<Usage>('GET', '/api/v1/usage')).body.cost_micros;
  const ids = `select price_id, count(*)::int as n from usage_records where price_id is not null group by 1`;
  const earlier = (await pool.query(ids)).rows;
  await addPrice(4);
  // Workers know a price for a second before they look again.
  await new Promise(resolve => setTimeout(resolve, 1_100));
  assert.equal((await guildhall.api<Usage>('GET', '/api/v1/usage')).body.cost_micros, before);
  const id = await create({ budget_usd: 5 });
  await guildhall.untilTask(id, ['failed']);
  const { usage } = await show(id);
  assert.equal(
    usage.cost_micros,
    (usage.tokens.input_tokens ?? 0) * 4 + (usage.tokens.output_tokens ?? 0) * 20,
  );
  assert.equal((await pool.query(ids)).rows.length, earlier.length + 1);
});

test('BUD-01 in the end the ledger and the budgets agree, and nothing is held', async () => {
  const { rows } = await pool.query(
    `select b.scope, b.scope_id, b.spent_micros, b.reserved_micros, coalesce(sum(u.cost_micros), 0)::bigint as ledger
     from budgets b left join usage_records u on b.scope = 'task' and u.task_id = b.scope_id
     where b.scope = 'task' group by b.id`,
  );
  assert.ok(rows.length >= 5);
  for (const row of rows)
    assert.deepEqual([row.spent_micros, row.reserved_micros], [row.ledger, 0], JSON.stringify(row));
  assert.deepEqual((await pool.query(`select 1 from reservations where state = 'open'`)).rows, []);
});

test('a budget of what does not exist, or of another organization, is 404', async () => {
  for (const scope of ['task', 'project', 'organization']) {
    const answer = await guildhall.api<{ code: string }>('PUT', '/api/v1/budgets', {
      scope,
      scope_id: 'none',
      limit_usd: 1,
    });
    assert.deepEqual([answer.status, answer.body.code], [404, 'budget_scope_missing'], scope);
  }
});
