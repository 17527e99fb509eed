/**
 * Master keys: 32 random bytes each. One seals; older ones (and the next one, while it is being rolled out) only
 * open. A key is named by a fingerprint that tells nothing about it.
 */
import { hkdfSync, randomBytes } from 'node:crypto';
import { Problem } from '../../base/problem.ts';

export const masterKeyBytes = 32;

export interface MasterKey {
  /** 16 hex digits that name the key, in sealed values and in the database. */
  id: string;
  bytes: Buffer;
}

/** The keys of this process. The sealer looks at it with every call, so that a rotation needs no restart. */
export interface KeyRing {
  current: MasterKey;
  others: MasterKey[];
}

export function newMasterKey(): MasterKey {
  return masterKeyOf(randomBytes(masterKeyBytes));
}

export function masterKeyOf(bytes: Buffer): MasterKey {
  return {
    id: Buffer.from(hkdfSync('sha256', bytes, '', 'guildhall master key id', 8)).toString('hex'),
    bytes,
  };
}

/** A key as people and secret managers keep it: base64 of 32 bytes. */
export const showMasterKey = (key: MasterKey): string => key.bytes.toString('base64');

/** @param name the setting that it comes from, for the message. @throws Problem `master_key_invalid`. */
export function parseMasterKey(text: string, name: string): MasterKey {
  const trimmed = text.trim();
  const bytes = Buffer.from(trimmed.replaceAll('-', '+').replaceAll('_', '/'), 'base64');
  const fault = faultOf(trimmed, bytes);
  if (fault)
    throw new Problem(
      'invalid',
      'master_key_invalid',
      `${name} ${fault}. Make one with \`openssl rand -base64 32\`.`,
    );
  return masterKeyOf(bytes);
}

/** Chance makes none of these: of 32 random bytes a third is printable, and hardly any byte comes four times. */
function faultOf(text: string, bytes: Buffer): string | null {
  if (!/^[A-Za-z0-9+/_-]+={0,2}$/.test(text) || bytes.length !== masterKeyBytes)
    return 'must be 32 bytes in base64';
  if (new Set(bytes).size < 16) return 'repeats itself: it is not random';
  if (bytes.every(byte => byte >= 0x20 && byte < 0x7f)) return 'is text in base64: it is not random';
  return null;
}
