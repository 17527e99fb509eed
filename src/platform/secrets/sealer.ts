/**
 * Sealing: how secrets lie in the database. Each value is encrypted under a fresh data key (AES-256-GCM), which is
 * itself encrypted under a key derived from the master key; the envelope names the master key by its fingerprint.
 * The context says which row and column a value belongs to: opened under another one, a value does not open, so
 * nobody who can write to the database can move a secret to where they may read it.
 *
 *   gs1.<key id>.<wrapped data key>.<sealed value>      both: 12 bytes nonce, ciphertext, 16 bytes tag; base64url
 */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { Problem } from '../../base/problem.ts';
import type { KeyRing, MasterKey } from './master-key.ts';

export interface Sealer {
  /** @param context what the value is, e.g. `signing_key:<id>`: needed again to open it. */
  seal(plaintext: string | Buffer, context: string): string;
  /** @throws Problem `master_key_unknown`, `sealed_value_damaged`. */
  open(sealed: string, context: string): Buffer;
  /**
   * 32 bytes for one purpose, the same on all replicas and after a rotation of the master key.
   * @param keyId derive from this master key instead, so that the bytes change when it is rotated.
   */
  derive(purpose: string, keyId?: string): Buffer;
  readonly currentKeyId: string;
  /** Whether a value is sealed by another key than the current one. */
  needsResealing(sealed: string): boolean;
}

const form = /^gs1\.([0-9a-f]{16})\.([A-Za-z0-9_-]{80})\.([A-Za-z0-9_-]{38,})$/;
const nonceBytes = 12;
const tagBytes = 16;

/**
 * @param root what `derive` derives from. It is random, lies sealed in the database, and never changes: what is
 * derived from the master key itself would change with it.
 * @param opened is told each value that is opened, so that it can be kept out of texts.
 */
export function createSealer(
  ring: KeyRing,
  root: Buffer,
  opened: (value: Buffer) => void = () => {},
): Sealer {
  const keyOf = (id: string): MasterKey => {
    const key = [ring.current, ...ring.others].find(known => known.id === id);
    if (key) return key;
    throw new Problem(
      'unavailable',
      'master_key_unknown',
      `A value is sealed with the master key ${id}, which this server does not have: add that key to GUILDHALL_MASTER_KEYS_OLD.`,
    );
  };
  return {
    get currentKeyId() {
      return ring.current.id;
    },
    seal(plaintext, context) {
      const { id, bytes } = ring.current;
      const dataKey = randomBytes(32);
      const wrapped = encrypt(wrappingKey(bytes), dataKey, `guildhall/1/key/${id}/${context}`);
      const box = encrypt(dataKey, Buffer.from(plaintext as string), `guildhall/1/value/${context}`);
      return `gs1.${id}.${wrapped}.${box}`;
    },
    open(sealed, context) {
      const [, id = '', wrapped = '', box = ''] = form.exec(sealed) ?? [];
      if (id === '') throw damaged(context);
      const key = keyOf(id);
      try {
        const dataKey = decrypt(wrappingKey(key.bytes), wrapped, `guildhall/1/key/${id}/${context}`);
        const value = decrypt(dataKey, box, `guildhall/1/value/${context}`);
        opened(value);
        return value;
      } catch (error) {
        throw damaged(context, error);
      }
    },
    derive(purpose, keyId) {
      const from = keyId === undefined ? root : keyOf(keyId).bytes;
      const derived = Buffer.from(hkdfSync('sha256', from, '', `guildhall derive ${purpose}`, 32));
      opened(derived);
      return derived;
    },
    needsResealing: sealed => !sealed.startsWith(`gs1.${ring.current.id}.`),
  };
}

const wrappingKey = (master: Buffer): Buffer =>
  Buffer.from(hkdfSync('sha256', master, '', 'guildhall wrap', 32));

function encrypt(key: Buffer, plaintext: Buffer, context: string): string {
  const nonce = randomBytes(nonceBytes);
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(context));
  const body = Buffer.concat([cipher.update(plaintext), cipher.final()]);
  return Buffer.concat([nonce, body, cipher.getAuthTag()]).toString('base64url');
}

function decrypt(key: Buffer, text: string, context: string): Buffer {
  const box = Buffer.from(text, 'base64url');
  const decipher = createDecipheriv('aes-256-gcm', key, box.subarray(0, nonceBytes), {
    authTagLength: tagBytes,
  });
  decipher.setAAD(Buffer.from(context)).setAuthTag(box.subarray(-tagBytes));
  return Buffer.concat([decipher.update(box.subarray(nonceBytes, -tagBytes)), decipher.final()]);
}

function damaged(context: string, cause?: unknown): Problem {
  return new Problem(
    'unavailable',
    'sealed_value_damaged',
    `The sealed value of ${context} does not open: it was changed, or belongs to something else. Set it anew, or restore it from a backup.`,
    { cause },
  );
}
