import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { openSecret } from '../src/features/secrets/secrets.ts';
import { startTestApp } from '../test/harness/app.ts';
import { explainFailure } from './failures.ts';
import { openShell } from './testing.ts';

const guildhall = await startTestApp({ roles: ['api'] });
after(() => guildhall[Symbol.asyncDispose]());
const { app } = guildhall;
const value = `token-${randomBytes(18).toString('base64url')}`;
const opened = (name: string) =>
  openSecret(app.db, app.sealer, new Date(), app.installation.organizationId, name);
const shell = (input = '') => openShell(input, { GUILDHALL_URL: undefined });
const at = ['--server', String(app.url), '--key', guildhall.key];

test('a secret comes from standard input or a file; what comes back is its name and version', async () => {
  await using io = await shell(`${value}\n`);
  const set = await io.run('secret', 'set', 'deploy/token', '--days', '90', ...at);
  assert.deepEqual([set.code, set.out], [0, 'deploy/token is set, version 1.\n']);
  assert.equal(await opened('deploy/token'), value);
  await writeFile(join(io.directory, 'next.txt'), 'next-value-0123\n');
  const next = await io.run('secret', 'rotate', 'deploy/token', '--file', 'next.txt', ...at);
  assert.deepEqual([next.code, next.out], [0, 'deploy/token is set, version 2.\n']);
  assert.equal(await opened('deploy/token'), 'next-value-0123');
  const list = await io.run('secret', 'list', '--json', ...at);
  assert.equal(JSON.parse(list.out).items[0].version, 2);
  for (const { out, err } of [set, next, list]) assert.ok(!`${out}${err}`.includes(value));
  const gone = await io.run('secret', 'delete', 'deploy/token', ...at);
  assert.deepEqual([gone.code, gone.out], [0, 'deploy/token is revoked.\n']);
  assert.equal(await opened('deploy/token'), null);
});

test('a value on the command line, an empty one and a secret that is not there are refused', async () => {
  await using empty = await shell('\n');
  const onLine = await empty.run('secret', 'set', 'deploy/other', value, ...at);
  assert.equal(onLine.code, 2);
  assert.ok(!`${onLine.out}${onLine.err}`.includes(value));
  const nothing = await empty.run('secret', 'set', 'deploy/other', ...at);
  assert.deepEqual([nothing.code, /empty/.test(nothing.err)], [2, true]);
  await using io = await shell(value);
  assert.equal((await io.run('secret', 'rotate', 'deploy/none', ...at)).code, 4);
  assert.equal((await io.run('secret', 'delete', 'deploy/none', ...at)).code, 4);
  assert.equal((await io.run('secret', 'set', 'deploy/x', '--file', 'none.txt', ...at)).code, 2);
});

test('SEC-07 no failure of the command line repeats a key or a password in an address', async () => {
  const key = `ghk_${randomBytes(32).toString('base64url')}`;
  const failure = explainFailure(new Error(`connect to https://user:hunter2-hunter2@host/x with ${key}`));
  assert.doesNotMatch(JSON.stringify(failure), /hunter2|ghk_/);
  await using io = await shell();
  const lost = await io.run(
    'task',
    'list',
    '--server',
    'http://user:hunter2-hunter2@127.0.0.1:1',
    '--key',
    key,
  );
  assert.notEqual(lost.code, 0);
  assert.doesNotMatch(`${lost.out}${lost.err}`, /hunter2|ghk_/);
});
