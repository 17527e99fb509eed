import assert from 'node:assert/strict';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { startTestApp } from '../test/harness/app.ts';
import { addStep, sealAll } from '../test/harness/audit.ts';
import { openTask } from '../test/harness/tasks.ts';
import { openShell } from './testing.ts';

const guildhall = await startTestApp({ roles: ['api'] });
const shell = await openShell();
after(async () => {
  await shell[Symbol.asyncDispose]();
  await guildhall[Symbol.asyncDispose]();
});
const { app } = guildhall;
const deps = { db: app.db, sealer: app.sealer, clock: { now: () => Date.now() }, keyMaxAgeMs: 1e12 };
const cli = (...argv: string[]) => shell.run(...argv, '--server', String(app.url), '--key', guildhall.key);
const task = await openTask(guildhall);
const run = await app.db
  .selectFrom('runs')
  .select('id')
  .where('task_id', '=', task.id)
  .executeTakeFirstOrThrow();
const organization = { organizationId: app.installation.organizationId, runId: run.id };
await addStep(app.db, organization, new Date(), {
  content: 'Lines end with \n, not with \u2028, \u2029 or \r.',
});
await sealAll(deps);

test('audit list finds what was done, for people and as JSON', async () => {
  const shown = await cli('audit', 'list', '--target', task.id);
  assert.equal(shown.code, 0, shown.err);
  assert.match(shown.out, /task\.create\s+ok/);
  const listed = await cli('audit', 'list', '--action', 'tool.call', '--json');
  assert.deepEqual(
    JSON.parse(listed.out).items.map((item: { target: string }) => item.target),
    ['read_file'],
  );
  assert.match((await cli('audit', 'list', '--actor', 'member:mem_none')).out, /Nothing was recorded/);
  assert.equal((await cli('audit', 'list', '--outcome', 'maybe')).code, 2);
  assert.equal((await cli('audit', 'list', '--from', 'once')).code, 2);
});

test('CMP-01 audit verify asks the server, and ends with 1 when something is wrong', async () => {
  const whole = await cli('audit', 'verify');
  assert.equal(whole.code, 0, whole.err);
  assert.match(whole.out, /^The audit is whole\.\n\d+ records in \d+ seals are what was sealed\./);
  const wrong = await cli('audit', 'verify', '--head', `1:${'0'.repeat(64)}`);
  assert.equal(wrong.code, 1);
  assert.match(wrong.out, /^The audit is NOT whole: 1 finding\.\n {2}head_differs: seal 1/);
});

test('CMP-01 audit export, then audit verify --file: without a server, and one changed byte is named', async () => {
  const path = join(shell.directory, 'audit.jsonl');
  await sealAll(deps);
  const exported = await cli('audit', 'export', '--out', 'audit.jsonl');
  assert.equal(exported.code, 0, exported.err);
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  // No server in this shell: nothing but the file.
  const alone = await openShell();
  const offline = await alone.run('audit', 'verify', '--file', path, '--json');
  assert.equal(offline.code, 0, offline.out + offline.err);
  const { keys, head, records } = JSON.parse(offline.out);
  assert.ok(records > 5);
  const noted = ['--key', keys[0], '--head', `${head.number}:${head.hash}`];
  assert.equal((await alone.run('audit', 'verify', '--file', path, ...noted)).code, 0);
  assert.equal((await alone.run('audit', 'verify', '--file', path, '--key', '0'.repeat(64))).code, 1);

  const text = await readFile(path, 'utf8');
  await writeFile(path, text.replace('Lines end', 'Lines and'));
  const changed = await alone.run('audit', 'verify', '--file', path);
  assert.equal(changed.code, 1);
  assert.match(changed.out, /record_changed: record \d+-\d+ \(step 0 of run_\w+: tool read_file\)/);
  await alone[Symbol.asyncDispose]();
});

test('the records of no organization have a chain of their own, for who manages the installation', async () => {
  const { code, out } = await cli('audit', 'verify', '--system', '--json');
  assert.equal(code, 0, out);
  const found = JSON.parse(out);
  assert.deepEqual([found.ok, found.organization_id], [true, 'system']);
  assert.ok(found.records >= 1, 'that the signing key was made');
  assert.equal((await cli('audit', 'export', '--system', '--out', 'system.jsonl')).code, 0);
  const offline = JSON.parse((await shell.run('audit', 'verify', '--file', 'system.jsonl', '--json')).out);
  assert.deepEqual([offline.ok, offline.organization_id], [true, 'system']);
});

test('a file that is not there, or is no export, is told', async () => {
  const missing = await shell.run('audit', 'verify', '--file', 'none.jsonl');
  assert.equal(missing.code, 2);
  assert.match(missing.err, /none\.jsonl cannot be read \(ENOENT\)/);
  await writeFile(join(shell.directory, 'other.txt'), 'hello\n');
  assert.equal((await shell.run('audit', 'verify', '--file', 'other.txt')).code, 1);
});
