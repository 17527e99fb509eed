import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { sql } from 'kysely';
import { addAuditedOrganization, addStep, record } from '../../../test/harness/audit.ts';
import { openTestDatabase } from '../../../test/harness/database.ts';
import { ManualClock } from '../../base/time.ts';
import { type AuditFilter, type AuditItem, searchAudit } from './search.ts';

const database = await openTestDatabase();
const { db, tenants } = database;
after(() => database[Symbol.asyncDispose]());
const clock = new ManualClock();
const now = () => new Date(clock.now());
const first = await addAuditedOrganization(db, 'first', now());
const second = await addAuditedOrganization(db, 'second', now());
const organization = first.organizationId;
const alice = { id: 'member:mem_alice', organizationId: organization, requestId: 'req_alice' };
await sql`update runs set request_id = 'req_run' where id = ${first.runId}`.execute(db);
const began = now();
for (let i = 0; i < 30; i++) {
  // Three in the same millisecond each time, so that order and paging do not hang on the time alone.
  await record(db, first.actor, now(), 'task.create', { title: `Title ${i}` });
  await addStep(db, first, now(), { content: 'x' });
  await record(db, alice, now(), i % 10 === 0 ? 'budget.set' : 'task.pause', { note: 'ÄRGER' });
  await record(db, second.actor, now(), 'task.create');
  if (i % 3 === 0) clock.advance(1_000);
}

/** All pages of a search. */
async function walk(filter: AuditFilter, limit = 7, maxRows?: number): Promise<AuditItem[]> {
  const items: AuditItem[] = [];
  let cursor: string | undefined;
  for (let pages = 0; pages < 1_000; pages++) {
    const page = await tenants.within(first.actor, tx =>
      searchAudit(tx, organization, filter, { cursor, limit }, maxRows),
    );
    assert.ok(page.items.length <= limit);
    items.push(...page.items);
    if (page.next_cursor === null) return items;
    assert.notEqual(page.next_cursor, cursor, 'it gets on');
    cursor = page.next_cursor;
  }
  throw new Error('no end of pages');
}

test('API-03 a walk over all pages gives each record of the organization once, newest first', async () => {
  const everything = await walk({}, 200);
  const { rows } = await sql<{ n: number }>`
    select count(*) as n from audit_trail where organization_id = ${organization}`.execute(db);
  assert.equal(everything.length, rows[0]?.n);
  const times = everything.map(item => item.created_at.getTime());
  assert.deepEqual(
    times,
    times.toSorted((a, b) => b - a),
  );
  for (const [limit, maxRows] of [
    [1, undefined],
    [7, undefined],
    [7, 3],
    [3, 1],
    [50, 10],
  ] as const) {
    const ids = (await walk({}, limit, maxRows)).map(item => item.id);
    assert.deepEqual(
      ids,
      everything.map(item => item.id),
      `${limit} a page, ${maxRows ?? 'many'} rows tried`,
    );
    assert.equal(new Set(ids).size, ids.length);
  }
});

const sameIds = (a: AuditItem[], b: AuditItem[]) =>
  assert.deepEqual(
    a.map(item => item.id),
    b.map(item => item.id),
  );

const cases: [string, AuditFilter, (item: AuditItem) => boolean, number][] = [
  ['actor', { actor: alice.id }, i => i.actor === alice.id, 30],
  ['an agent', { actor: 'agent:agt_1' }, i => i.actor === 'agent:agt_1', 30],
  ['action', { action: 'budget.set' }, i => i.action === 'budget.set', 3],
  ['calls of tools', { action: 'tool.call' }, i => i.action === 'tool.call', 30],
  ['target', { target: 'read_file' }, i => i.target === 'read_file', 30],
  ['outcome', { outcome: 'refused' }, () => false, 0],
  ['request', { requestId: 'req_alice' }, i => i.request_id === 'req_alice', 30],
  ['a request that a run belongs to', { requestId: 'req_run' }, i => i.action === 'tool.call', 30],
  ['text in the data, in any case', { text: 'title 7' }, i => i.data.title === 'Title 7', 1],
  ['text beyond ASCII', { text: 'ärger' }, i => i.data.note === 'ÄRGER', 30],
  ['text with signs of patterns', { text: '%' }, () => false, 0],
  ['actor and action', { actor: alice.id, action: 'task.pause' }, i => i.action === 'task.pause', 27],
];
for (const [what, filter, belongs, count] of cases) {
  test(`search by ${what}, also when only few rows are tried a page`, async () => {
    const everything = await walk({}, 200);
    const expected = everything.filter(belongs);
    const found = await walk(filter);
    sameIds(found, expected);
    assert.equal(found.length, count);
    sameIds(await walk(filter, 2, 5), expected);
  });
}

test('search by time: from the first moment on, before the second', async () => {
  const everything = await walk({}, 200);
  const from = new Date(began.getTime() + 2_000);
  const to = new Date(began.getTime() + 5_000);
  const expected = everything.filter(item => item.created_at >= from && item.created_at < to);
  assert.ok(expected.length > 10);
  sameIds(await walk({ from, to }), expected);
});

test('a cursor that is none of ours is refused', async () => {
  for (const cursor of ['', 'x', '1', '1-', '1-2-3', "1' or 1=1", '99999999999999999999-1'])
    await assert.rejects(
      tenants.within(first.actor, tx => searchAudit(tx, organization, {}, { cursor, limit: 5 })),
      { code: 'cursor_invalid' },
    );
});
