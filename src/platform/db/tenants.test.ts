import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { sql } from 'kysely';
import pg from 'pg';
import { openTestDatabase } from '../../../test/harness/database.ts';
import { newId } from '../../base/ids.ts';
import { openPool } from './db.ts';
import { openTenants, tenantsPool } from './tenants.ts';

const database = await openTestDatabase();
const { db } = database;
const pool = openPool({ ...tenantsPool, ...database.app, max: 1 }, () => {});
const tenants = openTenants(pool);
after(async () => {
  await pool.end();
  await database[Symbol.asyncDispose]();
});
const organizations = ['org_a', 'org_b'];
const now = new Date();
for (const id of organizations) {
  await db.insertInto('organizations').values({ id, name: id, created_at: now }).execute();
  await db
    .insertInto('projects')
    .values({ id: `proj_${id}`, organization_id: id, name: id, created_at: now })
    .execute();
}
const a = { organizationId: 'org_a' };
const b = { organizationId: 'org_b' };
const projectsOf = async (actor: { organizationId: string }) =>
  (await tenants.within(actor, tx => tx.selectFrom('projects').select('name').execute())).map(
    row => row.name,
  );
const backend = async () => (await pool.query('select pg_backend_pid() as pid')).rows[0].pid as number;
const project = (name: string) => ({ id: newId('proj'), organization_id: 'org_a', name, created_at: now });

test('ADV-01 one connection in turn for two organizations shows each its own, and none to nobody', async () => {
  const pid = await backend();
  for (let i = 0; i < 50; i++) {
    assert.deepEqual(await projectsOf(i % 2 ? a : b), [i % 2 ? 'org_a' : 'org_b']);
    assert.equal((await pool.query('select from projects')).rowCount, 0, 'outside of a transaction');
  }
  assert.equal(await backend(), pid, 'it was one connection');
});

test('statements that are sent together, without waiting, are all within the transaction', async () => {
  const names = await tenants.within(a, tx =>
    Promise.all(Array.from({ length: 20 }, () => tx.selectFrom('projects').select('name').execute())),
  );
  assert.deepEqual(
    names,
    Array.from({ length: 20 }, () => [{ name: 'org_a' }]),
  );
});

test('what fails leaves nothing behind: no row, no transaction, no organization', async () => {
  const pid = await backend();
  await assert.rejects(
    tenants.within(a, async tx => {
      await tx.insertInto('projects').values(project('gone')).execute();
      throw new Error('changed my mind');
    }),
    /changed my mind/,
  );
  await assert.rejects(
    tenants.within(a, async tx => {
      await tx.insertInto('projects').values(project('gone too')).execute();
      await sql`select 1 / 0`.execute(tx);
    }),
    { code: '22012' },
  );
  assert.deepEqual(await projectsOf(a), ['org_a']);
  assert.deepEqual(await projectsOf(b), ['org_b']);
  assert.equal(await backend(), pid, 'the connection goes on');
});

test('a failure that the work has swallowed is not taken for a commit', async () => {
  await assert.rejects(
    tenants.within(a, async tx => {
      await tx.insertInto('projects').values(project('lost')).execute();
      await sql`select 1 / 0`.execute(tx).catch(() => {});
    }),
    /nothing was committed/,
  );
  assert.deepEqual(await projectsOf(a), ['org_a']);
});

test('a statement that is not waited for cannot run for the next who has the connection', async () => {
  let late: Promise<unknown> = Promise.resolve();
  await tenants.within(a, async tx => {
    late = new Promise(resolve => setTimeout(resolve, 20)).then(() =>
      tx.selectFrom('projects').selectAll().execute(),
    );
  });
  await assert.rejects(late, /the transaction has ended/);
});

test('a connection that dies in the middle is replaced', async () => {
  const owner = new pg.Client(database.owner as pg.ClientConfig);
  await owner.connect();
  await assert.rejects(
    tenants.within(a, async tx => {
      const { rows } = await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(tx);
      await owner.query('select pg_terminate_backend($1)', [rows[0]?.pid]);
      await tx.selectFrom('projects').select('name').execute();
    }),
  );
  await owner.end();
  assert.deepEqual(await projectsOf(b), ['org_b']);
});

test('the organization ends with the transaction, as a pooler that hands connections on needs it', async () => {
  await tenants.within(a, tx => sql`select 1`.execute(tx));
  const { rows } = await pool.query(
    `select nullif(current_setting('guildhall.organization', true), '') as left`,
  );
  assert.deepEqual(rows, [{ left: null }]);
});
