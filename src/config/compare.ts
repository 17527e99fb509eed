/**
 * Two environments side by side, by setting and never by value: what only one of them has, what differs, and secrets
 * that both use, which is how a leak of one becomes a leak of the other.
 */
import { secretsIn, withoutCredentials } from './fingerprint.ts';
import type { Reading } from './read.ts';
import { schema, secretNames, variables } from './settings.ts';

export interface Difference {
  setting: string;
  /** `missing`: only the first sets it; `extra`: only the second; `same_secret`: both use one secret. */
  state: 'same' | 'missing' | 'extra' | 'differs' | 'same_secret';
  secret: boolean;
  /** Whether this keeps the two from being equal where they should be, or apart where they should not. */
  drift: boolean;
}

const isSecret = (name: string): boolean => (secretNames as readonly string[]).includes(name);

/**
 * Every setting that either sets, in the order of the reference. A value that is the default counts as set by both.
 * Secrets are expected to differ, and the public address of two different environments.
 * @param mayDiffer other settings whose values are expected to be different.
 */
export function compareSettings(first: Reading, second: Reading, mayDiffer: readonly string[]): Difference[] {
  const apart = (first.given.GUILDHALL_ENV ?? '') !== (second.given.GUILDHALL_ENV ?? '');
  const expected = new Set([
    ...mayDiffer,
    ...secretNames,
    ...(apart ? ['GUILDHALL_ENV', 'GUILDHALL_PUBLIC_URL'] : []),
  ]);
  return Object.keys(variables)
    .filter(name => name in first.given || name in second.given)
    .map(setting => {
      const state = stateOf(setting, first.given[setting], second.given[setting]);
      const drift = state === 'differs' ? !expected.has(setting) : state !== 'same';
      return { setting, state, secret: isSecret(setting), drift };
    });
}

function stateOf(name: string, a: string | undefined, b: string | undefined): Difference['state'] {
  if (isSecret(name) && a !== undefined && b !== undefined) {
    const secrets = new Set(secretsIn(a));
    if (secretsIn(b).some(secret => secrets.has(secret))) return 'same_secret';
  }
  const [first, second] = [a ?? fallbackOf(name), b ?? fallbackOf(name)];
  if (first === second) return 'same';
  if (second === undefined) return 'missing';
  return first === undefined ? 'extra' : 'differs';
}

const fallbackOf = (name: string): string | undefined => {
  const value: unknown = schema.shape[name as keyof typeof variables].safeParse(undefined).data;
  return value === undefined ? undefined : String(value);
};

/** A setting as it may be shown: secrets only by their fingerprints. */
export interface ShownSetting {
  setting: string;
  /** Null: not set. */
  value: string | null;
  source: 'default' | 'environment' | 'file' | 'unset';
  fingerprints: string[];
}

/** What the server would work with. @param fingerprint of a secret. */
export function showSettings(reading: Reading, fingerprint: (secret: string) => string): ShownSetting[] {
  return Object.keys(variables).map(setting => {
    const given = reading.given[setting];
    const value = given ?? fallbackOf(setting) ?? null;
    const source =
      given !== undefined
        ? setting in reading.files
          ? 'file'
          : 'environment'
        : value === null
          ? 'unset'
          : 'default';
    if (value === null || !isSecret(setting))
      return { setting, value: value === null ? null : withoutCredentials(value), source, fingerprints: [] };
    const secrets = secretsIn(value);
    return { setting, value: shownSecret(value), source, fingerprints: secrets.map(fingerprint) };
  });
}

/** Of an address where it leads, of any other secret nothing. */
const shownSecret = (value: string): string | null =>
  /^[a-z][a-z0-9+.-]*:\/\//i.test(value) ? withoutCredentials(value) : null;
