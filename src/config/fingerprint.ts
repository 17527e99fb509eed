/**
 * What may be shown of a secret: a fingerprint, the same for the same secret everywhere, from which nobody gets back
 * to it. Slow on purpose (scrypt): somebody who has the fingerprint of a weak password cannot try millions.
 */
import { scryptSync } from 'node:crypto';

/** 12 characters: 72 bits, enough to tell secrets apart. */
export function fingerprintOf(secret: string): string {
  return scryptSync(secret, 'guildhall.fingerprint.1', 9, { N: 16_384, r: 8, p: 1 }).toString('base64url');
}

/** The secret within a setting: of an address its password, without one nothing; of a list each. */
export function secretsIn(value: string): string[] {
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(value)) {
    const password = passwordOf(value);
    return password === null ? [] : [password];
  }
  return value
    .split(',')
    .map(part => part.trim())
    .filter(part => part !== '');
}

/** The password in an address, decoded; null without one. Lists of hosts, which `URL` does not know, work too. */
export function passwordOf(address: string): string | null {
  const authority = /^[a-z][a-z0-9+.-]*:\/\/([^/?#]*)/i.exec(address)?.[1] ?? '';
  const user = authority.slice(0, Math.max(0, authority.lastIndexOf('@')));
  const raw = user.includes(':') ? user.slice(user.indexOf(':') + 1) : '';
  const inQuery = /[?&]password=([^&#]*)/.exec(address)?.[1] ?? '';
  const found = raw || inQuery;
  if (found === '') return null;
  try {
    return decodeURIComponent(found);
  } catch {
    return found;
  }
}

/** An address as it may be shown: no user, no password, no query. */
export function withoutCredentials(address: string): string {
  return address.replace(/^([a-z][a-z0-9+.-]*:\/\/)[^/?#]*@/i, '$1').replace(/\?.*$/, '');
}
