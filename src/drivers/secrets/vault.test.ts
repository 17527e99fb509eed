import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { type FakeVault, startVault } from '../../../test/harness/stores/vault.ts';
import { ManualClock, seconds } from '../../base/time.ts';
import { parseReference, type SecretReference, type SecretStore } from '../../platform/secrets/port.ts';
import { createVaultStore, type VaultOptions } from './vault.ts';

const clock = new ManualClock();
const open: AsyncDisposable[] = [];
afterEach(async () => {
  for (const one of open.splice(0)) await one[Symbol.asyncDispose]();
});

async function start(more: Partial<VaultOptions> = {}): Promise<{ vault: FakeVault; store: SecretStore }> {
  const vault = await startVault(clock);
  vault.secrets.set('secret/db', [
    { password: 'first-1' },
    { password: 'second-2' },
    null,
    { password: 'fourth-4' },
  ]);
  const store = createVaultStore({
    address: vault.url,
    namespace: null,
    login: vault.approle,
    clock,
    pauseMs: 1,
    ...more,
  });
  open.push(vault, { [Symbol.asyncDispose]: () => store.close() });
  return { vault, store };
}
const read = (store: SecretStore, text = 'vault://secret/db#password') =>
  store.read(parseReference(text) as SecretReference);
const paths = (vault: FakeVault) => vault.asked.map(asked => asked.path.replace('/v1/', ''));

test('a version that is named is read, the newest without; a deleted and an unknown one are missing', async () => {
  const { store } = await start();
  assert.equal(await read(store), 'fourth-4');
  assert.equal(await read(store, 'vault://secret/db?version=2#password'), 'second-2');
  await assert.rejects(read(store, 'vault://secret/db?version=3#password'), { message: /deleted/ });
  await assert.rejects(read(store, 'vault://secret/db?version=9#password'), { code: 'secret_missing' });
});

test('a mount of KV version 1 is refused by name', async () => {
  const { store } = await start();
  await assert.rejects(read(store, 'vault://kv1/db#password'), { message: /no KV version 2/ });
});

test('one login serves many reads; the token is renewed before it ends, once', async () => {
  const { vault, store } = await start();
  await Promise.all(Array.from({ length: 5 }, () => read(store)));
  assert.equal(paths(vault).filter(path => path === 'auth/approle/login').length, 1);
  clock.advance(seconds(3_600 * 0.7));
  await Promise.all(Array.from({ length: 5 }, () => read(store)));
  assert.equal(paths(vault).filter(path => path === 'auth/token/renew-self').length, 1);
  clock.advance(seconds(3_600 * 0.6));
  assert.equal(await read(store), 'fourth-4', 'the first token would have ended by now');
  assert.equal(paths(vault).filter(path => path === 'auth/approle/login').length, 1);
});

test('a token that ended or was revoked is replaced by a new login', async () => {
  const { vault, store } = await start();
  await read(store);
  vault.tokens.clear();
  assert.equal(await read(store), 'fourth-4');
  clock.advance(seconds(100_000));
  assert.equal(await read(store), 'fourth-4');
});

test('a token of our own is used as it is, renewed where it can be, and refused in clear words when it is wrong', async () => {
  const { vault, store } = await start({ login: { token: 'hvs.given' } });
  await assert.rejects(read(store), { code: 'secret_forbidden', message: /token is not taken/ });
  vault.tokens.set('hvs.given', { endsAt: clock.now() + seconds(300), renewable: true });
  assert.equal(await read(store), 'fourth-4');
  clock.advance(seconds(250));
  assert.equal(await read(store), 'fourth-4');
  assert.ok(paths(vault).includes('auth/token/renew-self'));
});

test('wrong AppRole, and a path that is not ours to read', async () => {
  const wrong = await start({ login: { roleId: 'role-1', secretId: 'no' } });
  await assert.rejects(read(wrong.store), { code: 'secret_forbidden', message: /AppRole/ });
  const { vault, store } = await start();
  await read(store);
  for (let n = 0; n < 2; n++) {
    vault.faults.push(
      { status: 403, body: { errors: ['permission denied'] } },
      { status: 200, body: { auth: { client_token: 'hvs.x', lease_duration: 60, renewable: false } } },
      { status: 403, body: { errors: ['permission denied'] } },
    );
    await assert.rejects(read(store), { code: 'secret_forbidden' });
  }
});

test('throttling, a sealed Vault and broken connections are tried again; what lasts is unavailable', async () => {
  const { vault, store } = await start();
  await read(store);
  for (const fault of [
    { status: 429, body: { errors: ['rate limit quota exceeded'] } },
    { status: 503, body: { errors: ['Vault is sealed'] } },
    'hang up' as const,
  ]) {
    vault.faults.push(fault, fault);
    assert.equal(await read(store), 'fourth-4');
    vault.faults.push(...Array.from({ length: 4 }, () => fault));
    await assert.rejects(read(store), { code: 'secret_store_unavailable', retryable: true });
  }
  vault.faults.push({ status: 200, body: '<html>a proxy</html>' });
  await assert.rejects(read(store), { code: 'secret_missing' });
});

test('a namespace is sent along', async () => {
  const { vault, store } = await start({ namespace: 'team-a' });
  vault.namespace = 'team-a';
  assert.equal(await read(store), 'fourth-4');
});
