import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { startTestApp } from '../../../test/harness/app.ts';
import { transact } from '../../platform/db/db.ts';
import { openSealer } from '../../platform/secrets/key-ring.ts';
import { type KeyRing, newMasterKey, showMasterKey } from '../../platform/secrets/master-key.ts';
import { makeKeyFile, readKeyFile } from '../../platform/secrets/master-key-file.ts';
import { addSigningKey, readSigningKey } from '../audit/keys.ts';
import { currentSigningKey, openPrivateKey } from '../identity/signing-keys.ts';
import { rotateMasterKey } from './master-rotation.ts';
import { sealedColumns } from './sealed-columns.ts';
import { openSecret, putSecret } from './secrets.ts';

// The server of this test has nothing sealed yet but the root; the keys of the test take it over.
const guildhall = await startTestApp({ roles: [] });
const { db } = guildhall.database;
await db.deleteFrom('master_keys').execute();
await db.deleteFrom('derivation_root').execute();
const directory = await mkdtemp(join(tmpdir(), 'guildhall-rotation-'));
const file = join(directory, 'master-key');
after(async () => {
  await guildhall[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});
const now = new Date();
const { organizationId } = guildhall.app.installation;
const actor = { id: 'system', organizationId, requestId: 'test' };
const ring: KeyRing = await makeKeyFile(file);
const sealer = await openSealer(db, ring, now);
const put = (name: string, value: string) =>
  transact(db, tx => putSecret(tx, sealer, actor, now, { name, value, rotateBy: null }));
const open = (name: string) => openSecret(db, sealer, now, organizationId, name);

test('SEC-03 every column with sealed values is known to the rotation', async () => {
  const { rows } = await guildhall.database.pool.query(
    "select table_name, column_name from information_schema.columns where table_schema = 'public' and data_type = 'text' and column_name like '%sealed%'",
  );
  const known = sealedColumns.map(({ table, column }) => `${table}.${column}`);
  assert.deepEqual(rows.map(row => `${row.table_name}.${row.column_name}`).sort(), known.toSorted());
});

test('SEC-03 the master key is changed under load: everything opens, before, while and after', async () => {
  for (let n = 0; n < 250; n++) await put(`kept/${n}`, `value-${n}`);
  const signing = await currentSigningKey(db, sealer, now);
  const audit = await transact(db, tx => addSigningKey(tx, sealer, now));
  const derived = sealer.derive('sign-in');
  let stop = false;
  const load = (async () => {
    for (let n = 0; !stop; n++) {
      await put(`moving/${n % 5}`, `moved-${n}`);
      assert.equal(await open(`moving/${n % 5}`), `moved-${n}`);
      assert.equal(await open(`kept/${n % 250}`), `value-${n % 250}`);
    }
  })();
  const before = ring.current.id;
  const done = await rotateMasterKey(db, sealer, { ring, file }, actor, now, false);
  stop = true;
  await load;
  assert.notEqual(done.key_id, before);
  assert.deepEqual(done.older_keys, [before]);
  assert.ok(done.resealed >= 253, String(done.resealed));

  // A server that starts now with the file, and one that has only the newest key.
  const kept = (await readKeyFile(file)) as KeyRing;
  assert.deepEqual([kept.current.id, kept.others.map(key => key.id)], [done.key_id, [before]]);
  const next = await openSealer(db, { current: kept.current, others: [] }, now);
  for (let n = 0; n < 250; n++)
    assert.equal(await openSecret(db, next, now, organizationId, `kept/${n}`), `value-${n}`);
  const row = await db
    .selectFrom('signing_keys')
    .selectAll()
    .where('id', '=', signing.id)
    .executeTakeFirstOrThrow();
  await openPrivateKey(next, row);
  await transact(db, tx => readSigningKey(tx, next, audit.id));
  assert.deepEqual(
    next.derive('sign-in'),
    derived,
    'what was derived stays: sessions and second factors go on',
  );
});

test('SEC-03 after a leak the old key is dropped, and opens nothing any more', async () => {
  const leaked = ring.current;
  const done = await rotateMasterKey(db, sealer, { ring, file }, actor, now, true);
  assert.deepEqual(done.older_keys, []);
  assert.ok(!(await readFile(file, 'utf8')).includes(showMasterKey(leaked)));
  await assert.rejects(openSealer(db, { current: leaked, others: [] }, now), { code: 'master_key_wrong' });
  assert.equal(await open('kept/7'), 'value-7');
});

test('with keys from the settings the server changes to the one it was started with, and says when there is none', async () => {
  await put('settings/one', 'value-one');
  const next: KeyRing = { current: newMasterKey(), others: [ring.current] };
  const restarted = await openSealer(db, next, now);
  const done = await rotateMasterKey(db, restarted, { ring: next, file: null }, actor, now, false);
  assert.ok(done.resealed > 250);
  await assert.rejects(rotateMasterKey(db, restarted, { ring: next, file: null }, actor, now, false), {
    code: 'master_key_not_set',
    message: /GUILDHALL_MASTER_KEYS_OLD/,
  });
});

test('SEC-03 only who manages the installation may rotate, and what is rotated is in the audit', async () => {
  await using served = await startTestApp({ roles: ['api'] });
  const rotated = await served.api('POST', '/api/v1/installation/master-key/rotation', {});
  assert.equal(rotated.body.code, 'master_key_not_set', 'the key of this server comes with the settings');
  const database = await served.api('POST', '/api/v1/installation/database-password/rotation');
  assert.deepEqual([database.status, database.body.code], [409, 'database_not_ours']);
  const records = await db
    .selectFrom('audit_records')
    .selectAll()
    .where('action', '=', 'master_key.rotate')
    .execute();
  assert.equal(records.length, 3);
  assert.ok(!JSON.stringify(records).includes(showMasterKey(ring.current)));
  const { body } = await served.api<{ key: string }>('POST', '/api/v1/api-keys', {
    name: randomBytes(4).toString('hex'),
    scopes: ['read', 'write'],
  });
  const headers = { authorization: `Bearer ${body.key}` };
  const refused = await served.api('POST', '/api/v1/installation/master-key/rotation', {}, headers);
  assert.equal(refused.status, 403);
});
