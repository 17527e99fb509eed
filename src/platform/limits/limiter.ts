/**
 * Limits shared by all replicas without a question to the store for each request: a process takes points in chunks
 * and spends them in memory.
 *
 * Never is more than the quota admitted, since a chunk is points of the shared counter. With R replicas as few as
 * `quota - (R - 1) * chunk` may be, when the others hold a chunk that they do not spend; a restart loses one chunk.
 * A chunk is a twentieth of the quota and an eighth of what is left, at most; a quota up to `exactQuota` is counted
 * one by one, and then request N passes and N + 1 does not, wherever they arrive.
 *
 * When the store does not answer, sign-in is closed (nobody may guess passwords while nobody counts); everything
 * else is counted by each process for itself.
 */
import type { LimitName, Quotas } from '../../base/limits.ts';
import { messageOf, Problem } from '../../base/problem.ts';
import type { Clock } from '../../base/time.ts';
import { BoundedMap } from './bounded.ts';
import type { Count, CounterStore } from './store.ts';

export const windowSeconds = 60;
/** Quotas up to this are counted one by one. */
export const exactQuota = 120;
const chunksPerQuota = 20;
const chunksOfRest = 8;

/** Who is counted here at once; the least recent are forgotten, with what is left of their chunk. */
const mostLeases = 10_000;
/** While the store does not answer. */
const mostLocalCounters = 20_000;
/** How long a request waits for the store, and how long it is left alone after it has failed. */
const storeLimitMs = 5_000;
const storePauseMs = 1_000;

const closedWithoutStore: ReadonlySet<LimitName> = new Set(['login', 'login_address']);

export interface Verdict {
  name: LimitName;
  allowed: boolean;
  quota: number;
  remaining: number;
  resetMs: number;
}

interface Lease {
  /** Points of the shared counter, as last heard. */
  used: number;
  /** Points of ours that are not spent. */
  left: number;
  /** Clock time at which the window ends. */
  resetAt: number;
  filling: Promise<void> | null;
  /** Requests that have no verdict yet. */
  waiting: number;
}

export interface LimiterOptions {
  store: CounterStore;
  clock: Clock;
  quotas: Quotas;
  onOutage(reason: string): void;
}

export class Limiter {
  readonly #options: LimiterOptions;
  readonly #leases = new BoundedMap<Lease>(mostLeases);
  readonly #local = new BoundedMap<{ used: number; resetAt: number }>(mostLocalCounters);
  #pausedUntil = 0;
  #answered = true;

  constructor(options: LimiterOptions) {
    this.#options = options;
  }

  /** How many are kept in memory: for the test that this is bounded. */
  get size(): number {
    return this.#leases.size + this.#local.size;
  }

  /** Whether the store answered when it was last asked. */
  get answered(): boolean {
    return this.#answered;
  }

  /** Whether the store may be asked now. */
  get works(): boolean {
    return this.#options.clock.now() >= this.#pausedUntil;
  }

  /**
   * Counts one request; at once when this process holds points, which is nearly always.
   * @throws Problem `limits_unavailable` when sign-ins cannot be counted.
   */
  take(name: LimitName, subject: string): Verdict | Promise<Verdict> {
    const key = `${name}:${subject}`;
    const quota = this.#options.quotas[name];
    return this.#takeLeased(name, quota, this.#leases.get(key)) ?? this.#takeElsewhere(name, quota, key);
  }

  async #takeElsewhere(name: LimitName, quota: number, key: string): Promise<Verdict> {
    let outage: unknown;
    if (this.works) {
      try {
        return await this.#takeShared(name, quota, key);
      } catch (error) {
        outage = error;
        this.#pause(error);
      }
    }
    if (!closedWithoutStore.has(name)) return this.#takeLocal(name, quota, key);
    throw new Problem(
      'unavailable',
      'limits_unavailable',
      'Signing in is closed while tries cannot be counted. Try again in a moment.',
      { retryAfterSeconds: 2, cause: outage },
    );
  }

  /** From what this process holds; null when the store has to be asked. */
  #takeLeased(name: LimitName, quota: number, lease: Lease | undefined): Verdict | null {
    if (!lease) return null;
    const resetMs = lease.resetAt - this.#options.clock.now();
    if (resetMs <= 0) return null;
    const shared = Math.max(quota - lease.used, 0);
    if (lease.left > 0) {
      lease.left -= 1;
      return { name, allowed: true, quota, remaining: lease.left + shared, resetMs };
    }
    return shared === 0 ? { name, allowed: false, quota, remaining: 0, resetMs } : null;
  }

  async #takeShared(name: LimitName, quota: number, key: string): Promise<Verdict> {
    for (;;) {
      const lease = this.#currentLease(key);
      const verdict = this.#takeLeased(name, quota, lease);
      if (verdict) return verdict;
      lease.waiting += 1;
      try {
        // One question at a time; it asks for all who wait when it is sent.
        lease.filling ??= this.#fill(lease, key, quota).finally(() => {
          lease.filling = null;
        });
        await lease.filling;
      } finally {
        lease.waiting -= 1;
      }
    }
  }

  #currentLease(key: string): Lease {
    const now = this.#options.clock.now();
    const known = this.#leases.get(key);
    if (known && (known.filling || known.resetAt > now)) return known;
    const lease: Lease = { used: 0, left: 0, resetAt: Number.POSITIVE_INFINITY, filling: null, waiting: 0 };
    this.#leases.set(key, lease);
    return lease;
  }

  async #fill(lease: Lease, key: string, quota: number): Promise<void> {
    const rest = Math.floor((quota - lease.used) / chunksOfRest);
    const chunk = quota <= exactQuota ? 1 : Math.min(Math.floor(quota / chunksPerQuota), rest);
    const points = Math.max(chunk, lease.waiting);
    try {
      const { used, resetMs } = await this.#ask(key, points);
      this.#answered = true;
      lease.used = used;
      lease.left += Math.min(points, Math.max(points - (used - quota), 0));
      lease.resetAt = this.#options.clock.now() + resetMs;
    } catch (error) {
      this.#leases.delete(key);
      throw error;
    }
  }

  async #ask(key: string, points: number): Promise<Count> {
    const { promise, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(() => reject(new Error(`no answer within ${storeLimitMs} ms`)), storeLimitMs);
    try {
      return await Promise.race([this.#options.store.add(key, points, windowSeconds), promise]);
    } finally {
      clearTimeout(timer);
    }
  }

  #pause(error: unknown): void {
    this.#answered = false;
    if (!this.works) return;
    this.#pausedUntil = this.#options.clock.now() + storePauseMs;
    this.#options.onOutage(messageOf(error));
  }

  #takeLocal(name: LimitName, quota: number, key: string): Verdict {
    const now = this.#options.clock.now();
    let counter = this.#local.get(key);
    if (!counter || counter.resetAt <= now) {
      counter = { used: 0, resetAt: now + windowSeconds * 1_000 };
      this.#local.set(key, counter);
    }
    counter.used += 1;
    const remaining = Math.max(quota - counter.used, 0);
    return { name, allowed: counter.used <= quota, quota, remaining, resetMs: counter.resetAt - now };
  }

  /** Forgets what is over, here and in the store. @returns how many counters the store has removed. */
  async sweep(): Promise<number> {
    const now = this.#options.clock.now();
    this.#leases.prune(lease => !lease.filling && lease.resetAt <= now);
    this.#local.prune(counter => counter.resetAt <= now);
    return this.#options.store.sweep(now);
  }
}
