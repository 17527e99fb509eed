import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { openTestDatabase } from '../../../test/harness/database.ts';
import { transact } from '../db/db.ts';
import { appendAudit, appendEvent, systemActor } from './facts.ts';

const database = await openTestDatabase();
after(() => database[Symbol.asyncDispose]());
const { db, pool } = database;
const now = new Date('2030-01-01T00:00:00.123Z');
const actor = { id: 'member:mem_1', organizationId: 'org_1', requestId: 'req_1' };

test('an event and an audit record say who, what, when and for which request', async () => {
  await transact(db, async tx => {
    await appendEvent(
      tx,
      actor,
      now,
      'task.created',
      { task_id: 't', root_task_id: 'r' },
      { title: 'T', none: undefined },
    );
    await appendAudit(tx, actor, now, 'task.create', 't', 'refused', { reason: 'because' });
  });
  const event = (await pool.query('select * from facts')).rows[0];
  assert.equal(event.type, 'task.created');
  assert.deepEqual(
    [event.organization_id, event.task_id, event.root_task_id, event.run_id],
    ['org_1', 't', 'r', null],
  );
  assert.deepEqual([event.actor, event.request_id, event.data], ['member:mem_1', 'req_1', { title: 'T' }]);
  assert.equal(event.created_at.toISOString(), now.toISOString());
  const record = (await pool.query('select * from audit_trail')).rows[0];
  assert.deepEqual(
    [record.actor, record.action, record.target, record.outcome, record.data, record.request_id],
    ['member:mem_1', 'task.create', 't', 'refused', { reason: 'because' }, 'req_1'],
  );
});

test('neither outlives the transaction that it belongs to', async () => {
  const count = async () =>
    (await pool.query('select (select count(*) from facts) + (select count(*) from audit_trail) as n'))
      .rows[0].n;
  const before = await count();
  await assert.rejects(
    transact(db, async tx => {
      await appendEvent(tx, actor, now, 'task.created', {});
      await appendAudit(tx, actor, now, 'task.create', null, 'ok');
      throw new Error('no');
    }),
  );
  assert.equal(await count(), before);
});

test('within a transaction events keep the order in which they were appended', async () => {
  const types = Array.from({ length: 50 }, (_, n) => `order.${n}`);
  await transact(db, async tx => {
    for (const type of types) await appendEvent(tx, systemActor('org_2', 'req_2'), now, type, {});
  });
  const { rows } = await pool.query(
    `select type, xid from facts where organization_id = 'org_2' order by xid, seq`,
  );
  assert.deepEqual(
    rows.map(row => row.type),
    types,
  );
  assert.equal(new Set(rows.map(row => row.xid)).size, 1);
});

test('an outcome that is none is refused by the database', async () => {
  await assert.rejects(
    transact(db, tx => appendAudit(tx, actor, now, 'x.y', null, 'maybe' as 'ok')),
    { code: '23514' },
  );
});
