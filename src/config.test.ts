import assert from 'node:assert/strict';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, test } from 'node:test';
import { settingsFile, settingsPage } from '../test/settings-page.ts';
import { Problem } from './base/problem.ts';
import { describeVariables } from './config/settings.ts';
import { readConfig } from './config.ts';

const directory = await mkdtemp(join(tmpdir(), 'guildhall-config-'));
after(() => rm(directory, { recursive: true, force: true }));

async function secretFile(content: string, mode: number): Promise<string> {
  const path = join(directory, `secret-${mode.toString(8)}-${content.length}`);
  await writeFile(path, content);
  await chmod(path, mode);
  return path;
}

/** The faults that reading this environment reports. */
function faultsOf(env: Record<string, string>): string[] {
  try {
    readConfig(env);
  } catch (error) {
    assert.ok(error instanceof Problem);
    assert.equal(error.code, 'configuration_invalid');
    const faults = (error.detail?.faults ?? []) as string[];
    for (const fault of faults) assert.ok(error.message.includes(fault));
    return faults;
  }
  return [];
}

test('without any variable the defaults hold: local, sandboxed, authenticated, no key', () => {
  const config = readConfig({});
  assert.equal(config.dataDir, resolve('.guildhall'));
  assert.equal(config.host, '127.0.0.1');
  assert.equal(config.port, 4000);
  assert.equal(config.databaseUrl, null);
  assert.equal(config.defaultModel, 'scripted/team');
  assert.equal(config.sandbox.driver, 'bwrap');
  assert.deepEqual(config.repositories, {
    hosts: ['github.com', 'gitlab.com', 'bitbucket.org', 'codeberg.org'],
    allowLocal: true,
  });
  assert.deepEqual(config.worker, { concurrency: 10, leaseMs: 8_000 });
  assert.deepEqual(config.models.anthropic, { apiKey: null, baseUrl: null });
});

test('an empty variable counts as not set', () => {
  assert.deepEqual(readConfig({ PORT: '', GUILDHALL_MODEL: '', OPENAI_API_KEY: '' }), readConfig({}));
});

test('every fault is reported, all at once', () => {
  const faults = faultsOf({
    PORT: '70000',
    GUILDHALL_LOG_LEVEL: 'loud',
    GUILDHALL_SANDBOX: 'docker',
    GUILDHALL_MODEL: 'gpt-5',
    GUILDHALL_LEASE_SECONDS: '1.5',
    GUILDHALL_WORKER_CONCURRENCY: 'many',
    GUILDHALL_ALLOW_LOCAL_REPOSITORIES: 'yes',
    GUILDHALL_PUBLIC_URL: 'guildhall.example',
    DATABASE_URL: 'mysql://x',
    GUILDHALL_SECRET_LEVER: '1',
    GUILDHALL_OTHER: '2',
  });
  assert.equal(faults.length, 11);
  for (const name of [
    'PORT',
    'GUILDHALL_LOG_LEVEL',
    'GUILDHALL_SANDBOX',
    'GUILDHALL_MODEL',
    'GUILDHALL_LEASE_SECONDS',
    'GUILDHALL_WORKER_CONCURRENCY',
    'GUILDHALL_ALLOW_LOCAL_REPOSITORIES',
    'GUILDHALL_PUBLIC_URL',
    'DATABASE_URL',
    'GUILDHALL_SECRET_LEVER',
    'GUILDHALL_OTHER',
  ]) {
    assert.equal(
      faults.filter(fault => fault.startsWith(`${name}:`) || fault.startsWith(`${name} `)).length,
      1,
      name,
    );
  }
});

test('IAM-01 there is no setting that turns authentication off: such a variable stops the start', () => {
  for (const name of [
    'GUILDHALL_AUTH',
    'GUILDHALL_AUTH_DISABLED',
    'GUILDHALL_INSECURE',
    'GUILDHALL_NO_AUTH',
  ]) {
    assert.deepEqual(faultsOf({ [name]: 'true' }), [`${name} is not a setting of Guildhall`]);
  }
  const switches = describeVariables().filter(v => ['true', 'false'].includes(v.fallback ?? ''));
  assert.ok(switches.length > 0);
  const about = switches.filter(v =>
    /auth|sign.?in|login|credential|insecure/i.test(`${v.name} ${v.description}`),
  );
  assert.deepEqual(about, []);
});

test('variables of others are left alone', () => {
  assert.deepEqual(faultsOf({ PATH: '/bin', HOME: '/root', GUILD: 'x', NODE_ENV: 'production' }), []);
});

test('a secret is read from its file, without the line end', async () => {
  const path = await secretFile('sk-from-file\n', 0o600);
  assert.equal(readConfig({ ANTHROPIC_API_KEY_FILE: path }).models.anthropic.apiKey, 'sk-from-file');
  const url = await secretFile('postgres://u:p@db/guildhall', 0o400);
  assert.equal(readConfig({ DATABASE_URL_FILE: url }).databaseUrl, 'postgres://u:p@db/guildhall');
});

test('a secret file that others may read is refused, as are a missing one, an empty one and one beside its variable', async () => {
  for (const mode of [0o644, 0o640, 0o604, 0o660, 0o620]) {
    const path = await secretFile('sk-open', mode);
    assert.deepEqual(faultsOf({ OPENAI_API_KEY_FILE: path }), [
      `OPENAI_API_KEY_FILE: ${path} is readable by others, set its mode to 0600`,
    ]);
  }
  const missing = join(directory, 'missing');
  assert.deepEqual(faultsOf({ OPENAI_API_KEY_FILE: missing }), [
    `OPENAI_API_KEY_FILE: ${missing} cannot be read (ENOENT)`,
  ]);
  assert.deepEqual(faultsOf({ OPENAI_API_KEY_FILE: directory }).length, 1);
  const empty = await secretFile('\n', 0o600);
  assert.equal(faultsOf({ OPENAI_API_KEY_FILE: empty }).length, 1);
  const path = await secretFile('sk-twice', 0o600);
  assert.deepEqual(faultsOf({ OPENAI_API_KEY_FILE: path, OPENAI_API_KEY: 'sk-1' }), [
    'OPENAI_API_KEY and OPENAI_API_KEY_FILE are both set: keep one',
  ]);
});

test('no fault repeats a secret', async () => {
  const secret = 'hunter2-hunter2';
  const faults = faultsOf({ DATABASE_URL: `mysql://u:${secret}@db/x`, OPENAI_API_KEY: secret, PORT: 'x' });
  assert.equal(faults.length, 2);
  assert.ok(!faults.join().includes(secret));
});

test('the default model follows from the keys that are set, unless one is named', () => {
  const model = (env: Record<string, string>) => readConfig(env).defaultModel;
  assert.match(model({ ANTHROPIC_API_KEY: 'k', OPENAI_API_KEY: 'k' }), /^anthropic\//);
  assert.match(model({ OPENAI_API_KEY: 'k' }), /^openai\//);
  assert.match(
    model({ OPENAI_API_KEY: 'k', OPENAI_BASE_URL: 'http://127.0.0.1:11434/v1' }),
    /^openai-compatible\//,
  );
  assert.equal(model({ ANTHROPIC_API_KEY: 'k', GUILDHALL_MODEL: 'openai/gpt-5-mini' }), 'openai/gpt-5-mini');
});

test('lists are split and trimmed, hosts are lower-cased', () => {
  const config = readConfig({
    GUILDHALL_REPOSITORY_HOSTS: ' Git.Example.org , ,gitlab.example:8443',
    GUILDHALL_SANDBOX_PATHS: '/opt/a::/opt/b',
  });
  assert.deepEqual(config.repositories.hosts, ['git.example.org', 'gitlab.example:8443']);
  assert.deepEqual(config.sandbox.toolchainPaths, ['/opt/a', '/opt/b']);
});

test('every setting has a sentence, and the settings page is what the schema says', async () => {
  for (const { name, description } of describeVariables()) assert.match(description, /^\S.*\.$/, name);
  assert.equal(
    await readFile(settingsFile, 'utf8'),
    settingsPage(),
    'docs/reference/settings.md is out of date: run node test/settings-page.ts',
  );
});
