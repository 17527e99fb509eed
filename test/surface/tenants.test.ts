/**
 * Nothing of one organization is seen or changed by another: through the API with all filters, and once more with the
 * application's own filters taken out of its SQL, where row-level security alone stands between them. That the taking
 * out is real is shown by the same run without row-level security, which leaks.
 */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import type { PoolSettings } from '../../src/platform/db/db.ts';
import { startTestApp, type TestApp } from '../harness/app.ts';
import { openTestDatabase, type TestDatabase } from '../harness/database.ts';
import { recordRoutes } from '../harness/routes.ts';
import { generousLimits } from './limits.ts';
import { addSide, rowsOf, type Side, visit } from './two-organizations.ts';
import { strippingClient, withoutFilters } from './unfiltered.ts';

const recorded = recordRoutes();

interface Stage extends AsyncDisposable {
  guildhall: TestApp;
  one: Side;
  other: Side;
}

/** A server with two organizations. @param change other connections for requests and for the system. */
async function open(
  change: (database: TestDatabase) => { app?: PoolSettings; system?: PoolSettings },
): Promise<Stage> {
  const database = await openTestDatabase();
  const altered = { ...database, ...change(database) };
  const guildhall = await startTestApp({ roles: ['api'], env: generousLimits, database: altered });
  const one = await addSide(guildhall, 'heliotrope', 47_110_815);
  const other = await addSide(guildhall, 'zanzibar', 58_220_926);
  return {
    guildhall,
    one,
    other,
    async [Symbol.asyncDispose]() {
      await guildhall[Symbol.asyncDispose]();
      await database[Symbol.asyncDispose]();
    },
  };
}

const plain = await open(() => ({}));
after(() => plain[Symbol.asyncDispose]());
const routes = [...recorded];

test('the word of an organization is in everything that it can read, so that a leak of it would be seen', async () => {
  const { guildhall, other } = plain;
  const { task, project, approval, dead_letter, agent, secret } = other.things;
  const paths = [
    '/tasks',
    `/tasks/${task}`,
    ...['tree', 'steps', 'checks', 'diff', 'messages'].map(part => `/tasks/${task}/${part}`),
    '/approvals',
    `/approvals/${approval}`,
    '/dead-letters',
    `/dead-letters/${dead_letter}`,
    '/agents',
    `/agents/${agent}`,
    '/teams',
    '/projects',
    '/members',
    '/api-keys',
    '/secrets',
    '/service-accounts',
    '/invitations',
    '/audit',
  ];
  for (const path of paths) {
    const response = await fetch(`${guildhall.app.url}/api/v1${path}`, {
      headers: { authorization: `Bearer ${other.key}` },
    });
    const text = await response.text();
    assert.equal(response.status, 200, `${path} ${text}`);
    assert.ok(text.includes(other.word), `${path} ${text.slice(0, 300)}`);
  }
  assert.ok(project && secret);
});

test('ADV-01 IAM-04 with the ids of another organization in address, query and body no route shows or changes anything of it', async t => {
  const { guildhall, one, other } = plain;
  const before = await rowsOf(guildhall.database.db, other.organizationId);
  const { asked, leaks, broken } = await visit(guildhall, routes, one, other);
  t.diagnostic(`${asked} requests`);
  assert.ok(asked > 300, `${asked} requests`);
  assert.deepEqual(leaks, []);
  assert.deepEqual(broken, []);
  assert.deepEqual(await rowsOf(guildhall.database.db, other.organizationId), before);
});

test('what is taken out of a statement is each comparison with the organization, and nothing else', () => {
  assert.equal(
    withoutFilters('select * from "tasks" as "t" where "t"."organization_id" = $1 and "id" = $2'),
    'select * from "tasks" as "t" where ($1::text is not null) and "id" = $2',
  );
  assert.equal(
    withoutFilters('where organization_id = $3 and a.organization_id = $4'),
    'where ($3::text is not null) and ($4::text is not null)',
  );
  const insert = 'insert into "tasks" ("id", "organization_id") values ($1, $2)';
  assert.equal(withoutFilters(insert), insert);
});

test('ADV-01 with the filters of the application taken out, row-level security alone lets nothing through', async t => {
  const stripped = strippingClient();
  const Client = stripped.Client as never;
  await using stage = await open(({ app, system }) => ({
    app: { ...app, Client },
    system: { ...system, Client },
  }));
  const { guildhall, one, other } = stage;
  const before = await rowsOf(guildhall.database.db, other.organizationId);
  const { asked, leaks, broken } = await visit(guildhall, routes, one, other);
  t.diagnostic(`${asked} requests, ${stripped.texts.size} statements without their filter`);
  assert.ok(stripped.texts.size > 40, `${stripped.texts.size} statements`);
  assert.deepEqual(leaks, []);
  assert.deepEqual(broken, []);
  assert.deepEqual(await rowsOf(guildhall.database.db, other.organizationId), before);
});

test('and without row-level security the same run leaks: what was taken out is what had held', async t => {
  const stripped = strippingClient();
  const Client = stripped.Client as never;
  await using stage = await open(({ system }) => ({
    app: { ...system, Client },
    system: { ...system, Client },
  }));
  const { guildhall, one, other } = stage;
  const before = await rowsOf(guildhall.database.db, other.organizationId);
  const { leaks } = await visit(guildhall, routes, one, other);
  const after_ = await rowsOf(guildhall.database.db, other.organizationId);
  const changed = [...before]
    .filter(([table, digest]) => after_.get(table) !== digest)
    .map(([table]) => table);
  t.diagnostic(`${leaks.length} leaks; changed: ${changed.join(', ')}`);
  assert.ok(leaks.length > 20, `${leaks.length} leaks`);
  assert.ok(changed.length > 3, changed.join());
});
