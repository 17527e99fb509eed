import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { sql } from 'kysely';
import pg from 'pg';
import { openTestDatabase } from '../../../test/harness/database.ts';
import { openDb, openPool } from './db.ts';
import { asRole, ensureRoles, requireRole } from './roles.ts';
import { applyTenancy, rules, unruledTables } from './tenancy.ts';

const database = await openTestDatabase();
const { db } = database;
const owner = new pg.Client(database.owner as pg.ClientConfig);
await owner.connect();
const ownerPool = openPool({ ...database.owner, max: 2 }, () => {});
const ownerDb = openDb(ownerPool);
after(async () => {
  await owner.end();
  await ownerPool.end();
  await database[Symbol.asyncDispose]();
});

test('ADV-01 every table is of an organization or stands in the list of those that are not, with its reason', async () => {
  assert.deepEqual(await unruledTables(db), []);
  for (const [table, rule] of Object.entries(rules)) {
    assert.ok(rule.reason.length > 10, table);
    const { rows } = await sql`select to_regclass(${table}) as found`.execute(db);
    assert.deepEqual(rows, [{ found: table.replace('public.', '') }], `${table} is listed and not there`);
  }
});

test('ADV-01 row-level security is on and forced for every table but the list of migrations', async () => {
  const { rows } = await owner.query(
    `select relname from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')
       and not (relrowsecurity and relforcerowsecurity) order by 1`,
  );
  assert.deepEqual(
    rows.map(row => row.relname),
    ['kysely_migration', 'kysely_migration_lock'],
  );
});

test('ADV-01 every view shows what whoever asks may see, and functions with the rights of the owner are not for requests', async () => {
  const views = await owner.query(
    `select relname from pg_class where relnamespace = 'public'::regnamespace and relkind in ('v', 'm')
       and not coalesce('security_invoker=true' = any (reloptions), false)`,
  );
  assert.deepEqual(views.rows, []);
  const functions = await owner.query(
    `select proname from pg_proc where pronamespace = 'public'::regnamespace and prosecdef
       and has_function_privilege('guildhall_app', oid, 'execute')`,
  );
  assert.deepEqual(functions.rows, []);
});

test('ADV-01 a table that nobody thought of is closed to requests, one with an organization is open to its own', async () => {
  await owner.query(`create table forgotten (id text primary key)`);
  await owner.query(`create table remembered (id text primary key, organization_id text not null)`);
  await applyTenancy(ownerDb);
  try {
    assert.deepEqual(await unruledTables(db), ['public.forgotten']);
    await sql`insert into forgotten values ('x')`.execute(db);
    await sql`insert into remembered values ('x', 'org_a'), ('y', 'org_b')`.execute(db);
    const within = (work: Parameters<typeof database.tenants.within>[1]) =>
      database.tenants.within({ organizationId: 'org_a' }, work);
    await assert.rejects(
      within(tx => sql`select * from forgotten`.execute(tx)),
      { code: '42501' },
    );
    await within(async tx => {
      const { rows } = await sql`select id from remembered`.execute(tx);
      assert.deepEqual(rows, [{ id: 'x' }]);
    });
    await assert.rejects(
      within(tx => sql`insert into remembered values ('z', 'org_b')`.execute(tx)),
      { code: '42501' },
    );
  } finally {
    await owner.query('drop table forgotten, remembered');
  }
});

test('ADV-01 what was changed by hand is put right, and what is right is not locked', async () => {
  await owner.query('alter table tasks no force row level security');
  await owner.query('drop policy organization on runs; create policy wide on runs using (true)');
  await owner.query(
    'grant delete on audit_records to guildhall_app; grant select on signing_keys to guildhall_app',
  );
  await owner.query('alter view facts reset (security_invoker)');
  await applyTenancy(ownerDb);
  const { rows } = await owner.query(
    `select (select relforcerowsecurity from pg_class where oid = 'tasks'::regclass) as forced,
       (select array_agg(polname::text order by polname) from pg_policy where polrelid = 'runs'::regclass) as policies,
       has_table_privilege('guildhall_app', 'audit_records', 'delete') as deletes,
       has_table_privilege('guildhall_app', 'signing_keys', 'select') as keys,
       (select reloptions::text from pg_class where oid = 'facts'::regclass) as view`,
  );
  assert.deepEqual(rows[0], {
    forced: true,
    policies: ['organization', 'system'],
    deletes: false,
    keys: false,
    view: '{security_invoker=true}',
  });
  // Somebody reads every table meanwhile: a second round that altered one would wait for them.
  await owner.query('begin');
  const tables = await owner.query(
    `select string_agg(quote_ident(relname), ', ') as names from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'`,
  );
  await owner.query(`lock table ${tables.rows[0].names} in access share mode`);
  await ownerPool.query(`set lock_timeout = '2s'`);
  await applyTenancy(ownerDb);
  await owner.query('rollback');
});

test('a login that may neither make the roles nor take them is told what an administrator must run', async () => {
  const pool = openPool({ ...database.system, max: 1 }, () => {});
  try {
    await assert.rejects(ensureRoles(openDb(pool)), {
      code: 'database_roles_missing',
      message:
        /create role guildhall_app nologin; .* grant guildhall_app, guildhall_system to "guildhall_system";/,
    });
  } finally {
    await pool.end();
  }
});

test('connections of one login take the role that they are opened for; a connection that does not is found out', async () => {
  const { user, password, host, port, database: name } = database.owner;
  const url = `postgres://${user}:${encodeURIComponent(String(password))}@/${name}?host=${encodeURIComponent(String(host))}&port=${port}`;
  for (const given of [url, `${url}&options=${encodeURIComponent('-c statement_timeout=5000')}`]) {
    for (const role of ['app', 'system'] as const) {
      const pool = openPool({ ...asRole(given, role), max: 1 }, () => {});
      await requireRole(openDb(pool), role);
      const { rows } = await pool.query(
        `select current_user as name, current_setting('statement_timeout') as limit`,
      );
      assert.deepEqual(rows[0], { name: `guildhall_${role}`, limit: given === url ? '0' : '5s' });
      await assert.rejects(requireRole(openDb(pool), role === 'app' ? 'system' : 'app'), {
        code: 'database_role_not_taken',
      });
      await pool.end();
    }
  }
  const barred = openPool({ ...database.app, options: '-c role=guildhall_system', max: 1 }, () => {});
  await assert.rejects(requireRole(openDb(barred), 'system'), { code: 'database_roles_missing' });
  await barred.end();
});
