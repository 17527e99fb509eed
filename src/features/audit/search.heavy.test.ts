/** With hundreds of thousands of records a page of any search is found by indexes, and costs a bounded number of rows. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { CompiledQuery, Kysely, PostgresDialect } from 'kysely';
import pg from 'pg';
import { addAuditedOrganization, newSealer } from '../../../test/harness/audit.ts';
import { openTestDatabase } from '../../../test/harness/database.ts';
import { ManualClock } from '../../base/time.ts';
import { type Db, openPool } from '../../platform/db/db.ts';
import type { Tables } from '../../platform/db/schema.ts';
import { readChain, readingWith } from './chain.ts';
import { readSealedUpTo, sealRecords } from './sealing.ts';
import { countUnsealed, unsealedLimit } from './seals.ts';
import { type AuditFilter, rowsPerPage, searchAudit } from './search.ts';

const database = await openTestDatabase();
const { db } = database;
const owner = new pg.Client(database.owner as pg.ClientConfig);
await owner.connect();
after(async () => {
  await owner.end();
  await database[Symbol.asyncDispose]();
});
const clock = new ManualClock();
const rows = 300_000;
const big = await addAuditedOrganization(db, 'big', new Date(clock.now()));
const small = await addAuditedOrganization(db, 'small', new Date(clock.now()));

/** Nine of ten rows are of the big organization. */
const organizationOf = `case when n % 10 = 0 then '${small.organizationId}' else '${big.organizationId}' end`;
await owner.query(
  `insert into audit_records (organization_id, actor, action, target, outcome, data, request_id, created_at)
    select ${organizationOf}, 'member:mem_' || n % 50, (array['task.create', 'task.end', 'session.create'])[1 + n % 3], 'task_' || n / 5,
      'ok', jsonb_build_object('note', 'number ' || n), 'req_' || n / 10, timestamptz '2030-01-01' + n * interval '1 second'
    from generate_series(1, ${rows}) n`,
);
// A hundred steps a run.
await owner.query(
  `insert into runs (id, organization_id, task_id, agent_id, agent_version, round, model, state, request_id, created_at, ended_at)
    select 'run_' || n, organization_id, task_id, agent_id, agent_version, round, model, 'succeeded', 'req_' || n, created_at, created_at
    from generate_series(0, ${rows / 100}) n join runs on id = case when n % 10 = 0 then '${small.runId}' else '${big.runId}' end`,
);
await owner.query(
  `insert into steps (run_id, seq, organization_id, task_id, root_task_id, kind, name, outcome, data, idempotency_key, fencing_token,
      actor, request_id, started_at, ended_at)
    select 'run_' || n / 100, n % 100, case when n / 100 % 10 = 0 then '${small.organizationId}' else '${big.organizationId}' end, 'task_' || n % 100, 'task_1',
      (array['model', 'tool', 'notice'])[1 + n % 3], 'name_' || n % 20, 'ok', jsonb_build_object('content', repeat('x', 100)), 'key', 1,
      'agent:agt_' || n % 7, 'req_' || n / 10, timestamptz '2030-01-01' + n * interval '1 second',
      timestamptz '2030-01-01' + n * interval '1 second'
    from generate_series(1, ${rows}) n`,
);
await owner.query('analyze');

let statements: CompiledQuery[] = [];
const watched: Db = new Kysely<Tables>({
  dialect: new PostgresDialect({ pool: openPool({ ...database.system, max: 1 }, () => {}) }),
  log: event => void statements.push(event.query),
});
after(() => watched.destroy());

interface Scan {
  node: string;
  table: string;
  /** Rows that it looked at, kept or not. */
  tried: number;
}

/** How every statement came to its rows. */
function scansOf(filter: AuditFilter, cursor?: string): Promise<Scan[]> {
  return scansOfStatements(() => searchAudit(watched, big.organizationId, filter, { cursor, limit: 50 }));
}

async function scansOfStatements(work: () => Promise<unknown>): Promise<Scan[]> {
  statements = [];
  await work();
  const scans: Scan[] = [];
  const visit = (plan: PlanNode): void => {
    const looked = plan['Actual Rows'] + (plan['Rows Removed by Filter'] ?? 0);
    const table = plan['Relation Name'];
    if (table) scans.push({ node: plan['Node Type'], table, tried: looked * plan['Actual Loops'] });
    for (const part of plan.Plans ?? []) visit(part);
  };
  for (const { sql: text, parameters } of statements.filter(each => /^\s*(select|with)/.test(each.sql))) {
    const explained = CompiledQuery.raw(`explain (analyze, format json) ${text}`, [...parameters]);
    const { rows: plans } = await db.executeQuery<{ 'QUERY PLAN': [{ Plan: PlanNode }] }>(explained);
    visit(plans[0]?.['QUERY PLAN'][0].Plan as PlanNode);
  }
  return scans;
}

interface PlanNode {
  'Node Type': string;
  'Relation Name'?: string;
  'Actual Rows': number;
  'Actual Loops': number;
  'Rows Removed by Filter'?: number;
  Plans?: PlanNode[];
}

test('CMP-01 sealing, counting what is not sealed, and reading a chain go by indexes too', async () => {
  const deps = { db: watched, sealer: newSealer(), clock, keyMaxAgeMs: 1e12 };
  const scans = await scansOfStatements(async () => {
    await sealRecords(deps, { records: 1_000, batches: 3 });
    await countUnsealed(watched, big.organizationId, await readSealedUpTo(watched));
    let read = 0;
    for await (const item of readChain(readingWith(watched), big.organizationId)) {
      read += item.kind === 'record' ? 1 : 0;
      if (read > 3_000) break;
    }
  });
  for (const { node, table, tried } of scans) {
    if (/^audit_(keys|seals)$/.test(table)) continue;
    assert.match(node, /Index|Bitmap Heap/, `${table}: ${node}`);
    assert.ok(tried <= unsealedLimit * 2, `${table}: ${tried} rows`);
  }
});

const middle = `${Date.UTC(2030, 0, 2, 12) * 1000}-1`;
const cases: [string, AuditFilter, string?][] = [
  ['everything', {}],
  ['everything, from the middle on', {}, middle],
  ['an actor', { actor: 'member:mem_7' }],
  ['an actor that did nothing', { actor: 'member:mem_none' }],
  ['an agent', { actor: 'agent:agt_3' }],
  ['an agent that did nothing', { actor: 'agent:agt_none' }],
  ['a target', { target: 'task_4711' }],
  ['a target that is none', { target: 'none' }],
  ['a request', { requestId: 'req_1234' }],
  ['an action', { action: 'task.end' }],
  ['an action that is none', { action: 'no.action' }],
  ['calls of models', { action: 'model.call' }],
  ['an outcome that is none', { outcome: 'refused' }],
  ['text', { text: 'number 299998' }],
  ['text that is nowhere', { text: 'nowhere' }],
  ['a time', { from: new Date(Date.UTC(2030, 0, 2)), to: new Date(Date.UTC(2030, 0, 2, 1)) }],
];
for (const [what, filter, cursor] of cases) {
  test(`API-03 with ${2 * rows} rows a page of a search for ${what} comes from indexes and tries few rows`, async () => {
    const scans = await scansOf(filter, cursor);
    assert.ok(scans.length > 0);
    for (const { node, table, tried } of scans) {
      assert.match(node, /Index|Bitmap Heap/, `${table}: ${node}`);
      assert.ok(tried <= rowsPerPage, `${table}: ${tried} rows`);
    }
  });
}
