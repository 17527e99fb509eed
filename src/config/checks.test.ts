import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { Problem } from '../base/problem.ts';
import { readStartConfig } from '../config.ts';
import { checkSettings } from './checks.ts';
import { fingerprintOf } from './fingerprint.ts';
import { readValues } from './read.ts';
import { secretNames } from './settings.ts';

const directory = await mkdtemp(join(tmpdir(), 'guildhall-checks-'));
after(() => rm(directory, { recursive: true, force: true }));

const masterKey = 'Zk9wTq2LxVbN7rE4uY1sHc8mPd5fJg3aKi6oQe0WtRU=';
const password = 'pH3uW9mZs6QyR2bT8nKcE5vLxA7dJfGo';
/** A server that faces people, as it should be. */
const good: Record<string, string> = {
  GUILDHALL_ENV: 'production',
  GUILDHALL_PUBLIC_URL: 'https://guildhall.acme.test',
  GUILDHALL_ALLOW_LOCAL_REPOSITORIES: 'false',
  GUILDHALL_MASTER_KEY: masterKey,
  DATABASE_URL: `postgres://guildhall:${password}@db.acme.test/guildhall?sslmode=verify-full`,
};

const { GUILDHALL_ENV: _, ...unnamed } = good;

function found(env: Record<string, string>, level = 'refuse'): string[] {
  return checkSettings(readValues(env))
    .filter(f => f.level === level)
    .map(f => `${f.setting} ${f.text}`);
}

/** The faults with which a start is refused, none when it is not. */
function faultsOf(env: Record<string, string>): string[] {
  try {
    readStartConfig(env);
    return [];
  } catch (error) {
    assert.ok(error instanceof Problem);
    return error.detail?.faults as string[];
  }
}

test('DEP-11 good settings start, in production and staging, and only warn of secrets in the environment', () => {
  for (const GUILDHALL_ENV of ['production', 'staging']) {
    const { config, warnings } = readStartConfig({ ...good, GUILDHALL_ENV });
    assert.equal(config.environment, GUILDHALL_ENV);
    assert.deepEqual(
      warnings.map(w => [w.level, w.setting, /_FILE$/.test(w.text)]),
      [
        ['warn', 'GUILDHALL_MASTER_KEY', true],
        ['warn', 'DATABASE_URL', true],
      ],
    );
  }
});

test('SEC-01 with secrets in files nothing is left to say', async () => {
  const env = { ...good };
  for (const name of ['GUILDHALL_MASTER_KEY', 'DATABASE_URL']) {
    const path = join(directory, name);
    await writeFile(path, `${good[name]}\n`, { mode: 0o600 });
    delete env[name];
    env[`${name}_FILE`] = path;
  }
  assert.deepEqual(readStartConfig(env).warnings, []);
  await chmod(join(directory, 'GUILDHALL_MASTER_KEY'), 0o640);
  assert.match(faultsOf(env).join(), /GUILDHALL_MASTER_KEY_FILE: .* is readable by others/);
});

test('IAM-01 a production start names everything that is missing or unsafe, all at once', () => {
  const faults = faultsOf({
    GUILDHALL_ENV: 'production',
    HOST: '0.0.0.0',
    PORT: 'many',
    DATABASE_URL: 'postgres://guildhall:guildhall@db.acme.test/guildhall',
    OPENAI_API_KEY: 'your-key-here',
    ANTHROPIC_API_KEY: 'sk-ant-x',
    GUILDHALL_AUTH: 'off',
  });
  const expected = [
    /^PORT: /,
    /^GUILDHALL_AUTH is not a setting/,
    /^GUILDHALL_PUBLIC_URL is missing/,
    /^HOST is open to the network without an https/,
    /^GUILDHALL_ALLOW_LOCAL_REPOSITORIES is not set/,
    /^GUILDHALL_MASTER_KEY is missing/,
    /^DATABASE_URL its password is a value that everybody knows/,
    /^OPENAI_API_KEY is a placeholder/,
    /^ANTHROPIC_API_KEY is too short/,
  ];
  for (const pattern of expected)
    assert.ok(
      faults.some(f => pattern.test(f)),
      `${pattern} in ${faults.join('\n')}`,
    );
  assert.equal(faults.length, expected.length, faults.join('\n'));
});

test('a development server starts with what a production server refuses', () => {
  assert.deepEqual(
    faultsOf({ ...unnamed, HOST: '0.0.0.0', DATABASE_URL: 'postgres://guildhall:guildhall@db/x' }),
    [],
  );
  assert.deepEqual(found(unnamed), ['GUILDHALL_ENV is not set: the server would start without these checks']);
});

test('each fault alone is enough', () => {
  const cases: [Record<string, string>, RegExp][] = [
    [{ GUILDHALL_PUBLIC_URL: 'http://guildhall.acme.test' }, /^GUILDHALL_PUBLIC_URL is not https/],
    [{ GUILDHALL_PUBLIC_URL: '' }, /^GUILDHALL_PUBLIC_URL is missing/],
    [{ GUILDHALL_ALLOW_LOCAL_REPOSITORIES: '' }, /^GUILDHALL_ALLOW_LOCAL_REPOSITORIES is not set/],
    [{ GUILDHALL_MASTER_KEY: '' }, /^GUILDHALL_MASTER_KEY is missing/],
    [
      { GUILDHALL_MASTER_KEY: Buffer.alloc(32, 'a').toString('base64') },
      /^GUILDHALL_MASTER_KEY repeats one thing/,
    ],
    [
      { GUILDHALL_MASTER_KEYS_OLD: masterKey },
      /^GUILDHALL_MASTER_KEYS_OLD is the same secret as GUILDHALL_MASTER_KEY/,
    ],
    [{ DATABASE_URL: 'postgres://postgres:postgres@db/x' }, /^DATABASE_URL its password/],
    [{ DATABASE_URL: 'postgres://u:P%40ssw0rd!@db/x' }, /^DATABASE_URL its password is weak/],
    [{ DATABASE_URL: 'postgres://u@db/x?password=hunter2' }, /^DATABASE_URL its password/],
    [{ GUILDHALL_TRUSTED_PROXIES: '10.0.0.1, 0.0.0.0/0' }, /^GUILDHALL_TRUSTED_PROXIES believes everybody/],
    [{ VAULT_ADDR: 'http://vault.acme.test:8200' }, /^VAULT_ADDR is not https/],
    [{ GUILDHALL_REPOSITORY_HOSTS: 'github.com,*' }, /^GUILDHALL_REPOSITORY_HOSTS allows everybody/],
  ];
  assert.deepEqual(faultsOf(good), []);
  for (const [change, pattern] of cases) {
    const faults = faultsOf({ ...good, ...change });
    assert.equal(faults.length, 1, `${pattern}: ${faults}`);
    assert.match(faults[0] as string, pattern);
  }
  // The schema has a word on this one too.
  const wildcard = faultsOf({ ...good, GUILDHALL_CORS_ORIGINS: '*' });
  assert.ok(
    wildcard.includes('GUILDHALL_CORS_ORIGINS allows everybody (`*`): name each one'),
    wildcard.join(),
  );
});

test('SEC-08 a secret of another environment is refused by its fingerprint', async () => {
  const path = join(directory, 'staging.fingerprints');
  await writeFile(path, `# staging\nstaging DATABASE_URL ${fingerprintOf(password)}\n`);
  const env = { ...good, GUILDHALL_OTHER_FINGERPRINTS: path };
  assert.deepEqual(faultsOf(env), [
    'DATABASE_URL is the same secret as DATABASE_URL of staging: each environment needs its own',
  ]);
  await writeFile(path, `staging DATABASE_URL ${fingerprintOf(`${password}2`)}\n`);
  assert.deepEqual(faultsOf(env), []);
  await rm(path);
  assert.deepEqual(faultsOf(env), ['GUILDHALL_OTHER_FINGERPRINTS cannot be read (ENOENT)']);
});

test('the client secret of a sign-in provider is looked at too', async () => {
  const path = join(directory, 'providers.json');
  const google = { id: 'google', type: 'google', client_id: 'x', client_secret: { env: 'GOOGLE_SECRET' } };
  await writeFile(path, JSON.stringify({ providers: [google] }), { mode: 0o600 });
  const env = { ...good, GUILDHALL_SIGN_IN_PROVIDERS_FILE: path };
  assert.deepEqual(faultsOf({ ...env, GOOGLE_SECRET: 'GOCSPX-pH3uW9mZs6QyR2bT8nKcE5vL' }), []);
  assert.deepEqual(faultsOf({ ...env, GOOGLE_SECRET: 'your-client-secret' }), [
    'GUILDHALL_SIGN_IN_PROVIDERS_FILE: the client secret of google is a placeholder',
  ]);
});

test('what is only unwise is a warning: an embedded database, no TLS to the database, local repositories', () => {
  const { DATABASE_URL: _url, ...embedded } = good;
  assert.match(found(embedded, 'warn').join(), /DATABASE_URL is not set/);
  const plain = { ...good, DATABASE_URL: `postgres://guildhall:${password}@db.acme.test/guildhall` };
  assert.match(found(plain, 'warn').join(), /DATABASE_URL goes over the network without TLS/);
  for (const host of ['127.0.0.1', 'localhost', '']) {
    const near = { ...good, DATABASE_URL: `postgres://guildhall:${password}@${host}/guildhall` };
    assert.doesNotMatch(found(near, 'warn').join(), /without TLS/, host);
  }
  const local = { ...good, GUILDHALL_ALLOW_LOCAL_REPOSITORIES: 'true' };
  assert.match(found(local, 'warn').join(), /GUILDHALL_ALLOW_LOCAL_REPOSITORIES is true/);
  const open = { ...good, GUILDHALL_SIGN_UP: 'open' };
  assert.match(found(open, 'warn').join(), /GUILDHALL_SIGN_UP is open/);
  for (const env of [embedded, plain, local, open]) assert.deepEqual(faultsOf(env), []);
});

test('SEC-07 no finding repeats a value', () => {
  const secrets = ['hunter2-hunter2', 'aaaaaaaaaaaaaaaaaa', 'P@ssw0rd-weak'];
  const text = faultsOf({
    GUILDHALL_ENV: 'production',
    OPENAI_API_KEY: secrets[0] as string,
    GUILDHALL_MASTER_KEY: secrets[1] as string,
    DATABASE_URL: `postgres://u:${encodeURIComponent(secrets[2] as string)}@db/x`,
  }).join('\n');
  assert.match(text, /OPENAI_API_KEY .*\n?/);
  for (const secret of secrets)
    assert.ok(!text.includes(secret) && !text.includes(encodeURIComponent(secret)));
});

test('SEC-05 every value that our documents give a secret as an example is refused in production', async () => {
  const root = join(import.meta.dirname, '../..');
  const pages = (await readdir(join(root, 'docs'), { recursive: true })).filter(path => path.endsWith('.md'));
  const texts = await Promise.all(
    ['README.md', 'CONTRIBUTING.md', ...pages.map(page => join('docs', page))].map(path =>
      readFile(join(root, path), 'utf8'),
    ),
  );
  const example = new RegExp(`\\b(${secretNames.join('|')})=(['"]?)([^\\s'"\`]+)\\2`, 'g');
  const examples = texts.flatMap(text =>
    [...text.matchAll(example)].map(([, name, , value]) => [name, value]),
  );
  for (const [name = '', value = ''] of examples) {
    assert.ok(value.startsWith('$(') || faultsOf({ ...good, [name]: value }).length > 0, `${name}=${value}`);
  }
});

test('DEP-11 the program itself exits 1 and names every fault, before it touches anything', async () => {
  const data = join(directory, 'data');
  const { code, stderr, stdout } = await new Promise<{ code: unknown; stderr: string; stdout: string }>(
    resolve =>
      execFile(
        process.execPath,
        [join(import.meta.dirname, '../main.ts')],
        {
          env: { PATH: process.env.PATH, GUILDHALL_ENV: 'production', GUILDHALL_DATA: data, HOST: '0.0.0.0' },
        },
        (error, stdout, stderr) => resolve({ code: error?.code ?? 0, stdout, stderr }),
      ),
  );
  assert.equal(code, 1);
  assert.equal(stdout, '');
  for (const name of ['GUILDHALL_PUBLIC_URL', 'HOST', 'GUILDHALL_ALLOW_LOCAL_REPOSITORIES'])
    assert.match(stderr, new RegExp(`^  - ${name} `, 'm'));
  await assert.rejects(readdir(data), { code: 'ENOENT' });
});
