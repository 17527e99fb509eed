/**
 * Where counters live that all replicas share: a table in PostgreSQL, or Redis. Both count with rate-limiter-flexible:
 * a counter begins at its first point and ends `window` seconds later, whatever happens in between.
 */
import type { Redis } from 'ioredis';
import { CompiledQuery, sql } from 'kysely';
import { type RateLimiterAbstract, RateLimiterPostgres, RateLimiterRedis } from 'rate-limiter-flexible';
import type { Db } from '../db/db.ts';

export interface Count {
  /** Points in this window, with those just added. */
  used: number;
  /** Until the window ends. */
  resetMs: number;
}

export interface CounterStore {
  readonly kind: 'postgresql' | 'redis';
  /** Adds points to a counter. Fails when the store cannot be reached. */
  add(key: string, points: number, windowSeconds: number): Promise<Count>;
  /** Removes counters that ended before `now`. @returns how many. */
  sweep(now: number): Promise<number>;
}

const prefix = 'limit';
const table = 'rate_limits';

/** The points are never refused here: who asks compares them with its quota. */
const noQuota = 2_000_000_000;

/** Rows that one statement of the sweep removes: short locks, also after a flood of addresses. */
const sweepRows = 5_000;

const addTo =
  (limiter: RateLimiterAbstract): CounterStore['add'] =>
  async (key, points, windowSeconds) => {
    const result = await limiter.penalty(key, points, { customDuration: windowSeconds });
    return { used: result.consumedPoints, resetMs: Math.max(result.msBeforeNext, 1) };
  };

export function createPostgresStore(db: Db): CounterStore {
  // Through the connections that there are, as a client of one method.
  const query = async ({ text, values }: { text: string; values: unknown[] }) => ({
    rows: (await db.executeQuery(CompiledQuery.raw(text, values))).rows,
  });
  const limiter = new RateLimiterPostgres({
    storeClient: { query },
    storeType: 'client',
    tableName: table,
    // The table is made by a migration: the application's role may not make one.
    tableCreated: true,
    clearExpiredByTimeout: false,
    keyPrefix: prefix,
    points: noQuota,
    duration: 60,
  });
  return {
    kind: 'postgresql',
    add: addTo(limiter),
    async sweep(now) {
      for (let removed = 0; ; ) {
        const { numAffectedRows } = await sql`
          delete from rate_limits where key in (
            select key from rate_limits where expire <= ${now}::bigint limit ${sweepRows} for update skip locked
          )`.execute(db);
        removed += Number(numAffectedRows ?? 0n);
        if (Number(numAffectedRows ?? 0n) < sweepRows) return removed;
      }
    },
  };
}

export function createRedisStore(redis: Redis): CounterStore {
  const limiter = new RateLimiterRedis({
    storeClient: redis,
    rejectIfRedisNotReady: true,
    keyPrefix: `guildhall:${prefix}`,
    points: noQuota,
    duration: 60,
  });
  return {
    kind: 'redis',
    add: addTo(limiter),
    // Redis forgets them itself.
    sweep: async () => 0,
  };
}
