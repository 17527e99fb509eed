import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, test } from 'node:test';
import { startTestApp } from '../../../test/harness/app.ts';
import { ManualClock, minutes } from '../../base/time.ts';
import { transact } from '../../platform/db/db.ts';
import { openSecret, putSecret } from './secrets.ts';

const clock = new ManualClock();
const guildhall = await startTestApp({ roles: ['api'], clock });
after(() => guildhall[Symbol.asyncDispose]());
const { app, database } = guildhall;
const { organizationId } = app.installation;
const open = (name: string, of = organizationId) =>
  openSecret(app.db, app.sealer, new Date(clock.now()), of, name);
const set = (name: string, value: string, more: object = {}) =>
  guildhall.api('POST', '/api/v1/secrets', { name, value, ...more });
const newValue = () => `sk-${randomBytes(24).toString('base64url')}`;

test('SEC-02 a secret goes in, is used, and comes out nowhere: not by the API, not in a row of any table', async () => {
  const value = newValue();
  const made = await set('providers/anthropic/api-key', value, { rotate_in_days: 90 });
  assert.equal(made.status, 200);
  assert.deepEqual(
    [made.body.name, made.body.version, made.body.state],
    ['providers/anthropic/api-key', 1, 'in_force'],
  );
  assert.equal(await open('providers/anthropic/api-key'), value);
  const listed = await guildhall.api('GET', '/api/v1/secrets');
  assert.ok(!JSON.stringify([made.body, listed.body]).includes(value.slice(3)));
  const { rows: tables } = await database.pool.query(
    "select table_name from information_schema.tables where table_schema = 'public' and table_type = 'BASE TABLE'",
  );
  assert.ok(tables.length > 20);
  for (const { table_name: table } of tables) {
    const { rows } = await database.pool.query(`select row_to_json(t)::text as text from "${table}" t`);
    assert.ok(!rows.some(row => row.text.includes(value.slice(3, 30))), table);
  }
});

test('SEC-03 setting it again makes the next version and erases the value before', async () => {
  const [first, second] = [newValue(), newValue()];
  await set('deploy/token', first);
  const again = await set('deploy/token', second);
  assert.equal(again.body.version, 2);
  assert.equal(await open('deploy/token'), second);
  const versions = await guildhall.api<{ items: { version: number; state: string }[] }>(
    'GET',
    '/api/v1/secrets?name=deploy/token',
  );
  assert.deepEqual(
    versions.body.items.map(v => [v.version, v.state]).sort((a, b) => Number(a[0]) - Number(b[0])),
    [
      [1, 'replaced'],
      [2, 'in_force'],
    ],
  );
  const kept = await database.db
    .selectFrom('secrets')
    .where('name', '=', 'deploy/token')
    .selectAll()
    .execute();
  assert.equal(kept.filter(row => row.sealed_value !== null).length, 1);
});

test('SEC-03 a revoked secret is gone at once, and can be set anew', async () => {
  await set('deploy/revoked', newValue());
  const path = `/api/v1/secrets/${encodeURIComponent('deploy/revoked')}`;
  assert.equal((await guildhall.api('DELETE', path)).body.state, 'revoked');
  assert.equal(await open('deploy/revoked'), null);
  const again = await guildhall.api('DELETE', path);
  assert.deepEqual([again.status, again.body.code], [404, 'secret_missing']);
  const value = newValue();
  assert.equal((await set('deploy/revoked', value)).body.version, 2);
  assert.equal(await open('deploy/revoked'), value);
});

test('a secret that ought to have been replaced says so; the time of its last use is kept', async () => {
  await set('deploy/aging', newValue(), { rotate_in_days: 1 });
  const state = async () => {
    const { body } = await guildhall.api<{ items: Record<string, unknown>[] }>(
      'GET',
      '/api/v1/secrets?name=deploy/aging',
    );
    return body.items[0] as Record<string, unknown>;
  };
  assert.deepEqual([(await state()).is_overdue, (await state()).last_used_at], [false, null]);
  clock.advance(minutes(60 * 25));
  await open('deploy/aging');
  const later = await state();
  assert.deepEqual([later.is_overdue, later.last_used_at], [true, new Date(clock.now()).toISOString()]);
});

test('SEC-02 a sealed value moved to another name or organization does not open', async () => {
  await set('move/from', newValue());
  await set('move/to', newValue());
  const from = await database.db
    .selectFrom('secrets')
    .select('sealed_value')
    .where('name', '=', 'move/from')
    .executeTakeFirstOrThrow();
  await database.db.updateTable('secrets').set(from).where('name', '=', 'move/to').execute();
  await assert.rejects(open('move/to'), { code: 'sealed_value_damaged' });
});

test('names and values that cannot be are refused, without repeating the value', async () => {
  for (const name of ['', '/', 'a//b', 'A/b', '../etc', 'a/', `${'a'.repeat(201)}`]) {
    const refused = await set(name, 'some-long-value-1');
    assert.equal(refused.status, 422, name);
    assert.doesNotMatch(JSON.stringify(refused.body), /some-long-value/);
  }
  for (const value of ['', 5, null, 'x'.repeat(65_537)])
    assert.equal((await set('a/b', value as string)).status, 422);
});

test('of two who set a secret at once both come through one after the other, or one is told', async () => {
  const answers = await Promise.all(Array.from({ length: 6 }, () => set('race/first', newValue())));
  for (const { status } of answers)
    assert.ok(status === 200 || status === 409 || status === 503, String(status));
  const kept = await database.db.selectFrom('secrets').where('name', '=', 'race/first').selectAll().execute();
  assert.equal(kept.filter(row => row.sealed_value !== null).length, 1);
  assert.equal(kept.length, answers.filter(answer => answer.status === 200).length);
});

test('every change of a secret is in the audit, with its version', async () => {
  await set('audited/one', newValue());
  await set('audited/one', newValue());
  await guildhall.api('DELETE', `/api/v1/secrets/${encodeURIComponent('audited/one')}`);
  const records = await database.db
    .selectFrom('audit_records')
    .select(['action', 'data'])
    .where('action', 'like', 'secret.%')
    .execute();
  assert.deepEqual(
    records
      .filter(r => (r.data as { name?: string }).name === 'audited/one')
      .map(r => [r.action, (r.data as { version?: number }).version]),
    [
      ['secret.create', 1],
      ['secret.rotate', 2],
      ['secret.revoke', 2],
    ],
  );
});

test('another organization has secrets of its own under the same names', async () => {
  await set('shared/name', newValue());
  const other = `org_${'0'.repeat(26)}`;
  await database.db
    .insertInto('organizations')
    .values({ id: other, name: 'other', created_at: new Date() })
    .execute();
  assert.equal(await open('shared/name', other), null);
  const value = newValue();
  const actor = { id: 'system', organizationId: other, requestId: 'test' };
  await transact(database.db, tx =>
    putSecret(tx, app.sealer, actor, new Date(clock.now()), { name: 'shared/name', value, rotateBy: null }),
  );
  assert.equal(await open('shared/name', other), value);
  assert.notEqual(await open('shared/name'), value);
});
