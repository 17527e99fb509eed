/**
 * Reads references to secrets, and keeps each value for a moment: new connections and calls ask here every time, so a
 * value that was replaced in its store is in use everywhere within that moment, without a restart. While a store
 * cannot be reached the last value goes on to be used.
 */
import { Problem } from '../../base/problem.ts';
import { type Clock, seconds } from '../../base/time.ts';
import { parseReference, type Scheme, type SecretStore } from './port.ts';
import type { Redactor } from './redactor.ts';

/** How long a value is kept: a revocation is effective within it. */
export const keptMs = seconds(20);

export interface SecretReader extends AsyncDisposable {
  /** @param reference `vault://…` and the like. @throws Problem of the store, when there is no value kept either. */
  read(reference: string): Promise<string>;
  /** The same, looked up now: for who was refused with the value that was kept. */
  readAgain(reference: string): Promise<string>;
}

interface Kept {
  value: Promise<string>;
  at: number;
  /** The last value that came, for when its store is away. */
  last: string | null;
}

export function createSecretReader(
  stores: readonly SecretStore[],
  clock: Clock,
  redactor: Redactor,
): SecretReader {
  const byScheme = new Map<Scheme, SecretStore>(stores.map(store => [store.scheme, store]));
  const kept = new Map<string, Kept>();

  const fetchValue = async (text: string): Promise<string> => {
    const reference = parseReference(text);
    const store = reference && byScheme.get(reference.scheme);
    if (!reference || !store)
      throw new Problem(
        'invalid',
        'secret_store_missing',
        reference
          ? `Nothing is set up for ${reference.scheme}:// references: set ${reference.scheme === 'vault' ? 'VAULT_ADDR and VAULT_TOKEN, or VAULT_ROLE_ID and VAULT_SECRET_ID' : 'AWS_REGION, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY'}.`
          : 'This is no reference to a secret.',
      );
    const value = await store.read(reference);
    redactor.learn(value);
    return value;
  };
  const renew = (text: string): Promise<string> => {
    const last = kept.get(text)?.last ?? null;
    const entry: Kept = { value: Promise.resolve(''), at: clock.now(), last };
    entry.value = fetchValue(text).then(
      value => {
        entry.last = value;
        return value;
      },
      error => {
        const away = error instanceof Problem && error.retryable;
        if (away && last !== null) return last;
        // What is refused or gone is asked for again by the next one.
        if (kept.get(text) === entry) kept.delete(text);
        throw error;
      },
    );
    kept.set(text, entry);
    return entry.value;
  };
  return {
    read(text) {
      const entry = kept.get(text);
      return entry && clock.now() - entry.at < keptMs ? entry.value : renew(text);
    },
    readAgain: renew,
    async [Symbol.asyncDispose]() {
      await Promise.all(stores.map(store => store.close()));
    },
  };
}
