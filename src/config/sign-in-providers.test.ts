import assert from 'node:assert/strict';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { readConfig } from '../config.ts';
import { readSignInProviders } from './sign-in-providers.ts';

const directory = await mkdtemp(join(tmpdir(), 'guildhall-providers-'));
after(() => rm(directory, { recursive: true }));
const path = join(directory, 'providers.json');
const good = {
  id: 'company',
  discovery_url: 'https://login.example.com/.well-known/openid-configuration',
  client_id: 'us',
  client_secret: { env: 'SECRET' },
};
const env = { SECRET: 'the secret' };

async function read(...providers: object[]) {
  await writeFile(path, JSON.stringify({ providers }));
  return readSignInProviders(path, env);
}

test('a provider is read with defaults, its secret from where it is named', async () => {
  const { providers, faults } = await read(good);
  assert.deepEqual(faults, []);
  assert.deepEqual(providers, [
    {
      ...{ id: 'company', name: 'company', clientId: 'us', clientSecret: 'the secret' },
      discoveryUrl: good.discovery_url,
      ...{ google: null, endpoints: null, emailDomains: [], newPeople: true, emailVerified: 'claim' },
      scopes: ['openid', 'email', 'profile'],
      claims: { subject: 'sub', email: 'email', name: 'name' },
    },
  ]);
  const config = readConfig({ GUILDHALL_SIGN_IN_PROVIDERS_FILE: path, ...env });
  assert.equal(config.signIn.providers.length, 1);
  assert.ok(config.secrets.includes('the secret'), 'cut out of logs like every other secret');
});

test('every fault of the file is said at once, and no secret repeated', async () => {
  const { faults } = await read(
    { ...good, id: 'a', discovery_url: 'http://login.example.com/x' },
    { ...good, id: 'B' },
    { ...good, id: 'c', discovery_url: undefined },
    { ...good, id: 'd', client_secret: 'in the clear' },
    { ...good, id: 'e', unknown: 1 },
    { ...good, id: 'f', email_domains: ['*'] },
    { id: 'g', type: 'google', client_id: 'x', client_secret: { env: 'SECRET' } },
  );
  assert.ok(faults.length >= 7, faults.join('\n'));
  assert.ok(!faults.join().includes('in the clear'));
  assert.throws(
    () => readConfig({ GUILDHALL_SIGN_IN_PROVIDERS_FILE: path, ...env }),
    (error: { code?: string }) => error.code === 'configuration_invalid',
  );
});

test('secrets that are not there, that others can read, and two providers of one id are faults', async () => {
  const file = join(directory, 'secret');
  await writeFile(file, 'kept in a file\n');
  await chmod(file, 0o644);
  const { faults } = await read(
    { ...good, client_secret: { env: 'NOWHERE' } },
    { ...good, client_secret: { file: 'secret' } },
    { ...good, id: 'other', client_secret: { file: 'nowhere' } },
  );
  assert.match(faults.join('\n'), /two providers company/);
  assert.match(faults.join('\n'), /variable NOWHERE is not set/);
  assert.match(faults.join('\n'), /readable by others, set its mode to 0600/);
  assert.match(faults.join('\n'), /nowhere cannot be read \(ENOENT\)/);
  await chmod(file, 0o600);
  const { providers } = await read({ ...good, client_secret: { file: 'secret' } });
  assert.equal(providers[0]?.clientSecret, 'kept in a file');
  for (const text of ['{', '[]', '{"providers":{}}']) {
    await writeFile(path, text);
    assert.equal(readSignInProviders(path, env).faults.length > 0, true, text);
  }
  assert.match(readSignInProviders(join(directory, 'none'), env).faults.join(), /cannot be read/);
});
