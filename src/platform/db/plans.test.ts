/** Row-level security spoils no plan: what lists and pages read comes from indexes, with the rows of two organizations there. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import pg from 'pg';
import { startTestApp } from '../../../test/harness/app.ts';
import { openTestDatabase } from '../../../test/harness/database.ts';
import { addSide } from '../../../test/surface/two-organizations.ts';

interface Statement {
  text: string;
  values: unknown[];
}
const statements = new Map<string, Statement>();
class Recording extends pg.Client {
  // biome-ignore lint/suspicious/noExplicitAny: the many forms of `query` are passed on as they come.
  override query(config: any, ...more: any[]): any {
    if (typeof config?.text === 'string')
      statements.set(config.text, { text: config.text, values: config.values ?? [] });
    return super.query(config, ...more);
  }
}

const database = await openTestDatabase();
const guildhall = await startTestApp({
  roles: ['api'],
  database: { ...database, app: { ...database.app, Client: Recording as never } },
});
const owner = new pg.Client(database.owner as pg.ClientConfig);
await owner.connect();
after(async () => {
  await owner.end();
  await guildhall[Symbol.asyncDispose]();
  await database[Symbol.asyncDispose]();
});
const one = await addSide(guildhall, 'heliotrope', 1);
const other = await addSide(guildhall, 'zanzibar', 2);

const copies = 20_000;
/** Many more of a row, with ids that sort among the others. @param changes columns that differ. */
async function multiply(table: string, id: string, changes: Record<string, string>): Promise<void> {
  const { rows } = await owner.query(
    `select string_agg(quote_ident(column_name), ', ') as columns from information_schema.columns
      where table_schema = 'public' and table_name = $1 and column_name <> all ($2) and is_identity = 'NO'`,
    [table, Object.keys(changes)],
  );
  const [names, values] = [Object.keys(changes).join(', '), Object.values(changes).join(', ')];
  await owner.query(
    `insert into ${table} (${names}, ${rows[0].columns}) select ${values}, ${rows[0].columns}
      from ${table}, generate_series(1, ${copies}) n where ${table}.${id}`,
  );
}

for (const { things } of [one, other]) {
  const { task, run, approval, dead_letter: letter } = things;
  const numbered = (name: string) => `${name} || '_' || n`;
  await multiply('tasks', `id = '${task}'`, { id: numbered('id'), root_task_id: numbered('id') });
  await multiply('runs', `id = '${run}'`, { id: numbered('id'), task_id: numbered('task_id') });
  await multiply('approvals', `id = '${approval}'`, {
    id: numbered('id'),
    run_id: numbered('run_id'),
    task_id: numbered('task_id'),
  });
  await multiply('dead_letters', `id = '${letter}'`, { id: numbered('id') });
  await multiply('steps', `run_id = '${run}'`, {
    run_id: numbered('run_id'),
    task_id: numbered('task_id'),
    fact_seq: `nextval('fact_seq')`,
  });
  await multiply('checks', `task_id = '${task}'`, { id: numbered('id'), task_id: numbered('task_id') });
  await multiply('messages', `task_id = '${task}'`, { id: numbered('id'), task_id: numbered('task_id') });
  await multiply('events', `run_id = '${run}'`, { task_id: numbered('task_id'), seq: `nextval('fact_seq')` });
  await multiply('usage_records', `run_id = '${run}'`, {
    idempotency_key: numbered('idempotency_key'),
    task_id: numbered('task_id'),
    root_task_id: numbered('task_id'),
  });
}
await owner.query('analyze');

interface Plan {
  'Node Type': string;
  'Relation Name'?: string;
  'Actual Rows': number;
  'Actual Loops': number;
  'Rows Removed by Filter'?: number;
  Plans?: Plan[];
}

const { task } = one.things;
const paths = [
  '/tasks',
  '/tasks?open=true',
  '/tasks?state=queued',
  `/tasks?cursor=${task}`,
  `/tasks/${task}`,
  ...['tree', 'steps', 'steps?tree=true', 'checks', 'messages', 'diff'].map(part => `/tasks/${task}/${part}`),
  '/approvals',
  '/approvals?state=all',
  `/approvals/${one.things.approval}`,
  '/dead-letters',
  `/dead-letters/${one.things.dead_letter}`,
];

for (const path of paths) {
  test(`ADV-01 what GET ${path.replaceAll(/_[0-9a-z]{26}/g, '_…')} reads comes from indexes`, async () => {
    statements.clear();
    const response = await fetch(`${guildhall.app.url}/api/v1${path}`, {
      headers: { authorization: `Bearer ${one.key}` },
    });
    assert.equal(response.status, 200, await response.text());
    const app = new pg.Client(database.app as pg.ClientConfig);
    await app.connect();
    try {
      const selects = [...statements.values()].filter(s => s.text.startsWith('select'));
      assert.ok(selects.length > 0);
      await app.query(`begin; set local guildhall.organization = '${one.organizationId}'`);
      // As a statement that has been prepared and used for a while.
      await app.query('set local plan_cache_mode = force_generic_plan');
      for (const { text, values } of selects) {
        const { rows } = await app.query(`explain (analyze, format json) ${text}`, values);
        const visit = (plan: Plan): void => {
          const tried = (plan['Actual Rows'] + (plan['Rows Removed by Filter'] ?? 0)) * plan['Actual Loops'];
          assert.ok(
            tried < 2_000,
            `${plan['Node Type']} on ${plan['Relation Name']} tries ${tried} rows: ${text}`,
          );
          for (const part of plan.Plans ?? []) visit(part);
        };
        visit(rows[0]['QUERY PLAN'][0].Plan);
      }
    } finally {
      await app.end();
    }
  });
}
