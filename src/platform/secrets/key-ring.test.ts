import assert from 'node:assert/strict';
import { chmod, mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, beforeEach, test } from 'node:test';
import { openTestDatabase } from '../../../test/harness/database.ts';
import { Problem } from '../../base/problem.ts';
import { findCurrentKeyId, loadKeyRing, openSealer } from './key-ring.ts';
import { newMasterKey, showMasterKey } from './master-key.ts';

const database = await openTestDatabase();
const { db } = database;
const directory = await mkdtemp(join(tmpdir(), 'guildhall-keys-'));
const file = join(directory, 'master-key');
const now = new Date(0);
const [first, second, third] = [newMasterKey(), newMasterKey(), newMasterKey()];
const failsWith = (code: string) => (error: unknown) => error instanceof Problem && error.code === code;
const nothing = { current: null, others: [] };

after(async () => {
  await database[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});
beforeEach(async () => {
  await db.deleteFrom('master_keys').execute();
  await db.deleteFrom('derivation_root').execute();
  await rm(file, { force: true });
});

test('SEC-02 without a master key a server of an external database does not start, and is told how to make one', async () => {
  await assert.rejects(loadKeyRing(db, { ...nothing, file: null }), (error: unknown) => {
    assert.ok(failsWith('master_key_missing')(error));
    assert.match((error as Problem).message, /GUILDHALL_MASTER_KEY.*openssl rand -base64 32/);
    return true;
  });
});

test('SEC-02 with the embedded database the key is made once, for its owner only', async () => {
  const ring = await loadKeyRing(db, { ...nothing, file });
  assert.equal((await stat(file)).mode & 0o777, 0o600);
  assert.deepEqual(await loadKeyRing(db, { ...nothing, file }), ring);
  await openSealer(db, ring, now);
  assert.equal(await findCurrentKeyId(db), ring.current.id);
  assert.deepEqual(await loadKeyRing(db, { ...nothing, file }), ring);
});

test('SEC-02 a lost key file is not replaced by another key', async () => {
  await openSealer(db, await loadKeyRing(db, { ...nothing, file }), now);
  await rm(file);
  await assert.rejects(loadKeyRing(db, { ...nothing, file }), failsWith('master_key_missing'));
  await assert.rejects(stat(file));
});

test('SEC-06 a key file that others can read is refused, also behind a link', async () => {
  await writeFile(file, showMasterKey(first));
  await chmod(file, 0o640);
  await assert.rejects(loadKeyRing(db, { ...nothing, file }), failsWith('secret_file_open'));
  const link = join(directory, 'link');
  await symlink(file, link);
  await assert.rejects(loadKeyRing(db, { ...nothing, file: link }), failsWith('secret_file_open'));
  await chmod(file, 0o600);
  assert.equal((await loadKeyRing(db, { ...nothing, file: link })).current.id, first.id);
  await writeFile(file, '\n');
  await assert.rejects(loadKeyRing(db, { ...nothing, file }), failsWith('master_key_invalid'));
  assert.equal(await readFile(file, 'utf8'), '\n');
});

test('SEC-02 a server with another key than the database refuses, and says what to do', async () => {
  await openSealer(db, { current: first, others: [] }, now);
  await assert.rejects(openSealer(db, { current: second, others: [third] }, now), (error: unknown) => {
    assert.ok(failsWith('master_key_wrong')(error));
    assert.match((error as Problem).message, new RegExp(`${first.id}.*${second.id}.*MASTER_KEYS_OLD`));
    return true;
  });
  assert.equal(await findCurrentKeyId(db), first.id);
});

test('SEC-03 replicas change to a new key one by one, and each can open what the others seal', async () => {
  const before = await openSealer(db, { current: first, others: [second] }, now);
  const rolled = await openSealer(db, { current: second, others: [first] }, now);
  assert.equal(await findCurrentKeyId(db), second.id);
  const late = await openSealer(db, { current: first, others: [second] }, now);
  assert.equal(await findCurrentKeyId(db), second.id, 'a late replica does not take the rotation back');
  for (const from of [before, rolled, late])
    for (const to of [before, rolled, late]) {
      assert.equal(to.open(from.seal('x', 'c'), 'c').toString(), 'x');
      assert.deepEqual(to.derive('csrf'), from.derive('csrf'));
    }
});

test('several servers that start at once on a fresh database agree on one root', async () => {
  const sealers = await Promise.all(
    Array.from({ length: 5 }, () => openSealer(db, { current: first, others: [] }, now)),
  );
  assert.equal(new Set(sealers.map(sealer => sealer.derive('x').toString('hex'))).size, 1);
});
