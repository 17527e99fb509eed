/**
 * Keys that this deployment signs tokens with. One signs; those before it are believed until their time is over, so
 * that rotating breaks no token. The private part lies in the database sealed under the master key, the public parts
 * are published.
 */
import { generateKeyPairSync } from 'node:crypto';
import { type CryptoKey, importJWK, type JWK } from 'jose';
import { newId } from '../../base/ids.ts';
import type { JsonObject } from '../../base/json.ts';
import { Problem } from '../../base/problem.ts';
import type { Reader, Tx } from '../../platform/db/db.ts';
import type { Row } from '../../platform/db/schema.ts';
import { type Actor, appendAudit, appendEvent } from '../../platform/journal/facts.ts';
import type { Sealer } from '../../platform/secrets/sealer.ts';

export type SigningKey = Row<'signing_keys'>;

const contextOf = (id: string): string => `signing_key:${id}`;

/** The key that signs now; the first time it is made. */
export async function currentSigningKey(db: Reader, sealer: Sealer, now: Date): Promise<SigningKey> {
  const find = () =>
    db.selectFrom('signing_keys').selectAll().where('retires_at', 'is', null).executeTakeFirst();
  const found = await find();
  if (found) return found;
  // Of several that come at once one makes it.
  await db
    .insertInto('signing_keys')
    .values(newKeyPair(sealer, now))
    .onConflict(oc => oc.doNothing())
    .execute();
  const made = await find();
  if (made) return made;
  throw new Problem('unavailable', 'signing_key_missing', 'The signing key is being replaced. Try again.');
}

/** A new key signs from now on; what the old one signed is believed for `overlapMs` more. @returns the new one. */
export async function rotateSigningKey(
  tx: Tx,
  actor: Actor,
  now: Date,
  sealer: Sealer,
  overlapMs: number,
): Promise<SigningKey> {
  const retired = await tx
    .updateTable('signing_keys')
    .set({ retires_at: new Date(now.getTime() + overlapMs) })
    .where('retires_at', 'is', null)
    .returning('id')
    .execute();
  const made = newKeyPair(sealer, now);
  const row = await tx.insertInto('signing_keys').values(made).returningAll().executeTakeFirstOrThrow();
  const facts = { replaces: retired[0]?.id, overlap_minutes: overlapMs / 60_000 };
  await appendAudit(tx, actor, now, 'signing_key.rotate', row.id, 'ok', facts);
  await appendEvent(tx, actor, now, 'signing_key.rotated', {}, { id: row.id });
  return row;
}

function newKeyPair(sealer: Sealer, now: Date) {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const id = newId('sgk', now.getTime());
  const jwk = publicKey.export({ format: 'jwk' });
  return {
    id,
    algorithm: 'EdDSA' as const,
    public_jwk: JSON.stringify({ ...jwk, kid: id, alg: 'EdDSA', use: 'sig' } satisfies JsonObject),
    private_key_sealed: sealer.seal(JSON.stringify(privateKey.export({ format: 'jwk' })), contextOf(id)),
    created_at: now,
    retires_at: null,
  };
}

/** Keys whose signatures are believed now, the newest first. */
export function listSigningKeys(db: Reader, now: Date): Promise<SigningKey[]> {
  return db
    .selectFrom('signing_keys')
    .selectAll()
    .where(eb => eb.or([eb('retires_at', 'is', null), eb('retires_at', '>', now)]))
    .orderBy('id', 'desc')
    .execute();
}

/** The public part of a key that is believed now; null when there is none of that id. */
export async function findVerificationKey(db: Reader, now: Date, id: string): Promise<CryptoKey | null> {
  const row = await db
    .selectFrom('signing_keys')
    .select('public_jwk')
    .where('id', '=', id)
    .where(eb => eb.or([eb('retires_at', 'is', null), eb('retires_at', '>', now)]))
    .executeTakeFirst();
  return row ? ((await importJWK(row.public_jwk as JWK, 'EdDSA')) as CryptoKey) : null;
}

export async function openPrivateKey(sealer: Sealer, key: SigningKey): Promise<CryptoKey> {
  const jwk = JSON.parse(sealer.open(key.private_key_sealed, contextOf(key.id)).toString('utf8')) as JWK;
  return (await importJWK(jwk, 'EdDSA')) as CryptoKey;
}
