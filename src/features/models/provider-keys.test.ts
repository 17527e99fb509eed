import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, test } from 'node:test';
import { openTestDatabase } from '../../../test/harness/database.ts';
import { newTestDriver, sampleRequest, testKey } from '../../../test/harness/provider/drivers.ts';
import { startProvider } from '../../../test/harness/provider/provider.ts';
import { newId } from '../../base/ids.ts';
import { ManualClock, seconds } from '../../base/time.ts';
import { createAnthropicDriver } from '../../drivers/models/anthropic.ts';
import { transact } from '../../platform/db/db.ts';
import { openSealer } from '../../platform/secrets/key-ring.ts';
import { newMasterKey } from '../../platform/secrets/master-key.ts';
import { putSecret, revokeSecret } from '../secrets/secrets.ts';
import { type ModelCatalog, resolveModelFor } from './catalog.ts';
import { defaultModelTimeouts } from './port.ts';
import { callWithKey, openProviderKeys, providerKeyName } from './provider-keys.ts';

const database = await openTestDatabase();
const { db } = database;
const clock = new ManualClock();
const now = () => new Date(clock.now());
const sealer = await openSealer(db, { current: newMasterKey(), others: [] }, now());
const accepted: { apiKey?: string } = {};
const provider = await startProvider(() => ({ parts: [{ text: 'Hello.' }] }), accepted);
const driver = newTestDriver('anthropic', provider.url);
after(async () => {
  await driver.close();
  await provider.close();
  await database[Symbol.asyncDispose]();
});

const catalogOf = (more: Partial<ModelCatalog> = {}): ModelCatalog => ({
  drivers: new Map([['anthropic', driver]]),
  defaultModel: 'anthropic/m',
  timeouts: defaultModelTimeouts,
  keys: openProviderKeys(db, sealer, clock),
  ...more,
});
const newKey = () => `sk-ant-${randomBytes(18).toString('base64url')}`;

async function newOrganization(): Promise<{
  id: string;
  set(key: string): Promise<void>;
  revoke(): Promise<void>;
}> {
  const id = newId('org');
  await db.insertInto('organizations').values({ id, name: id, created_at: now() }).execute();
  const actor = { id: 'system', organizationId: id, requestId: 'test' };
  const name = providerKeyName('anthropic');
  return {
    id,
    set: async value =>
      void (await transact(db, tx => putSecret(tx, sealer, actor, now(), { name, value, rotateBy: null }))),
    revoke: async () => void (await transact(db, tx => revokeSecret(tx, actor, now(), name))),
  };
}

/** Makes a call. @returns the key that the provider saw, or the kind of the failure. */
async function call(catalog: ModelCatalog, organizationId: string): Promise<unknown> {
  const resolved = await resolveModelFor(catalog, organizationId, 'anthropic/m');
  const before = provider.requests.length;
  const outcome = await callWithKey(catalog, organizationId, resolved, sampleRequest(), {
    signal: AbortSignal.timeout(10_000),
    timeouts: defaultModelTimeouts,
    idempotency_key: 'k',
    request_id: 'r',
  });
  return outcome.ok ? provider.requests.slice(before).at(-1)?.headers['x-api-key'] : outcome.failure.kind;
}

test('an organization calls with its own key, the others with the key of the deployment', async () => {
  accepted.apiKey = undefined;
  const [one, other] = [await newOrganization(), await newOrganization()];
  const catalog = catalogOf();
  const key = newKey();
  await one.set(key);
  assert.equal(await call(catalog, one.id), key);
  assert.equal(await call(catalog, other.id), testKey);
});

test('SEC-03 a new key is used and a revoked one is not, within a minute, on every replica', async () => {
  accepted.apiKey = undefined;
  const organization = await newOrganization();
  const replicas = [catalogOf(), catalogOf()];
  const [first, second] = [newKey(), newKey()];
  await organization.set(first);
  for (const replica of replicas) assert.equal(await call(replica, organization.id), first);
  await organization.set(second);
  clock.advance(seconds(59));
  for (const replica of replicas) assert.equal(await call(replica, organization.id), second);
  await organization.revoke();
  clock.advance(seconds(59));
  for (const replica of replicas) assert.equal(await call(replica, organization.id), testKey);
});

test('SEC-03 under load a key is replaced here and revoked at the provider at once: no call fails', async () => {
  const organization = await newOrganization();
  const catalog = catalogOf();
  let key = newKey();
  accepted.apiKey = key;
  await organization.set(key);
  const seen = new Set<unknown>();
  let calls = 0;
  let stop = false;
  const load = Array.from({ length: 4 }, async () => {
    while (!stop) {
      seen.add(await call(catalog, organization.id));
      calls += 1;
    }
  });
  for (let rotation = 0; rotation < 5; rotation++) {
    key = newKey();
    const until = calls + 20;
    accepted.apiKey = undefined; // The provider knows the old and the new one
    await organization.set(key);
    accepted.apiKey = key; // until the old one is revoked there.
    while (calls < until) await new Promise(resolve => setImmediate(resolve));
  }
  stop = true;
  await Promise.all(load);
  assert.ok(calls >= 100 && !seen.has('unauthorized'), [...seen].join());
  assert.equal(await call(catalog, organization.id), key);
});

test('a key that the provider never took fails the call, with one more try at most', async () => {
  const organization = await newOrganization();
  const catalog = catalogOf();
  accepted.apiKey = newKey();
  await organization.set(newKey());
  const before = provider.requests.length;
  assert.equal(await call(catalog, organization.id), 'unauthorized');
  assert.equal(provider.requests.length - before, 1);
});

test('without a key of the deployment only organizations that brought one can use the provider', async () => {
  accepted.apiKey = undefined;
  await using keyless = Object.assign(createAnthropicDriver({ apiKey: null, baseUrl: provider.url }), {
    [Symbol.asyncDispose]: () => keyless.close(),
  });
  const catalog = catalogOf({ drivers: new Map([['anthropic', keyless]]), keyless: new Set(['anthropic']) });
  const [with_, without] = [await newOrganization(), await newOrganization()];
  const key = newKey();
  await with_.set(key);
  assert.equal(await call(catalog, with_.id), key);
  await assert.rejects(resolveModelFor(catalog, without.id, 'default'), {
    code: 'model_key_missing',
    message: /providers\/anthropic\/api-key/,
  });
  const outcome = await keyless.call(sampleRequest(), {
    signal: AbortSignal.timeout(10_000),
    timeouts: defaultModelTimeouts,
    idempotency_key: 'k',
    request_id: 'r',
  });
  assert.ok(!outcome.ok && outcome.failure.kind === 'unauthorized' && !outcome.failure.retryable);
});

test('SEC-03 the key of the deployment is read again where it comes from, and stands behind those of organizations', async () => {
  const place = { key: newKey() };
  const read = async () => place.key;
  const reader = { read, readAgain: read };
  const deployment = { sources: new Map([['anthropic', 'file:///key']]), reader };
  const catalog = catalogOf({ keys: openProviderKeys(db, sealer, clock, deployment) });
  const [one, other] = [await newOrganization(), await newOrganization()];
  accepted.apiKey = place.key;
  assert.equal(await call(catalog, one.id), place.key);
  const own = newKey();
  accepted.apiKey = undefined;
  await one.set(own);
  clock.advance(seconds(59));
  place.key = newKey();
  assert.deepEqual([await call(catalog, one.id), await call(catalog, other.id)], [own, place.key]);
});
