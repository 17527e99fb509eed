import assert from 'node:assert/strict';
import { chmod, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { openShell, type Shell } from './testing.ts';

const fill = async (shell: Shell, file: string, host: string): Promise<void> => {
  const path = join(shell.directory, file);
  const text = await readFile(path, 'utf8');
  await writeFile(
    path,
    text.replace(/<fill in: name[^>]*>/, host).replace(/<fill in: host of[^>]*>/, `db.${host}`),
  );
};
const setIn = (text: string, name: string): string => new RegExp(`^${name}=(.*)$`, 'm').exec(text)?.[1] ?? '';
const failedIn = (out: string): string[] =>
  out
    .split('\n')
    .filter(line => line.startsWith('FAILED'))
    .map(line => line.split(/\s+/)[1] as string);

test('SEC-05 DEP-11 the template is refused with its blanks named, and passes once they are filled in', async () => {
  await using shell = await openShell();
  const made = await shell.run('config', 'init', '--env', 'production');
  assert.equal(made.code, 0, made.err);
  const path = join(shell.directory, '.env.production');
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  const text = await readFile(path, 'utf8');
  const password = /guildhall:([^@]+)@/.exec(text)?.[1] ?? '';
  assert.ok(Buffer.from(password, 'base64url').length >= 16);
  assert.equal(Buffer.from(setIn(text, 'GUILDHALL_MASTER_KEY'), 'base64').length, 32);
  assert.ok(!made.out.includes(password) && !made.out.includes(setIn(text, 'GUILDHALL_MASTER_KEY')));

  const check = () => shell.run('doctor', '--env', 'production', '--env-file', '.env.production');
  const unchanged = await check();
  assert.equal(unchanged.code, 1);
  const blanks = text.split('\n').filter(line => !line.startsWith('#') && line.includes('<fill in'));
  assert.deepEqual(new Set(failedIn(unchanged.out)), new Set(blanks.map(line => line.split('=')[0])));
  assert.ok(blanks.length >= 2);

  await fill(shell, '.env.production', 'guildhall.acme.test');
  const filled = await check();
  assert.equal(filled.code, 0, filled.out);
  assert.match(filled.out, /fit for production/);
  await chmod(path, 0o644);
  const open = await check();
  assert.equal(open.code, 1);
  assert.match(open.out, /\.env\.production holds secrets and is readable by others/);
});

test('two templates share no secret, and an existing file is never overwritten', async () => {
  await using shell = await openShell();
  await shell.run('config', 'init', '--env', 'staging', '--out', 'a.env');
  await shell.run('config', 'init', '--env', 'production', '--out', 'b.env');
  for (const file of ['a.env', 'b.env']) await fill(shell, file, `${file[0]}.acme.test`);
  const apart = await shell.run('config', 'diff', 'a.env', 'b.env');
  assert.equal(apart.code, 0, apart.out);
  assert.doesNotMatch(apart.out, /same secret/);
  const before = await readFile(join(shell.directory, 'a.env'), 'utf8');
  const again = await shell.run('config', 'init', '--env', 'staging', '--out', 'a.env');
  assert.equal(again.code, 2);
  assert.match(again.err, /a\.env exists/);
  assert.equal(await readFile(join(shell.directory, 'a.env'), 'utf8'), before);
});

test('SEC-01 SEC-06 secrets go into files that only their owner reads, and then there is no warning', async () => {
  await using shell = await openShell();
  const made = await shell.run('config', 'init', '--env', 'production', '--secrets', 'secrets', '--json');
  assert.equal(made.code, 0, made.err);
  const names = await readdir(join(shell.directory, 'secrets'));
  assert.deepEqual(new Set(names), new Set(['database-url', 'master-key']));
  for (const name of names)
    assert.equal((await stat(join(shell.directory, 'secrets', name))).mode & 0o777, 0o600);
  await fill(shell, '.env.production', 'guildhall.acme.test');
  await fill(shell, 'secrets/database-url', 'acme.test');
  const checked = await shell.run('doctor', '--env', 'production', '--env-file', '.env.production', '--json');
  assert.equal(checked.code, 0, checked.out);
  assert.deepEqual(JSON.parse(checked.out), { environment: 'production', ready: true, findings: [] });
});

test('SEC-08 DEP-12 two environments are compared by setting, never by value; drift exits 1', async () => {
  await using shell = await openShell();
  const key = 'Zk9wTq2LxVbN7rE4uY1sHc8mPd5fJg3aKi6oQe0WtRU=';
  const lines = [
    'GUILDHALL_ENV=staging',
    'GUILDHALL_PUBLIC_URL=https://staging.acme.test',
    `GUILDHALL_MASTER_KEY=${key}`,
  ];
  const write = (file: string, ...more: string[]) =>
    writeFile(join(shell.directory, file), more.join('\n'), { mode: 0o600 });
  await write(
    'a.env',
    ...lines,
    'PORT=4001',
    'GUILDHALL_MODEL=openai/one',
    'DATABASE_URL=postgres://u:pass-word-1@a/x',
  );
  await write(
    'b.env',
    ...lines.map(line => line.replace('staging', 'production')),
    'GUILDHALL_LOG_LEVEL=debug',
    'GUILDHALL_SANDBOX_PATHS=/opt/tools',
    'DATABASE_URL=postgres://u:pass-word-1@b/x',
    'HOST=127.0.0.1',
  );
  const { code, out } = await shell.run('config', 'diff', 'a.env', 'b.env', '--json');
  assert.equal(code, 1);
  const byName = Object.fromEntries(
    JSON.parse(out).settings.map((s: { setting: string; state: string; drift: boolean }) => [
      s.setting,
      [s.state, s.drift],
    ]),
  );
  assert.deepEqual(byName, {
    GUILDHALL_ENV: ['differs', false],
    GUILDHALL_MODEL: ['missing', true],
    GUILDHALL_LOG_LEVEL: ['differs', true],
    GUILDHALL_SANDBOX_PATHS: ['extra', true],
    GUILDHALL_PUBLIC_URL: ['differs', false],
    GUILDHALL_MASTER_KEY: ['same_secret', true],
    DATABASE_URL: ['same_secret', true],
    PORT: ['differs', true],
    HOST: ['same', false],
  });
  const shown = await shell.run('config', 'diff', 'a.env', 'b.env');
  assert.match(shown.out, /^! GUILDHALL_MASTER_KEY\s+the same secret in both/m);
  for (const value of [key, 'pass-word-1', '4001', 'acme', '/opt/tools', 'openai'])
    assert.ok(!(out + shown.out).includes(value), value);
  const allowed = await shell.run('config', 'diff', 'a.env', 'a.env');
  assert.equal(allowed.code, 1, 'an environment shares its secrets with itself');
});

test('the settings in force are shown with fingerprints in place of secrets', async () => {
  const secret = 'sk-live-0f9e8d7c6b5a';
  await using shell = await openShell('', {
    OPENAI_API_KEY: secret,
    PORT: '4100',
    OPENAI_BASE_URL: 'http://u:pw-of-u@llm.test/v1?key=q',
  });
  const { code, out } = await shell.run('config', 'show');
  assert.equal(code, 0);
  assert.match(out, /^PORT\s+4100 {2}\(environment\)$/m);
  assert.match(out, /^GUILDHALL_LOG_LEVEL\s+info {2}\(default\)$/m);
  assert.match(out, /^OPENAI_API_KEY\s+secret [\w-]{12} {2}\(environment\)$/m);
  assert.match(out, /^OPENAI_BASE_URL\s+http:\/\/llm\.test\/v1 /m);
  const fingerprint = /secret ([\w-]{12})/.exec(out)?.[1];
  const printed = await shell.run('config', 'fingerprints');
  assert.equal(printed.out, `development OPENAI_API_KEY ${fingerprint}\n`);
  for (const text of [out, printed.out]) assert.ok(!text.includes(secret) && !text.includes('pw-of-u'));
});

test('doctor --env looks at the environment of its process, too, and starts nothing', async () => {
  await using shell = await openShell();
  const { code, out } = await shell.run('doctor', '--env', 'production');
  assert.equal(code, 1);
  assert.match(out, /FAILED {3}GUILDHALL_ENV is not set/);
  assert.match(out, /A production server would not start: \d+ to mend\./);
  assert.deepEqual(await readdir(shell.directory), []);
  const wrong = await shell.run('doctor', '--env', 'prod');
  assert.equal(wrong.code, 2);
  const missing = await shell.run('doctor', '--env', 'staging', '--env-file', 'nowhere.env');
  assert.equal(missing.code, 2);
  assert.match(missing.err, /nowhere\.env cannot be read \(ENOENT\)/);
  await mkdir(join(shell.directory, 'x'));
  const other = join(shell.directory, 'x', 's.env');
  await writeFile(other, 'GUILDHALL_ENV=staging\nGUILDHALL_TYPO=1\n');
  const mixed = await shell.run('doctor', '--env', 'production', '--env-file', other);
  assert.match(mixed.out, /GUILDHALL_ENV is staging, not production/);
  assert.match(mixed.out, /GUILDHALL_TYPO is not a setting of Guildhall/);
});
