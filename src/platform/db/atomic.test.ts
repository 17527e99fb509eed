import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import pg from 'pg';
import { startTestApp } from '../../../test/harness/app.ts';

const guildhall = await startTestApp({ roles: ['api'] });
const { database } = guildhall;
const owner = new pg.Client(database.owner as pg.ClientConfig);
await owner.connect();
after(async () => {
  await owner.end();
  await guildhall[Symbol.asyncDispose]();
});
await owner.query(
  `create function refuse() returns trigger language plpgsql as $$ begin raise exception 'injected fault'; end $$`,
);

/** How many rows each table holds, the queue's included; but for the counters of limits, which belong to no request. */
async function counts(): Promise<Record<string, number>> {
  const { rows } = await owner.query<{ schemaname: string; tablename: string }>(
    `select schemaname, tablename from pg_tables where schemaname in ('public', 'graphile_worker') and tablename <> 'rate_limits'`,
  );
  const result: Record<string, number> = {};
  for (const { schemaname, tablename } of rows) {
    const found = await owner.query(`select count(*)::int as n from "${schemaname}"."${tablename}"`);
    result[`${schemaname}.${tablename}`] = found.rows[0].n;
  }
  return result;
}

/** Lets a write to one table fail while `work` is done. */
async function withFault(
  table: string,
  operation: 'insert' | 'update',
  work: () => Promise<void>,
): Promise<void> {
  await owner.query(
    `create trigger fault after ${operation} on ${table} for each statement execute function refuse()`,
  );
  try {
    await work();
  } finally {
    await owner.query(`drop trigger fault on ${table}`);
  }
}

const create = () =>
  guildhall.api<{ id: string; code: string }>(
    'POST',
    '/api/v1/tasks',
    { request: 'All or nothing.', budget_usd: 1 },
    { 'idempotency-key': `atomic-${Math.random()}` },
  );

/** Every table that a new task writes to, in the order of its writes. */
const written = [
  'idempotency_keys',
  'tasks',
  'budgets',
  'audit_records',
  'events',
  'runs',
  'graphile_worker._private_jobs',
];

test('the tables below are those that creating a task writes to', async () => {
  const before = await counts();
  assert.equal((await create()).status, 200);
  const after_ = await counts();
  const grown = Object.keys(after_).filter(table => after_[table] !== before[table]);
  assert.deepEqual(
    new Set(grown.map(name => name.replace('public.', ''))),
    new Set([...written, ...grown.filter(name => /_private_(tasks|job_queues)$/.test(name))]),
  );
});

for (const table of written) {
  test(`DAT-03 a fault at the write to ${table} leaves nothing of a new task`, async () => {
    const before = await counts();
    await withFault(table, 'insert', async () => {
      const refused = await create();
      assert.deepEqual([refused.status, refused.body.code], [500, 'internal_error']);
    });
    assert.deepEqual(await counts(), before);
    assert.equal((await create()).status, 200, 'and the next one is made');
  });
}

test('DAT-03 a fault between the writes of a cancellation leaves the task as it was', async () => {
  const { body: task } = await create();
  const stateOf = async () => {
    const { rows } = await owner.query(
      `select t.state, t.version, r.state as run, r.fencing_token from tasks t join runs r on r.task_id = t.id where t.id = $1`,
      [task.id],
    );
    return rows;
  };
  const before = [await stateOf(), await counts()];
  for (const [table, operation] of [
    ['tasks', 'update'],
    ['events', 'insert'],
    ['runs', 'update'],
    ['audit_records', 'insert'],
  ] as const) {
    await withFault(table, operation, async () => {
      assert.equal((await guildhall.api('POST', `/api/v1/tasks/${task.id}/cancel`)).status, 500, table);
    });
    assert.deepEqual([await stateOf(), await counts()], before, table);
  }
  assert.equal((await guildhall.api('POST', `/api/v1/tasks/${task.id}/cancel`)).status, 200);
});

test('DAT-03 a fault at the commit itself leaves nothing', async () => {
  await owner.query(
    `create constraint trigger late after insert on runs deferrable initially deferred for each row execute function refuse()`,
  );
  const before = await counts();
  assert.equal((await create()).status, 500);
  assert.deepEqual(await counts(), before);
  await owner.query('drop trigger late on runs');
});
