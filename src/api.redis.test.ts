import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Redis } from 'ioredis';
import { startTestApp, type TestApp } from '../test/harness/app.ts';
import { openTestDatabase, type TestDatabase } from '../test/harness/database.ts';
import { until } from '../test/harness/processes.ts';
import { redisProgram, startRedis, type TestRedis } from '../test/harness/redis.ts';

describe('limits in Redis', {
  skip: redisProgram ? false : 'no Redis or Valkey server is installed here',
}, () => {
  let redis: TestRedis;
  let client: Redis;
  let database: TestDatabase;
  let apps: TestApp[] = [];

  before(async () => {
    [redis, database] = await Promise.all([startRedis(), openTestDatabase()]);
    client = new Redis(redis.url, { retryStrategy: () => 50, maxRetriesPerRequest: null });
    client.on('error', () => {}); // It is stopped on purpose.
    const env = { REDIS_URL: redis.url, GUILDHALL_LIMITS: 'read=10' };
    apps = await Promise.all([0, 1].map(() => startTestApp({ roles: ['api'], database, env })));
  });

  after(async () => {
    client?.disconnect();
    for (const app of apps) await app[Symbol.asyncDispose]();
    await database?.[Symbol.asyncDispose]();
    await redis?.[Symbol.asyncDispose]();
  });

  const signIn = async (at: number, token: string) => {
    const response = await fetch(`${apps[at]?.app.url}/api/v1/sign-in`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ token }),
    });
    return { status: response.status, code: ((await response.json()) as { code: string }).code };
  };
  const me = async (at: number) => (await (apps[at] as TestApp).api('GET', '/api/v1/me')).status;
  const limited = [429, 'rate_limited'];

  test('RL-01 N + 1 is 429 on either of two servers, and nothing is counted in the database', async () => {
    const answers = [];
    for (const at of [0, 1, 1, 0, 1]) answers.push((await signIn(at, 'ghl_shared')).status);
    assert.deepEqual(answers, [401, 401, 401, 401, 401]);
    for (const at of [0, 1]) assert.deepEqual(Object.values(await signIn(at, 'ghl_shared')), limited);
    assert.equal((await database.pool.query('select from rate_limits')).rowCount, 0);
  });

  test('RL-03 every counter in Redis ends by itself', async () => {
    const keys = await client.keys('guildhall:limit:*');
    assert.ok(keys.length >= 3, keys.join());
    for (const key of keys) {
      const ttl = await client.pttl(key);
      assert.ok(ttl > 0 && ttl <= 60_000, `${key}: ${ttl}`);
    }
    assert.ok(!keys.some(key => key.includes('ghl_')), 'what was tried is not told');
  });

  test('X-14 Redis is stopped in the middle: signing in is closed, reading is counted by each server, and both come back', async () => {
    assert.equal(await me(0), 200);
    await redis.stop();
    assert.deepEqual(Object.values(await signIn(0, 'ghl_outage')), [503, 'limits_unavailable']);
    const { body } = await (apps[0] as TestApp).api<{ components: { name: string; state: string }[] }>(
      'GET',
      '/readyz',
    );
    assert.equal(body.components.find(component => component.name === 'limits')?.state, 'failed');
    const reads = [];
    for (let i = 0; i < 12; i++) reads.push(await me(1));
    assert.equal(reads.filter(status => status === 200).length, 10);
    assert.deepEqual(reads.slice(-2), [429, 429]);
    await redis.start();
    await until('signing in is open again', 10_000, async () => (await signIn(0, 'ghl_back')).status === 401);
  });
});
