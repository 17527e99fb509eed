/**
 * Identifiers: a prefix that names the noun, then 26 characters of Crockford base 32: 48 bits of milliseconds and
 * 80 random bits (the ULID layout, https://github.com/ulid/spec), so that ids sort by age.
 */
import { randomBytes } from 'node:crypto';

const alphabet = '0123456789abcdefghjkmnpqrstvwxyz';

export type IdPrefix =
  | 'org'
  | 'proj'
  | 'team'
  | 'mem'
  | 'svc'
  | 'agt'
  | 'def'
  | 'task'
  | 'run'
  | 'step'
  | 'msg'
  | 'apr'
  | 'chk'
  | 'use'
  | 'prc'
  | 'bud'
  | 'res'
  | 'key'
  | 'sgk'
  | 'art'
  | 'wrk'
  | 'usr'
  | 'ses'
  | 'inv'
  | 'acc'
  | 'psk'
  | 'tfa'
  | 'ver'
  | 'req'
  | 'dl'
  | 'sbx'
  | 'call'
  | 'int'
  | 'sec';

/** A new id, e.g. `task_01jd…`. @param now milliseconds since the epoch. */
export function newId(
  prefix: IdPrefix,
  now: number = Date.now(),
  random: Uint8Array = randomBytes(10),
): string {
  let time = '';
  for (let i = 0, rest = now; i < 10; i++, rest = Math.floor(rest / 32)) time = alphabet[rest % 32] + time;
  let tail = '';
  let bits = 0;
  let buffer = 0;
  for (const byte of random) {
    buffer = (buffer << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      tail += alphabet[(buffer >> bits) & 31];
    }
    buffer &= (1 << bits) - 1;
  }
  return `${prefix}_${time}${tail}`;
}

/** A pattern that accepts ids of the given nouns, for schemas. */
export function idPattern(prefix: IdPrefix): RegExp {
  return new RegExp(`^${prefix}_[0-9a-hjkmnp-tv-z]{26}$`);
}
