/** What every secret store does alike: the same cases for files, environment, Vault and AWS. */
import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { startAws } from '../../../test/harness/stores/aws.ts';
import { startVault } from '../../../test/harness/stores/vault.ts';
import { Problem } from '../../base/problem.ts';
import { ManualClock } from '../../base/time.ts';
import { parseReference, type SecretReference, type SecretStore } from '../../platform/secrets/port.ts';
import { createAwsStore } from './aws.ts';
import { createEnvironmentStore } from './environment.ts';
import { createFileStore } from './file.ts';
import { createVaultStore } from './vault.ts';

const clock = new ManualClock();
const directory = await mkdtemp(join(tmpdir(), 'guildhall-stores-'));
const vault = await startVault(clock);
const aws = await startAws(clock);
aws.keys.set('AKIDTEST', { secret: 'secret-of-akid', sessionToken: null });
after(async () => {
  for (const { store } of kinds) await store.close();
  await vault[Symbol.asyncDispose]();
  await aws[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});

const env: Record<string, string | undefined> = {};
const writeSecret = async (path: string, value: string) => {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, value);
  await chmod(path, 0o600);
};

interface Kind {
  name: string;
  store: SecretStore;
  /** Puts a value there. @returns the reference to it. */
  put(name: string, value: string): Promise<string>;
  missing: string;
  /** Whether white space at the end is part of the value. */
  exact: boolean;
}

const kinds: Kind[] = [
  {
    name: 'file',
    store: createFileStore(),
    put: async (name, value) => {
      await writeSecret(join(directory, name), value);
      return `file://${join(directory, name)}`;
    },
    missing: `file://${directory}/none`,
    exact: false,
  },
  {
    name: 'environment',
    store: createEnvironmentStore(env),
    put: async (name, value) => {
      const variable = name.toUpperCase().replaceAll('-', '_');
      await writeSecret(join(directory, 'env', name), value);
      env[`${variable}_FILE`] = join(directory, 'env', name);
      return `env://${variable}`;
    },
    missing: 'env://NONE',
    exact: false,
  },
  {
    name: 'vault',
    store: createVaultStore({
      address: vault.url,
      namespace: null,
      login: vault.approle,
      clock,
      pauseMs: 1,
    }),
    put: async (name, value) => {
      const versions = vault.secrets.get(`secret/${name}`) ?? [];
      vault.secrets.set(`secret/${name}`, [...versions, { value, other: 'x' }]);
      return `vault://secret/${name}#value`;
    },
    missing: 'vault://secret/none#value',
    exact: true,
  },
  {
    name: 'aws',
    store: createAwsStore({
      region: 'eu-central-1',
      credentials: { accessKeyId: 'AKIDTEST', secretAccessKey: 'secret-of-akid', sessionToken: null },
      endpoint: aws.url,
      clock,
      pauseMs: 1,
    }),
    put: async (name, value) => {
      aws.secrets.set(name, new Map([['AWSCURRENT', JSON.stringify({ value, other: 'x' })]]));
      return `aws-sm://${name}#value`;
    },
    missing: 'aws-sm://none#value',
    exact: true,
  },
];

const reference = (text: string) => parseReference(text) as SecretReference;
const rejects = (read: Promise<unknown>, code: string, notShown = 'nothing to hide') =>
  assert.rejects(read, (error: unknown) => {
    assert.ok(error instanceof Problem, String(error));
    assert.equal(error.code, code);
    assert.ok(!JSON.stringify([error.message, error.detail]).includes(notShown));
    return true;
  });

for (const { name, store, put, missing, exact } of kinds) {
  test(`SEC-01 ${name}: what was put there is read, with every character`, async () => {
    for (const value of ['plain', 'ä€🔑 "quoted" \\ & more', '{"json":true}', `x${'y'.repeat(4_000)}`]) {
      assert.equal(await store.read(reference(await put('value', value))), value);
    }
    const lines = '-----BEGIN KEY-----\nabc\n-----END KEY-----\n';
    assert.equal(await store.read(reference(await put('lines', lines))), exact ? lines : lines.trimEnd());
  });

  test(`SEC-03 ${name}: a changed value is read at once, nothing is kept`, async () => {
    const at = await put('changing', 'before-1');
    assert.equal(await store.read(reference(at)), 'before-1');
    await put('changing', 'after-2');
    assert.equal(await store.read(reference(at)), 'after-2');
  });

  test(`SEC-01 ${name}: what is not there or empty is missing, not empty`, async () => {
    await rejects(store.read(reference(missing)), 'secret_missing');
    await rejects(store.read(reference(await put('empty', ''))), 'secret_missing');
  });

  test(`${name}: many may read at the same time`, async () => {
    const at = reference(await put('shared', 'shared-value'));
    const values = await Promise.all(Array.from({ length: 20 }, () => store.read(at)));
    assert.deepEqual(new Set(values), new Set(['shared-value']));
  });

  test(`SEC-07 ${name}: no problem repeats a value`, async () => {
    const at = await put('hidden', 'hidden-value-4711');
    const wrong = at.includes('#') ? at.replace('#value', '#none') : missing;
    await rejects(store.read(reference(wrong)), 'secret_missing', 'hidden-value');
  });
}
