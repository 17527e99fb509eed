import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { startTestApp } from '../test/harness/app.ts';
import { openShell } from './testing.ts';

const guildhall = await startTestApp({ roles: ['api'] });
after(() => guildhall[Symbol.asyncDispose]());
const place = ['--server', guildhall.app.url as string, '--key', guildhall.key];

test('IAM-10 the first admin is made by one command, a second one is refused with exit 1', async () => {
  await using shell = await openShell();
  const weak = join(guildhall.dataDir, 'weak');
  await writeFile(weak, 'Password1234\n');
  const refused = await shell.run(
    'admin',
    'bootstrap',
    '--email',
    'ann@example.com',
    '--password-file',
    weak,
    ...place,
  );
  assert.equal(refused.code, 2);
  assert.match(refused.err, /first that would be tried/);

  const made = await shell.run('admin', 'bootstrap', '--email', 'ann@example.com', '--json', ...place);
  assert.equal(made.code, 0, made.err);
  const { url } = JSON.parse(made.out) as { url: string };
  assert.ok(url.startsWith(`${guildhall.app.url}/set-password#ghl_`), url);
  const set = await fetch(`${guildhall.app.url}/api/v1/auth/set-password`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ token: url.split('#')[1], password: 'seven green teapots sail' }),
  });
  assert.equal(set.status, 200);

  const second = await shell.run('admin', 'bootstrap', '--email', 'eve@example.com', ...place);
  assert.equal(second.code, 1);
  assert.match(second.err, /There is an admin already\. Sign in as them and invite others/);
  const without = await shell.run('admin', 'bootstrap', ...place);
  assert.equal(without.code, 2);
});
