/**
 * Which keys may sign a chain: that of its first seal, and each that a seal before introduced, signed by the one in
 * force until then.
 */
import type { KeyObject } from 'node:crypto';
import type { FindingKind } from './findings.ts';
import { fingerprintOf, isSignedBy, publicKeyOf, type Seal } from './seal-format.ts';

export class KeyTrust {
  readonly #keys = new Map<string, KeyObject | null>();
  #current: string | null = null;
  /** Keys that signed something, in the order of their first seal. */
  readonly used: string[] = [];

  /** @returns what is wrong with it. */
  add(id: string, publicKey: Buffer): FindingKind[] {
    const known = publicKey.length === 32 && fingerprintOf(publicKey) === id;
    this.#keys.set(id, known ? publicKeyOf(publicKey) : null);
    return known ? [] : ['key_changed'];
  }

  /** @returns what is wrong with a seal's key and signature. */
  check(seal: Seal): FindingKind[] {
    const found: FindingKind[] = [];
    const key = this.#keys.get(seal.keyId);
    if (key === undefined) found.push('key_unknown');
    else if (key === null || !isSignedBy(seal, key)) found.push('signature_wrong');
    else if (!this.used.includes(seal.keyId)) this.used.push(seal.keyId);
    if (this.#current !== null && seal.keyId !== this.#current) found.push('key_not_introduced');
    this.#current = seal.introducesKey ?? seal.keyId;
    return found;
  }
}
