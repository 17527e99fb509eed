/** A small cache with a time to live and a bound on its entries; the oldest entry makes room. */
import type { Clock } from './time.ts';

export class Cache<V> {
  readonly #clock: Clock;
  readonly #lifeMs: number;
  readonly #most: number;
  readonly #entries = new Map<string, { value: Promise<V>; at: number }>();

  constructor(clock: Clock, lifeMs: number, most: number) {
    this.#clock = clock;
    this.#lifeMs = lifeMs;
    this.#most = most;
  }

  forget(key: string): void {
    this.#entries.delete(key);
  }

  /** The value under a key, read when it is not there or too old. A failed read is not kept. */
  get(key: string, read: () => Promise<V>): Promise<V> {
    const now = this.#clock.now();
    const found = this.#entries.get(key);
    if (found && now - found.at < this.#lifeMs) return found.value;
    const value = read();
    this.#entries.delete(key);
    if (this.#entries.size >= this.#most) {
      const oldest = this.#entries.keys().next();
      if (!oldest.done) this.#entries.delete(oldest.value);
    }
    this.#entries.set(key, { value, at: now });
    value.catch(() => this.#entries.delete(key));
    return value;
  }
}
