/**
 * The start of sealing: the server's master keys against the one that the database says it is sealed with. A server
 * with another key would write values that the others cannot open and fail at every one that they wrote, so it does
 * not start. The first server of a database writes down which key that is.
 */
import { randomBytes } from 'node:crypto';
import { sql } from 'kysely';
import { Problem } from '../../base/problem.ts';
import { type Db, type Reader, type Tx, transact } from '../db/db.ts';
import { type KeyRing, parseMasterKey } from './master-key.ts';
import { makeKeyFile, readKeyFile } from './master-key-file.ts';
import { redactor } from './redactor.ts';
import { createSealer, type Sealer } from './sealer.ts';

/** Where the keys come from: texts of the settings, or the file of an installation with the embedded database. */
export interface KeySource {
  current: string | null;
  others: readonly string[];
  /** Null: there is no file, the settings must have the key. */
  file: string | null;
}

/** The keys of this server. @throws Problem `master_key_missing`, `master_key_invalid`, `secret_file_open`. */
export async function loadKeyRing(db: Reader, source: KeySource): Promise<KeyRing> {
  const others = source.others.map(text => parseMasterKey(text, 'GUILDHALL_MASTER_KEYS_OLD'));
  if (source.current !== null)
    return { current: parseMasterKey(source.current, 'GUILDHALL_MASTER_KEY'), others };
  if (source.file === null)
    throw new Problem(
      'invalid',
      'master_key_missing',
      'GUILDHALL_MASTER_KEY is not set, so secrets could not be sealed. Make a key with `openssl rand -base64 32`, ' +
        'keep it where your other secrets are, and give it to every replica as GUILDHALL_MASTER_KEY or GUILDHALL_MASTER_KEY_FILE.',
    );
  const kept = await readKeyFile(source.file);
  if (kept) return { ...kept, others: [...kept.others, ...others] };
  const recorded = await findCurrentKeyId(db);
  if (recorded === null) return makeKeyFile(source.file);
  throw new Problem(
    'unavailable',
    'master_key_missing',
    `${source.file} is gone, and with it the master key ${recorded} that this database is sealed with. Restore the file from a backup.`,
  );
}

const startLock = 7_204_812_119;
const rootContext = 'derivation_root';

/** Fingerprint of the key that the database is sealed with; null before the first start. */
export async function findCurrentKeyId(db: Reader): Promise<string | null> {
  const row = await db
    .selectFrom('master_keys')
    .select('key_id')
    .where('is_current', '=', true)
    .executeTakeFirst();
  return row?.key_id ?? null;
}

/**
 * Makes the sealer. A current key that the database does not know yet becomes its current one, provided that the
 * server also has the one before: that is a rotation. @throws Problem `master_key_wrong`.
 */
export async function openSealer(db: Db, ring: KeyRing, now: Date): Promise<Sealer> {
  return transact(db, async tx => {
    await sql`select pg_advisory_xact_lock(${startLock}::bigint)`.execute(tx);
    const recorded = await findCurrentKeyId(tx);
    if (recorded !== null) requireKey(ring, recorded);
    const known = await tx
      .selectFrom('master_keys')
      .select('key_id')
      .where('key_id', '=', ring.current.id)
      .executeTakeFirst();
    // A replica that still seals with the key before the current one is one that the rotation has not reached yet.
    if (!known) await recordCurrentKey(tx, ring.current.id, now);
    for (const key of [ring.current, ...ring.others]) redactor.learn(key.bytes);
    return createSealer(ring, await findRoot(tx, ring), value => redactor.learn(value));
  });
}

/** Writes down which key seals from now on. */
export async function recordCurrentKey(tx: Tx, keyId: string, now: Date): Promise<void> {
  await tx.updateTable('master_keys').set({ is_current: false }).where('is_current', '=', true).execute();
  await tx
    .insertInto('master_keys')
    .values({ key_id: keyId, is_current: true, added_at: now })
    .onConflict(oc => oc.column('key_id').doUpdateSet({ is_current: true }))
    .execute();
}

function requireKey(ring: KeyRing, recorded: string): void {
  if ([ring.current, ...ring.others].some(key => key.id === recorded)) return;
  throw new Problem(
    'conflict',
    'master_key_wrong',
    `This database is sealed with the master key ${recorded}, but the server was given ${ring.current.id}. ` +
      'Start it with the key of this database. To change the key, set the new one as GUILDHALL_MASTER_KEY and the ' +
      'one before in GUILDHALL_MASTER_KEYS_OLD, then run `guildhall secret rotate-master`.',
  );
}

async function findRoot(tx: Tx, ring: KeyRing): Promise<Buffer> {
  const found = await tx.selectFrom('derivation_root').select('sealed').executeTakeFirst();
  const sealer = createSealer(ring, Buffer.alloc(0));
  if (found) return sealer.open(found.sealed, rootContext);
  const root = randomBytes(32);
  await tx
    .insertInto('derivation_root')
    .values({ sealed: sealer.seal(root, rootContext) })
    .execute();
  return root;
}
