import assert from 'node:assert/strict';
import { after, mock, test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { openTestDatabase } from '../../../test/harness/database.ts';
import { defaultQuotas, type LimitName, type Quotas } from '../../base/limits.ts';
import { ManualClock, minutes } from '../../base/time.ts';
import { Limiter } from './limiter.ts';
import { type CounterStore, createPostgresStore } from './store.ts';

const database = await openTestDatabase();
after(() => database[Symbol.asyncDispose]());
const shared = createPostgresStore(database.db);
const clock = new ManualClock(Date.now());
const outages: string[] = [];

/** A limiter as each replica has one. */
const replica = (quotas: Partial<Quotas> = {}, store: CounterStore = shared): Limiter =>
  new Limiter({
    store,
    clock,
    quotas: { ...defaultQuotas, ...quotas },
    onOutage: reason => void outages.push(reason),
  });

const takeMany = async (limiter: Limiter, name: LimitName, subject: string, count: number) => {
  const verdicts = await Promise.all(Array.from({ length: count }, () => limiter.take(name, subject)));
  return verdicts.filter(verdict => verdict.allowed).length;
};

const rows = async (): Promise<number> =>
  Number((await database.pool.query('select count(*) from rate_limits')).rows[0].count);

/** Its calls fail while `down`, before they reach the database. */
function breakable(store: CounterStore): CounterStore & { down: boolean; asked: number } {
  return {
    kind: store.kind,
    down: false,
    asked: 0,
    async add(...args) {
      this.asked += 1;
      if (this.down) throw new Error('the store is down');
      return store.add(...args);
    },
    sweep: now => store.sweep(now),
  };
}

test('RL-01 a small quota is exact over two replicas: N pass in any order, N + 1 does not on either', async () => {
  const [a, b] = [replica({ login: 5 }), replica({ login: 5 })];
  const order = [a, b, b, a, b, a, b];
  const allowed: boolean[] = [];
  for (const limiter of order) allowed.push((await limiter.take('login', 'exact')).allowed);
  assert.deepEqual(allowed, [true, true, true, true, true, false, false]);
});

test('RL-01 a replica that starts anew finds what was counted before', async () => {
  assert.equal(await takeMany(replica({ login: 5 }), 'login', 'restart', 4), 4);
  const restarted = replica({ login: 5 });
  assert.equal((await restarted.take('login', 'restart')).remaining, 0);
  assert.equal((await restarted.take('login', 'restart')).allowed, false);
});

test('RL-01 many at once on three replicas: exactly the quota passes when it is counted one by one', async () => {
  const replicas = [replica({ costly: 100 }), replica({ costly: 100 }), replica({ costly: 100 })];
  const passed = await Promise.all(replicas.map(limiter => takeMany(limiter, 'costly', 'at once', 90)));
  assert.equal(
    passed.reduce((sum, n) => sum + n, 0),
    100,
  );
});

test('RL-01 a large quota is never exceeded, and at most one chunk of each other replica stays unused', async () => {
  const quota = 2_000;
  const [a, b] = [replica({ read: quota }), replica({ read: quota })];
  assert.equal((await b.take('read', 'chunks')).allowed, true);
  let passed = 1;
  for (let i = 0; i < quota + 50; i++) if ((await a.take('read', 'chunks')).allowed) passed += 1;
  assert.ok(passed <= quota && passed >= quota - quota / 20, `${passed} of ${quota} passed`);
  // What the other took ahead is still its to spend, and then it is refused too.
  passed += await takeMany(b, 'read', 'chunks', 200);
  assert.equal(passed, quota);
  assert.equal((await b.take('read', 'chunks')).allowed, false);
});

test('a large quota asks the store once in a chunk, a refused one not at all until its window ends', async () => {
  const store = breakable(shared);
  const limiter = replica({ read: 2_000, login: 5 }, store);
  for (let i = 0; i < 1_000; i++) await limiter.take('read', 'cheap');
  assert.ok(store.asked <= 12, `asked ${store.asked} times`);
  await takeMany(limiter, 'login', 'refused', 6);
  const before = store.asked;
  for (let i = 0; i < 100; i++) assert.equal((await limiter.take('login', 'refused')).allowed, false);
  assert.equal(store.asked, before);
});

test('a window ends: the same subject begins anew', async () => {
  mock.timers.enable({ apis: ['Date'], now: clock.now() });
  try {
    const limiter = replica({ login: 5 });
    assert.equal(await takeMany(limiter, 'login', 'again', 8), 5);
    const { resetMs } = await limiter.take('login', 'again');
    assert.ok(resetMs > 0 && resetMs <= minutes(1));
    mock.timers.tick(resetMs + 1);
    clock.advance(resetMs + 1);
    assert.equal(await takeMany(limiter, 'login', 'again', 8), 5);
  } finally {
    mock.timers.reset();
  }
});

test('subjects and limits do not touch each other', async () => {
  const limiter = replica({ login: 2, costly: 2 });
  assert.equal(await takeMany(limiter, 'login', 'x', 3), 2);
  assert.equal(await takeMany(limiter, 'login', 'y', 3), 2);
  assert.equal(await takeMany(limiter, 'costly', 'x', 3), 2);
});

test('X-14 RL-01 without its store sign-in is closed, everything else is counted by each process for itself', async () => {
  const store = breakable(shared);
  const limiter = replica({ login: 5, read: 200 }, store);
  await limiter.take('login', 'outage');
  await limiter.take('read', 'outage');
  store.down = true;
  outages.length = 0;
  clock.advance(minutes(2)); // What was held ahead is over.
  for (let i = 0; i < 3; i++) {
    await assert.rejects(
      async () => limiter.take('login', 'outage'),
      (error: { code?: string; status?: number }) =>
        error.code === 'limits_unavailable' && error.status === 503,
    );
  }
  assert.equal(await takeMany(limiter, 'read', 'outage', 250), 200);
  assert.equal(limiter.works, false);
  assert.ok(store.asked <= 5, 'the store is left alone while it is down');
  assert.equal(outages.length, 1, 'and it is told once');
  store.down = false;
  clock.advance(2_000);
  assert.equal((await limiter.take('login', 'outage')).allowed, true);
  assert.equal(limiter.works, true);
});

test('RL-03 what is over leaves the table and the memory', async () => {
  const limiter = replica();
  await Promise.all(Array.from({ length: 500 }, (_, i) => limiter.take('read', `sweep ${i}`)));
  assert.ok((await rows()) >= 500);
  assert.ok(limiter.size >= 500);
  clock.advance(minutes(2));
  assert.ok((await limiter.sweep()) >= 500);
  assert.equal(await rows(), 0);
  assert.equal(limiter.size, 0);
});

test('RL-03 a million subjects during an outage are held in a bounded memory', async () => {
  const store = breakable(shared);
  store.down = true;
  const limiter = replica({}, store);
  setFlagsFromString('--expose-gc');
  const collect: () => void = runInNewContext('gc');
  const used = (): number => {
    collect();
    return process.memoryUsage().heapUsed;
  };
  for (let i = 0; i < 100_000; i++) await limiter.take('address', `first ${i}`);
  const before = used();
  for (let i = 0; i < 1_000_000; i++) await limiter.take('address', `2001:db8:${i}::/64`);
  const grown = used() - before;
  assert.ok(limiter.size <= 60_000, `${limiter.size} are kept`);
  assert.ok(grown < 10e6, `the heap grew by ${(grown / 1e6).toFixed(1)} MB`);
});
