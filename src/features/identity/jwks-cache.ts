/**
 * Public keys of an issuer elsewhere. They are asked for when there are none, when those at hand are old, and when a
 * token names one that is not among them; but not more often than twice a minute, whatever tokens come in.
 */
import { createLocalJWKSet, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose';
import { type Clock, minutes, seconds } from '../../base/time.ts';

const lifeMs = minutes(10);
const pauseMs = seconds(30);
const timeLimitMs = 5_000;
const bytesMost = 256 * 1024;

export class JwksCache {
  readonly #url: string;
  readonly #clock: Clock;
  #keys: JSONWebKeySet | null = null;
  #readAt = Number.NEGATIVE_INFINITY;
  #triedAt = Number.NEGATIVE_INFINITY;
  #reading: Promise<void> | null = null;

  constructor(url: string, clock: Clock) {
    this.#url = url;
    this.#clock = clock;
  }

  /** The keys, for a token that was signed with the key of this id. @throws when there never were any. */
  async keysFor(kid: string | undefined): Promise<JWTVerifyGetKey> {
    const known = this.#keys?.keys.some(key => key.kid === kid) ?? false;
    if (!known || this.#clock.now() - this.#readAt >= lifeMs) await this.#refresh();
    if (!this.#keys) throw new Error(`no keys could be had from ${this.#url}`);
    return createLocalJWKSet(this.#keys);
  }

  async #refresh(): Promise<void> {
    if (!this.#reading) {
      if (this.#clock.now() - this.#triedAt < pauseMs) return;
      this.#triedAt = this.#clock.now();
      this.#reading = this.#read().finally(() => {
        this.#reading = null;
      });
    }
    await this.#reading;
  }

  /** A failed read leaves the keys that are at hand, until they are needed for longer than they live. */
  async #read(): Promise<void> {
    try {
      const response = await fetch(this.#url, {
        headers: { accept: 'application/json' },
        redirect: 'error',
        signal: AbortSignal.timeout(timeLimitMs),
      });
      if (response.status !== 200) throw new Error(`it answered ${response.status}`);
      const keys = JSON.parse(await readText(response)) as JSONWebKeySet;
      createLocalJWKSet(keys);
      this.#keys = keys;
      this.#readAt = this.#clock.now();
    } catch {
      if (this.#clock.now() - this.#readAt >= lifeMs) this.#keys = null;
    }
  }
}

async function readText(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body ?? []) {
    length += chunk.length;
    if (length > bytesMost) throw new Error('its answer is too long');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
