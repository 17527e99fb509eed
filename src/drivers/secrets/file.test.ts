import assert from 'node:assert/strict';
import { chmod, chown, mkdtemp, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { parseReference, type SecretReference } from '../../platform/secrets/port.ts';
import { createFileStore } from './file.ts';

const directory = await mkdtemp(join(tmpdir(), 'guildhall-secret-files-'));
after(() => rm(directory, { recursive: true, force: true }));
const store = createFileStore();
const read = (path: string) => store.read(parseReference(`file://${path}`) as SecretReference);
const file = join(directory, 'secret');

test('SEC-06 a file is read only with mode 0600 or less, also behind a link', async () => {
  await writeFile(file, 'the-value\n');
  const link = join(directory, 'link');
  await symlink(file, link);
  for (const mode of [0o644, 0o640, 0o604, 0o660, 0o602, 0o777, 0o610]) {
    await chmod(file, mode);
    for (const path of [file, link])
      await assert.rejects(read(path), { code: 'secret_file_open' }, mode.toString(8));
  }
  for (const mode of [0o600, 0o400]) {
    await chmod(file, mode);
    for (const path of [file, link]) assert.equal(await read(path), 'the-value');
  }
});

test('SEC-06 a file of somebody else is refused', {
  skip: process.getuid?.() !== 0 && 'needs root',
}, async () => {
  await writeFile(file, 'the-value');
  await chmod(file, 0o600);
  await chown(file, 12_345, 12_345);
  await assert.rejects(read(file), { code: 'secret_forbidden' });
  await chown(file, 0, 0);
});

test('folders, devices, endless and huge files are no secrets', async () => {
  await assert.rejects(read(directory), { code: 'secret_missing' });
  await assert.rejects(read('/dev/zero'), { code: 'secret_missing' });
  await truncate(file, 100_000_000);
  await assert.rejects(read(file), { code: 'secret_missing' });
});
