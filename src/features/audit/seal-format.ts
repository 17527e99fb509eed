/**
 * Seals as bytes: what is hashed and signed. Pure, and used by whoever seals, verifies or exports; the same rules
 * stand in docs/operating/audit.md for those who write a verifier of their own.
 */
import { createHash, createPublicKey, type KeyObject, verify } from 'node:crypto';

/** Where a record stands in the one order of all records: its transaction, then a sequence. */
export interface Place {
  xid: bigint;
  seq: bigint;
}

export type AuditClass = 'administrative' | 'access' | 'call';
export const auditClasses: readonly AuditClass[] = ['administrative', 'access', 'call'];

export interface SealContent {
  organizationId: string;
  number: number;
  class: AuditClass;
  /** Its records stand after `from`, and not after `to`. */
  from: Place;
  to: Place;
  /** 48 bytes a record: xid and sequence, 8 bytes each, big endian; the SHA-256 of its text. */
  entries: Buffer;
  previousHash: Buffer;
  /** The key that signs the seals after this one; null: the same. */
  introducesKey: string | null;
  keyId: string;
  /** Milliseconds since the epoch, as decimal text. */
  sealedAt: string;
}

export interface Seal extends SealContent {
  hash: Buffer;
  signature: Buffer;
  /** Whether retention has removed its records. Not part of what is signed: the record of the removal is. */
  pruned: boolean;
}

export const entryBytes = 48;
/** What the first seal of a chain follows. */
export const noHash: Buffer = Buffer.alloc(32);

export const sha256 = (data: Buffer | string): Buffer => createHash('sha256').update(data).digest();

export const showPlace = (place: Place): string => `${place.xid}-${place.seq}`;

export function parsePlace(text: string): Place | null {
  const match = /^(\d{1,20})-(\d{1,19})$/.exec(text);
  return match ? { xid: BigInt(match[1] as string), seq: BigInt(match[2] as string) } : null;
}

/** Negative, 0 or positive, as sorting wants it. */
export function comparePlaces(a: Place, b: Place): number {
  if (a.xid !== b.xid) return a.xid < b.xid ? -1 : 1;
  return a.seq === b.seq ? 0 : a.seq < b.seq ? -1 : 1;
}

/** Seals of one batch: each class has one, over the same range. */
export const isSameRange = (a: { from: Place; to: Place }, b: { from: Place; to: Place }): boolean =>
  comparePlaces(a.from, b.from) === 0 && comparePlaces(a.to, b.to) === 0;

export const entryCount = (seal: { entries: Buffer }): number => Math.floor(seal.entries.length / entryBytes);

export function* entriesOf(seal: { entries: Buffer }): Generator<{ place: Place; hash: Buffer }> {
  for (let at = 0; at + entryBytes <= seal.entries.length; at += entryBytes) {
    yield {
      place: { xid: seal.entries.readBigUInt64BE(at), seq: seal.entries.readBigUInt64BE(at + 8) },
      hash: seal.entries.subarray(at + 16, at + entryBytes),
    };
  }
}

/** What a seal's hash and signature are taken of. */
export function sealText(seal: SealContent): string {
  return [
    'guildhall-audit-seal-1',
    `organization=${seal.organizationId}`,
    `number=${seal.number}`,
    `class=${seal.class}`,
    `from=${showPlace(seal.from)}`,
    `to=${showPlace(seal.to)}`,
    `count=${entryCount(seal)}`,
    `entries=${sha256(seal.entries).toString('hex')}`,
    `previous=${seal.previousHash.toString('hex')}`,
    `introduces=${seal.introducesKey ?? '-'}`,
    `key=${seal.keyId}`,
    `sealed_at=${seal.sealedAt}`,
    '',
  ].join('\n');
}

/** A public key's name: the SHA-256 of its 32 bytes. */
export const fingerprintOf = (publicKey: Buffer): string => sha256(publicKey).toString('hex');

/** Ed25519 public keys as node:crypto wants them: RFC 8410's fixed header, then the 32 bytes. */
export function publicKeyOf(bytes: Buffer): KeyObject {
  const header = Buffer.from('302a300506032b6570032100', 'hex');
  return createPublicKey({ key: Buffer.concat([header, bytes]), format: 'der', type: 'spki' });
}

export function isSignedBy(seal: Seal, key: KeyObject): boolean {
  return verify(null, Buffer.from(sealText(seal)), key, seal.signature);
}
