import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { openTestDatabase } from '../../../test/harness/database.ts';
import { addOrganization } from '../../../test/harness/organization.ts';
import { newId } from '../../base/ids.ts';
import { transact } from '../../platform/db/db.ts';
import type { Row } from '../../platform/db/schema.ts';
import { closeReservations, reserve, setBudget, settle } from './budgets.ts';

const database = await openTestDatabase();
after(() => database[Symbol.asyncDispose]());
const { db, pool } = database;
const now = new Date(Date.UTC(2030, 0, 1));
const { actor, projectId } = await addOrganization(db, 'money', now);

/** Budgets with these limits, in the order of their ids. */
async function newBudgets(...limits: number[]): Promise<string[]> {
  const made = [];
  for (const limitMicros of limits) {
    const budget = await transact(db, tx =>
      setBudget(tx, actor, now, { scope: 'task', scopeId: newId('task'), limitMicros }),
    );
    made.push(budget.id);
  }
  return made.sort((a, b) => (a < b ? -1 : 1));
}

const read = async (
  id: string,
): Promise<Pick<Row<'budgets'>, 'limit_micros' | 'spent_micros' | 'reserved_micros'>> =>
  db
    .selectFrom('budgets')
    .select(['limit_micros', 'spent_micros', 'reserved_micros'])
    .where('id', '=', id)
    .executeTakeFirstOrThrow();
const setLimit = (id: string, limit: number) =>
  db.updateTable('budgets').set({ limit_micros: limit }).where('id', '=', id).execute();

const hold = (
  key: string,
  budgetIds: string[],
  wantedMicros: number,
  minimumMicros = wantedMicros,
  runId = 'run_x',
) => reserve(db, actor, now, { key, runId, taskId: 'task_x', budgetIds, wantedMicros, minimumMicros });

test('BUD-01 what fits is held, what does not is not, and less is held when less is left', async () => {
  const [id = ''] = await newBudgets(100);
  assert.equal(await hold('a1', [id], 60), 60);
  assert.equal(await hold('a2', [id], 60), null, 'it does not fit');
  assert.equal(await hold('a3', [id], 60, 10), 40, 'but what is left may do');
  assert.equal(await hold('a4', [id], 1), null);
  assert.equal(await hold('a5', [id], 0), 0, 'what costs nothing always fits');
  assert.deepEqual(await read(id), { limit_micros: 100, spent_micros: 0, reserved_micros: 100 });
});

test('BUD-01 a settled call frees what it did not use', async () => {
  const [id = ''] = await newBudgets(100);
  await hold('b1', [id], 80);
  assert.equal(await settle(db, now, 'b1', 30), true);
  assert.deepEqual(await read(id), { limit_micros: 100, spent_micros: 30, reserved_micros: 0 });
  assert.equal(await hold('b2', [id], 70), 70);
});

test('BUD-01 settling or releasing twice changes nothing', async () => {
  const [id = ''] = await newBudgets(100);
  await hold('c1', [id], 50);
  assert.equal(await settle(db, now, 'c1', 20), true);
  assert.equal(await settle(db, now, 'c1', 20), false);
  assert.equal(await settle(db, now, 'c1', 0), false);
  await hold('c2', [id], 50);
  assert.equal(await settle(db, now, 'c2', 0), true);
  assert.equal(await settle(db, now, 'c2', 50), false);
  assert.equal(await settle(db, now, 'never', 10), false);
  assert.deepEqual(await read(id), { limit_micros: 100, spent_micros: 20, reserved_micros: 0 });
  const closing = await Promise.all(
    (await hold('c3', [id], 10)) === 10 ? Array.from({ length: 10 }, () => settle(db, now, 'c3', 10)) : [],
  );
  assert.equal(closing.filter(Boolean).length, 1);
  assert.equal((await read(id)).spent_micros, 30);
});

test('BUD-01 reserving twice under one key is reserving once, also at the same moment', async () => {
  const [id = ''] = await newBudgets(1_000);
  assert.equal(await hold('d1', [id], 50), 50);
  assert.equal(await hold('d1', [id], 70), 50);
  assert.equal((await read(id)).reserved_micros, 50);
  const held = await Promise.all(Array.from({ length: 12 }, () => hold('d2', [id], 40)));
  assert.deepEqual(new Set(held), new Set([40]));
  assert.equal((await read(id)).reserved_micros, 90, 'held once, whoever came first');
  await settle(db, now, 'd2', 0);
  assert.equal(await hold('d2', [id], 30), 30, 'after its release the key can be used again');
});

test('BUD-02 every budget of the chain must admit: the tightest decides, and none is touched when one refuses', async () => {
  const chain = await newBudgets(1_000, 100, 500);
  const tight = chain[1] as string;
  assert.equal(await hold('e1', chain, 200), null);
  for (const id of chain) assert.equal((await read(id)).reserved_micros, 0);
  assert.equal(await hold('e2', chain, 200, 50), (await read(tight)).limit_micros === 100 ? 100 : null);
  for (const id of chain) assert.equal((await read(id)).reserved_micros, 100);
  await settle(db, now, 'e2', 60);
  for (const id of chain)
    assert.deepEqual([(await read(id)).spent_micros, (await read(id)).reserved_micros], [60, 0]);
  await setLimit(chain[0] as string, 60);
  assert.equal(await hold('e3', chain, 1), null, 'an ancestor that is used up stops all below it');
  await setLimit(chain[0] as string, 61);
  assert.equal(await hold('e4', chain, 1), 1);
});

test('BUD-01 a lowered limit below what is spent refuses all, and is no error', async () => {
  const [id = ''] = await newBudgets(100);
  await hold('f1', [id], 90);
  await settle(db, now, 'f1', 90);
  await setLimit(id, 10);
  assert.equal(await hold('f2', [id], 1), null);
  assert.equal(await hold('f3', [id], 5, 1), null);
});

test('BUD-01 200 calls at the same time on $0.50 overspend by nothing', async () => {
  const chain = await newBudgets(500_000, 800_000);
  const held = await Promise.all(Array.from({ length: 200 }, (_, i) => hold(`g${i}`, chain, 7_000)));
  const fitting = held.filter(amount => amount !== null);
  assert.equal(fitting.length, Math.floor(500_000 / 7_000));
  await Promise.all(held.map((amount, i) => (amount === null ? null : settle(db, now, `g${i}`, 7_000))));
  for (const id of chain)
    assert.deepEqual(
      [(await read(id)).spent_micros, (await read(id)).reserved_micros],
      [fitting.length * 7_000, 0],
    );
  assert.ok(fitting.length * 7_000 <= 500_000);
});

test('BUD-01 opposite orders of the same budgets do not deadlock', async () => {
  const chain = await newBudgets(1_000_000, 1_000_000, 1_000_000);
  const orders = [chain, chain.toReversed(), [chain[1], chain[2], chain[0]] as string[]];
  const work = Array.from({ length: 60 }, async (_, i) => {
    assert.equal(await hold(`h${i}`, orders[i % 3] as string[], 10), 10);
    return settle(db, now, `h${i}`, 5);
  });
  assert.ok((await Promise.all(work)).every(Boolean));
  for (const id of chain) assert.equal((await read(id)).spent_micros, 300);
});

test('BUD-01 several calls can share one reservation: its end books what they cost, once', async () => {
  const chain = await newBudgets(1_000_000);
  const runId = newId('run');
  const reservation = `${runId}:2`;
  await hold(reservation, chain, 100_000, 1, runId);
  for (const seq of [2, 4, 6]) {
    await db
      .insertInto('usage_records')
      .values({
        organization_id: actor.organizationId,
        project_id: projectId,
        task_id: 'task_x',
        root_task_id: 'task_x',
        run_id: runId,
        agent_id: 'agt_x',
        idempotency_key: `${runId}:${seq}`,
        reservation_key: reservation,
        provider: 'p',
        model: 'm',
        input_tokens: 1,
        cached_read_tokens: 0,
        cached_write_tokens: 0,
        output_tokens: 0,
        reasoning_tokens: 0,
        exact: true,
        price_id: null,
        cost_micros: 5_000,
        created_at: now,
      })
      .execute();
  }
  const closed = await Promise.all([1, 2, 3].map(() => closeReservations(db, now, runId)));
  assert.ok(closed.some(n => n === 1));
  assert.deepEqual(await read(chain[0] as string), {
    limit_micros: 1_000_000,
    spent_micros: 15_000,
    reserved_micros: 0,
  });
});

interface Model {
  limit: number;
  spent: number;
  reserved: number;
}
type Operation =
  | { kind: 'reserve'; key: number; chain: number[]; wanted: number; minimum: number }
  | { kind: 'settle'; key: number; part: number }
  | { kind: 'release'; key: number }
  | { kind: 'limit'; budget: number; limit: number };

const operation: fc.Arbitrary<Operation> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('reserve' as const),
      key: fc.nat(5),
      chain: fc.uniqueArray(fc.nat(2), { minLength: 1 }),
      wanted: fc.nat(400),
      minimum: fc.nat(200),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('settle' as const),
      key: fc.nat(5),
      part: fc.double({ min: 0, max: 1, noNaN: true }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('release' as const), key: fc.nat(5) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('limit' as const),
      budget: fc.nat(2),
      limit: fc.integer({ min: 0, max: 1_500 }),
    }),
  },
);

test('BUD-01 whatever is reserved, settled, released and changed: nothing is negative, nothing beyond the limit, the ledger agrees', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(operation, { minLength: 1, maxLength: 25 }), async operations => {
      const ids = await newBudgets(1_000, 500, 300);
      const round = newId('call');
      const limits = await Promise.all(ids.map(id => read(id)));
      const model: Model[] = limits.map(b => ({ limit: b.limit_micros, spent: 0, reserved: 0 }));
      const open = new Map<number, { amount: number; chain: number[] }>();
      const at = (budget: number) => model[budget] as Model;
      for (const op of operations) {
        const key = 'key' in op ? `${round}:${op.key}` : '';
        if (op.kind === 'limit') {
          await setLimit(ids[op.budget] as string, op.limit);
          at(op.budget).limit = op.limit;
        } else if (op.kind === 'reserve') {
          const wanted = Math.max(op.wanted, op.minimum);
          const known = open.get(op.key);
          const room = Math.min(wanted, ...op.chain.map(b => at(b).limit - at(b).spent - at(b).reserved));
          const expected = known ? known.amount : room < op.minimum ? null : room;
          const before = op.chain.map(b => ({ ...at(b) }));
          const held = await hold(
            key,
            op.chain.map(b => ids[b] as string),
            wanted,
            op.minimum,
          );
          assert.equal(held, expected, JSON.stringify({ op, before }));
          if (!known && held !== null) {
            open.set(op.key, { amount: held, chain: op.chain });
            for (const b of op.chain) at(b).reserved += held;
            for (const b of op.chain) assert.ok(at(b).spent + at(b).reserved <= at(b).limit);
          }
        } else {
          const known = open.get(op.key);
          const spent = op.kind === 'settle' ? Math.floor((known?.amount ?? 10) * op.part) : 0;
          assert.equal(await settle(db, now, key, spent), known !== undefined);
          if (known)
            for (const b of known.chain)
              Object.assign(at(b), { reserved: at(b).reserved - known.amount, spent: at(b).spent + spent });
          open.delete(op.key);
        }
        for (const [b, id] of ids.entries()) {
          const row = await read(id);
          assert.ok(row.reserved_micros >= 0 && row.spent_micros >= 0);
          assert.deepEqual(row, {
            limit_micros: at(b).limit,
            spent_micros: at(b).spent,
            reserved_micros: at(b).reserved,
          });
        }
      }
      const { rows } = await pool.query(
        `select b.id from budgets b where b.id = any ($1) and b.reserved_micros <> coalesce((select sum(amount_micros) from reservations r where r.state = 'open' and b.id = any (r.budget_ids)), 0)`,
        [ids],
      );
      assert.deepEqual(rows, [], 'what is held is the sum of the open reservations');
    }),
    { numRuns: 25 },
  );
});
