/**
 * The master key of an installation with the embedded database lies in a file of its own, made at the first start:
 * one key a line, the first seals, the others only open. It is not in the database and belongs into no backup of it.
 */
import { open } from 'node:fs/promises';
import { Problem } from '../../base/problem.ts';
import { writeWhole } from '../embedded/files.ts';
import { type KeyRing, newMasterKey, parseMasterKey, showMasterKey } from './master-key.ts';

/** The keys in the file, or null when there is none. @throws Problem `secret_file_open`, `master_key_invalid`. */
export async function readKeyFile(path: string): Promise<KeyRing | null> {
  const file = await open(path, 'r').catch(error => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  });
  if (!file) return null;
  try {
    if (((await file.stat()).mode & 0o077) !== 0)
      throw new Problem(
        'invalid',
        'secret_file_open',
        `${path} can be read by others: run \`chmod 600 ${path}\`, and rotate the key if somebody may have read it.`,
      );
    const [current, ...others] = (await file.readFile('utf8'))
      .split('\n')
      .filter(line => line.trim() !== '')
      .map(line => parseMasterKey(line, path));
    if (current) return { current, others };
    throw new Problem('invalid', 'master_key_invalid', `${path} is empty: restore it from a backup.`);
  } finally {
    await file.close();
  }
}

/** Makes the first key and its file. */
export async function makeKeyFile(path: string): Promise<KeyRing> {
  const ring: KeyRing = { current: newMasterKey(), others: [] };
  await writeKeyFile(path, ring);
  return ring;
}

/** Replaces the file, whole and durably: a key that sealed anything must not be lost with the power. */
export async function writeKeyFile(path: string, ring: KeyRing): Promise<void> {
  const lines = [ring.current, ...ring.others].map(showMasterKey);
  await writeWhole(path, `${lines.join('\n')}\n`, 0o600);
}
