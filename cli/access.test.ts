import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { startTestApp } from '../test/harness/app.ts';
import { openShell } from './testing.ts';

const guildhall = await startTestApp({ roles: ['api'] });
const shell = await openShell();
after(async () => {
  await shell[Symbol.asyncDispose]();
  await guildhall[Symbol.asyncDispose]();
});

/** Runs a command against the server with a key; `--json`. */
async function as(key: string, ...argv: string[]) {
  const ran = await shell.run('--server', String(guildhall.app.url), '--key', key, '--json', ...argv);
  return { code: ran.code, ...(ran.out === '' ? {} : { value: JSON.parse(ran.out) }), err: ran.err };
}
const own = (...argv: string[]) => as(guildhall.key, ...argv);
const text = async (...argv: string[]) =>
  (await shell.run('--server', String(guildhall.app.url), '--key', guildhall.key, ...argv)).out;

test('a program with access to one project, set up by the command line alone', async () => {
  assert.equal((await own('project', 'create', 'website', '--classification', 'internal')).code, 0);
  assert.equal((await own('project', 'create', 'payroll', '--classification', 'restricted')).code, 0);
  assert.equal((await own('service-account', 'create', 'ci')).code, 0);
  assert.equal((await own('member', 'grant', 'ci', 'developer', '--project', 'website')).code, 0);
  const { value: key } = await own('key', 'create', 'ci', '--for', 'ci', '--days', '30');
  const listed = await as(key.key, 'project', 'list');
  assert.deepEqual(
    listed.value.items.map((p: { name: string }) => p.name),
    ['website'],
  );
  assert.equal((await as(key.key, 'project', 'show', 'payroll')).code, 4, 'it does not exist for them');
  assert.equal((await as(key.key, 'project', 'create', 'more')).code, 3);
  assert.match(await text('project', 'show', 'website'), /service:svc_\w+ +developer/);
  assert.equal((await own('service-account', 'disable', 'ci')).code, 0);
  assert.notEqual((await as(key.key, 'project', 'list')).code, 0);
});

test('keys are rotated, tokens traded, signing keys renewed', async () => {
  const { value: old } = await own(
    'key',
    'create',
    'robot',
    '--scope',
    'task.read',
    '--scope',
    'project.read',
  );
  const { value: fresh } = await own('key', 'rotate', old.id, '--overlap', '5');
  for (const key of [old.key, fresh.key]) assert.equal((await as(key, 'project', 'list')).code, 0);
  const { value: token } = await as(fresh.key, 'key', 'token', '--minutes', '1');
  assert.equal((await as(token.token, 'project', 'list')).code, 0);
  assert.equal((await own('key', 'rotate-signing', '--overlap', '0')).code, 0);
  assert.notEqual((await as(token.token, 'project', 'list')).code, 0);
  assert.match(await text('key', 'list'), /robot .*task\.read,project\.read/);
});

test('members, teams and organizations', async () => {
  const { value: members } = await own('member', 'list');
  const id = members.items[0].id;
  assert.equal((await own('member', 'set', id, '--role', 'admin')).code, 1, 'the last owner');
  assert.equal((await own('member', 'set', id, '--clearance', 'role')).code, 0);
  assert.equal((await own('member', 'grant', id, 'king', '--project', 'website')).code, 2);
  assert.match(await text('member', 'roles'), /task\.create +write +✓/);
  assert.equal((await own('team', 'create', 'web-team', '--template', 'software-team')).code, 0);
  assert.equal((await own('team', 'set', 'web-team', '--parent', 'software-team')).code, 0);
  assert.equal((await own('team', 'set', 'software-team', '--parent', 'web-team')).code, 2, 'a circle');
  assert.equal((await own('team', 'add', 'web-team', id)).code, 0);
  assert.equal((await own('project', 'set', 'website', '--team', 'web-team')).code, 0);
  assert.equal((await own('project', 'archive', 'website')).code, 0);
  assert.equal((await own('project', 'restore', 'website')).code, 0);
  const { value: made } = await own('organization', 'create', 'another');
  const { value: there } = await as(made.key, 'project', 'list');
  assert.deepEqual(
    there.items.map((p: { name: string }) => p.name),
    ['default'],
  );
  assert.equal((await own('organization', 'list')).value.items.length, 1);
});
