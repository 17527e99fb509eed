/**
 * Keys that seals are signed with. The pair is made here; its private part lies in the database sealed under the
 * master key, so whoever can write to the database alone cannot sign. The newest key signs; the public parts of
 * former ones stay for ever, and so do their sealed private parts: that they open proves whose they were.
 */
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { sql } from 'kysely';
import type { Db, Reader, Tx } from '../../platform/db/db.ts';
import type { Row } from '../../platform/db/schema.ts';
import type { Sealer } from '../../platform/secrets/sealer.ts';
import { fingerprintOf } from './seal-format.ts';

export interface SigningKey {
  /** Its fingerprint. */
  id: string;
  privateKey: KeyObject;
}

/** Context under which a private key is sealed. */
const contextOf = (id: string): string => `audit_key:${id}`;

/** The key that signs now. Made when there is none, and anew when it is older than `maxAgeMs`. */
export async function requireSigningKey(
  tx: Tx,
  sealer: Sealer,
  now: Date,
  maxAgeMs: number,
): Promise<SigningKey> {
  const newest = await tx
    .selectFrom('audit_keys')
    .selectAll()
    .orderBy('number', 'desc')
    .limit(1)
    .executeTakeFirst();
  if (!newest || now.getTime() - newest.created_at.getTime() > maxAgeMs)
    return addSigningKey(tx, sealer, now);
  return { id: newest.id, privateKey: openPrivateKey(sealer, newest) };
}

/** Makes the key that signs from now on. Each chain hands over to it in its next seals. */
export async function addSigningKey(tx: Tx, sealer: Sealer, now: Date): Promise<SigningKey> {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const bytes = rawPublicKey(publicKey);
  const id = fingerprintOf(bytes);
  await tx
    .insertInto('audit_keys')
    .values({
      id,
      public_key: bytes,
      sealed_private_key: sealer.seal(privateKey.export({ format: 'der', type: 'pkcs8' }), contextOf(id)),
      created_at: now,
    })
    .execute();
  // Of no organization: it is the whole installation's.
  await sql`insert into audit_records (actor, action, target, outcome, data, created_at)
    values ('system', 'audit_key.create', ${id}, 'ok', '{}', ${now})`.execute(tx);
  return { id, privateKey };
}

/** The pair of a key that signed before. */
export async function readSigningKey(tx: Tx, sealer: Sealer, id: string): Promise<SigningKey> {
  const row = await tx.selectFrom('audit_keys').selectAll().where('id', '=', id).executeTakeFirstOrThrow();
  return { id, privateKey: openPrivateKey(sealer, row) };
}

/** The public parts, oldest first. */
export function listPublicKeys(db: Reader): Promise<Pick<Row<'audit_keys'>, 'id' | 'public_key'>[]> {
  return db.selectFrom('audit_keys').select(['id', 'public_key']).orderBy('number').execute();
}

/** Keys that this server made. With the system's connection: requests see the public parts only. */
export async function findOwnKeys(db: Db, sealer: Sealer): Promise<Set<string>> {
  const keys = await db.selectFrom('audit_keys').selectAll().execute();
  return new Set(keys.filter(key => isOwnKey(sealer, key)).map(key => key.id));
}

/** Whether this server made the key: its private part opens under the master key and belongs to the public one. */
function isOwnKey(sealer: Sealer, key: Row<'audit_keys'>): boolean {
  try {
    const publicKey = rawPublicKey(createPublicKey(openPrivateKey(sealer, key)));
    return publicKey.equals(key.public_key) && fingerprintOf(publicKey) === key.id;
  } catch {
    return false;
  }
}

function openPrivateKey(sealer: Sealer, key: Row<'audit_keys'>): KeyObject {
  return createPrivateKey({
    key: sealer.open(key.sealed_private_key, contextOf(key.id)),
    format: 'der',
    type: 'pkcs8',
  });
}

const rawPublicKey = (key: KeyObject): Buffer =>
  Buffer.from(key.export({ format: 'jwk' }).x as string, 'base64url');
