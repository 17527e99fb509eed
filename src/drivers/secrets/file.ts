/**
 * Secrets in files: Docker's and Kubernetes' mounts, or files of one's own. What is opened is what is looked at, so
 * a link is followed once and the file behind it must belong to us or root and be closed to everybody else.
 */
import { open } from 'node:fs/promises';
import { Problem } from '../../base/problem.ts';
import {
  largestSecretBytes,
  type SecretReference,
  type SecretStore,
  secretForbidden,
  secretMissing,
  storeUnavailable,
} from '../../platform/secrets/port.ts';

export function createFileStore(): SecretStore {
  return {
    scheme: 'file',
    read: reference => readSecretFile(reference, reference.path),
    close: async () => {},
  };
}

export async function readSecretFile(reference: SecretReference, path: string): Promise<string> {
  const file = await open(path, 'r').catch(error => {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ENOTDIR') throw secretMissing(reference, 'there is no such file');
    if (code === 'EACCES' || code === 'EPERM') throw secretForbidden(reference, 'the file cannot be read');
    throw storeUnavailable(reference, `the file cannot be opened (${code})`, error);
  });
  try {
    const { mode, uid, size } = await file.stat();
    if ((mode & 0o170000) !== 0o100000) throw secretMissing(reference, 'it is no file');
    if ((mode & 0o077) !== 0)
      throw new Problem(
        'invalid',
        'secret_file_open',
        `${path} can be read by others: run \`chmod 600 ${path}\`, and replace the secret if somebody may have read it.`,
      );
    if (uid !== 0 && uid !== process.getuid?.())
      throw secretForbidden(reference, `the file belongs to user id ${uid}, who could change it`);
    if (size > largestSecretBytes) throw secretMissing(reference, 'the file is too large to be a secret');
    const value = (await file.readFile('utf8')).replace(/\s+$/, '');
    if (value === '') throw secretMissing(reference, 'the file is empty');
    return value;
  } finally {
    await file.close();
  }
}
