/** The limiter of a process with its store: Redis when there is one, otherwise the database; swept once a minute. */
import type { Quotas } from '../../base/limits.ts';
import { messageOf } from '../../base/problem.ts';
import type { Clock } from '../../base/time.ts';
import type { Db } from '../db/db.ts';
import { Limiter } from './limiter.ts';
import { type CounterStore, createPostgresStore, createRedisStore } from './store.ts';

export interface Limits extends AsyncDisposable {
  limiter: Limiter;
  store: CounterStore['kind'];
}

export interface LimitsOptions {
  db: Db;
  clock: Clock;
  quotas: Quotas;
  /** Null: counted in the database. */
  redisUrl: string | null;
  warn(facts: Record<string, unknown>, message: string): void;
}

const sweepIntervalMs = 60_000;
/** Between tries to connect again; requests do not wait for it. */
const reconnectMs = { first: 50, most: 1_000 };

export async function openLimits(options: LimitsOptions): Promise<Limits> {
  const { db, clock, quotas, warn } = options;
  const { store, close } = options.redisUrl
    ? await openRedis(options.redisUrl, warn)
    : { store: createPostgresStore(db), close: () => {} };
  const onOutage = (reason: string) =>
    warn(
      { reason, store: store.kind },
      'limits cannot be shared: each process counts for itself, sign-in is closed',
    );
  const limiter = new Limiter({ store, clock, quotas, onOutage });
  let sweeping: Promise<unknown> = Promise.resolve();
  const timer = setInterval(() => {
    sweeping = limiter
      .sweep()
      .catch(error => warn({ reason: messageOf(error) }, 'counters of limits could not be swept'));
  }, sweepIntervalMs);
  timer.unref();
  return {
    limiter,
    store: store.kind,
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      await sweeping;
      close();
    },
  };
}

async function openRedis(
  url: string,
  warn: LimitsOptions['warn'],
): Promise<{ store: CounterStore; close: () => void }> {
  const { Redis } = await import('ioredis');
  const redis = new Redis(url, {
    connectionName: 'guildhall',
    // Nothing waits for a connection that is not there: the limiter has its own answer to that.
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    retryStrategy: times => Math.min(times * reconnectMs.first, reconnectMs.most),
  });
  let told = '';
  redis.on('error', error => {
    if (messageOf(error) !== told) warn({ reason: messageOf(error) }, 'Redis cannot be reached');
    told = messageOf(error);
  });
  redis.on('ready', () => {
    told = '';
  });
  // The first requests should find it ready; when it is not there, the start does not wait for it.
  await new Promise<void>(resolve => {
    redis.once('ready', resolve);
    redis.once('error', () => resolve());
  });
  return { store: createRedisStore(redis), close: () => redis.disconnect() };
}
