import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { startTestApp } from '../../../test/harness/app.ts';

const guildhall = await startTestApp({ roles: ['api'] });
after(() => guildhall[Symbol.asyncDispose]());
const { pool } = guildhall.database;

/** Runs as the application's role. @returns the SQLSTATE of the refusal, or null. */
async function refusal(text: string): Promise<string | null> {
  try {
    await pool.query(text);
    return null;
  } catch (error) {
    return (error as { code: string }).code;
  }
}
const denied = '42501';

const appendOnly = [
  'audit_records',
  'steps',
  'events',
  'usage_records',
  'prices',
  'checks',
  'artifacts',
  'agent_definitions',
];

for (const table of appendOnly) {
  test(`the application can add to ${table}, and never change, remove or empty it`, async () => {
    const { rows } = await pool.query(
      `select has_table_privilege(current_user, $1, 'insert') as i, has_table_privilege(current_user, $1, 'select') as s,
        (select column_name from information_schema.columns where table_name = $1 and is_identity = 'NO' limit 1) as column`,
      [table],
    );
    const { i, s, column } = rows[0];
    assert.deepEqual([i, s], [true, true]);
    for (const text of [
      `update ${table} set ${column} = ${column}`,
      `delete from ${table}`,
      `truncate ${table}`,
      `alter table ${table} disable trigger all`,
      `alter table ${table} add column x int`,
      `drop table ${table}`,
      `create rule r as on insert to ${table} do instead nothing`,
      `create trigger t before insert on ${table} for each row execute function suppress_redundant_updates_trigger()`,
    ]) {
      assert.equal(await refusal(text), denied, text);
    }
  });
}

test('the views over what happened can be read and not written', async () => {
  for (const view of ['facts', 'audit_trail']) {
    assert.equal(await refusal(`select * from ${view} limit 1`), null);
    assert.notEqual(await refusal(`delete from ${view}`), null);
    assert.notEqual(await refusal(`update ${view} set organization_id = 'x'`), null);
  }
});

test('the application cannot change the shape of the database or its own rights', async () => {
  for (const text of [
    'create table mine (id int)',
    'create schema mine',
    'alter table tasks add column x int',
    'drop table tasks',
    'drop index tasks_list',
    'create or replace function budget_settle(p_key text, p_spent bigint, p_now timestamptz) returns boolean language sql as $$ select true $$',
    'alter role current_user superuser',
    'create role other',
    'alter role current_user bypassrls',
    'alter system set fsync = off',
    `copy tasks to program 'id'`,
    `copy (select 1) to '/tmp/guildhall-copy'`,
    `select pg_read_file('/etc/passwd')`,
    `select lo_import('/etc/passwd')`,
    'create extension dblink',
    'update kysely_migration set name = name',
  ]) {
    const code = await refusal(text);
    assert.ok(code !== null && /^(42501|42704|0A000|58P01|22023)$/.test(code), `${text}: ${code}`);
  }
});

test('granting itself more rights changes nothing', async () => {
  // PostgreSQL answers with a warning only.
  await pool.query('grant update, delete on audit_records to current_user');
  assert.equal(await refusal(`delete from audit_records`), denied);
});

test('the role of the application is an ordinary one', async () => {
  const { rows } = await pool.query(
    'select rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls from pg_roles where rolname = current_user',
  );
  assert.deepEqual(rows[0], {
    rolsuper: false,
    rolcreaterole: false,
    rolcreatedb: false,
    rolreplication: false,
    rolbypassrls: false,
  });
});

test('the audit is written by whoever acts, and the application that wrote it cannot take it back', async () => {
  const made = await guildhall.api<{ id: string }>('POST', '/api/v1/api-keys', { name: 'seen' });
  const { rows } = await pool.query(`select id from audit_records where target = $1`, [made.body.id]);
  assert.equal(rows.length, 1);
  assert.equal(await refusal(`delete from audit_records where id = ${rows[0].id}`), denied);
});
