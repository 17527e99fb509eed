/** Limits with real processes that are killed, and with a million different subjects. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Redis } from 'ioredis';
import { defaultQuotas } from '../../src/base/limits.ts';
import { ManualClock, minutes, systemClock } from '../../src/base/time.ts';
import { Limiter } from '../../src/platform/limits/limiter.ts';
import { type CounterStore, createPostgresStore, createRedisStore } from '../../src/platform/limits/store.ts';
import { startTestApp, type TestApp, testMasterKey } from '../harness/app.ts';
import { openTestDatabase } from '../harness/database.ts';
import { connectionUrl, type GuildhallProcess, spawnGuildhall, until } from '../harness/processes.ts';
import { redisProgram, startRedis } from '../harness/redis.ts';

setFlagsFromString('--expose-gc');
const collect: () => void = runInNewContext('gc');

const heapUsed = (): number => {
  collect();
  return process.memoryUsage().heapUsed;
};

/** Counts one request of each of so many subjects. @returns by how much the heap has grown, in bytes. */
async function takeOfMany(limiter: Limiter, count: number): Promise<number> {
  const width = 500;
  const batch = (from: number) =>
    Promise.all(
      Array.from({ length: width }, (_, i) => limiter.take('address', `2001:db8:${from + i}::/64`)),
    );
  for (let at = 0; at < 25_000; at += width) await batch(at); // Until its bound is reached.
  const before = heapUsed();
  for (let at = 25_000; at < count; at += width) await batch(at);
  return heapUsed() - before;
}

const limiterOn = (store: CounterStore, clock = systemClock): Limiter =>
  new Limiter({
    store,
    clock,
    quotas: defaultQuotas,
    onOutage: reason => assert.fail(`the store failed: ${reason}`),
  });

describe('two server processes on one database', () => {
  let guildhall: TestApp;
  const processes: GuildhallProcess[] = [];

  before(async () => {
    guildhall = await startTestApp({ roles: [] });
  });

  after(async () => {
    for (const process of processes) await process.kill();
    await guildhall?.[Symbol.asyncDispose]();
  });

  const start = async () => {
    const made = spawnGuildhall('api', {
      GUILDHALL_DATA: guildhall.dataDir,
      GUILDHALL_MASTER_KEY: testMasterKey,
      DATABASE_URL: connectionUrl(guildhall.database.owner),
      PORT: '0',
    });
    processes.push(made);
    const url = await until('the server is ready', 60_000, () => {
      const found = /"url":"(http:[^"]+)"[^\n]*"message":"ready"/.exec(made.output())?.[1];
      if (!found && /guildhall: /.test(made.output())) throw new Error(made.output());
      return found;
    });
    const signIn = async () => {
      const response = await fetch(`${url}/api/v1/sign-in`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ token: 'ghl_guess_of_processes' }),
      });
      await response.body?.cancel();
      return response.status;
    };
    return { made, signIn };
  };

  test('RL-01 the 6th try is 429 on either, and still after both were killed and started anew', async () => {
    const [a, b] = [await start(), await start()];
    const first: number[] = [];
    for (const server of [a, b, b, a, b]) first.push(await server.signIn());
    assert.deepEqual(first, [401, 401, 401, 401, 401]);
    assert.deepEqual([await a.signIn(), await b.signIn()], [429, 429]);
    await Promise.all([a.made.kill(), b.made.kill()]);
    const again = await start();
    assert.equal(await again.signIn(), 429);
  });
});

test('RL-03 a million subjects in Redis: the memory of the process stays as it is, and Redis is empty a minute later', {
  skip: redisProgram ? false : 'no Redis or Valkey server is installed here',
  timeout: 600_000,
}, async t => {
  await using redis = await startRedis();
  const client = new Redis(redis.url);
  await once(client, 'ready');
  try {
    const limiter = limiterOn(createRedisStore(client));
    const grown = await takeOfMany(limiter, 1_000_000);
    const most = await client.dbsize();
    t.diagnostic(`${most} keys, heap ${(grown / 1e6).toFixed(1)} MB more`);
    assert.ok(grown < 20e6, `the heap grew by ${(grown / 1e6).toFixed(1)} MB`);
    assert.ok(limiter.size <= 20_000);
    await until('Redis has forgotten them', 120_000, async () => (await client.dbsize()) === 0);
  } finally {
    client.disconnect();
  }
});

test('RL-03 sixty thousand subjects in the database: memory stays as it is, and a sweep empties the table', async t => {
  await using database = await openTestDatabase();
  const clock = new ManualClock(Date.now());
  const limiter = limiterOn(createPostgresStore(database.db), clock);
  const grown = await takeOfMany(limiter, 60_000);
  t.diagnostic(`heap ${(grown / 1e6).toFixed(1)} MB more`);
  assert.ok(grown < 20e6, `the heap grew by ${(grown / 1e6).toFixed(1)} MB`);
  clock.advance(minutes(10));
  const swept = await limiter.sweep();
  assert.equal(swept, 60_000);
  const { rows } = await database.pool.query('select count(*)::int as count from rate_limits');
  assert.deepEqual([rows[0].count, limiter.size], [0, 0]);
});
