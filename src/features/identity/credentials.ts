/**
 * Credentials of our own making: 256 random bits with a prefix that tells their kind. Of each only its SHA-256 is
 * stored: what is that random gains nothing from a slow hash.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';

export const hashOf = (token: string): string => createHash('sha256').update(token).digest('hex');

/** @param prefix `ghk` API key, `ghl` sign-in link, `ghs` session, `ghi` invitation. */
export const newToken = (prefix: string): string => `${prefix}_${randomBytes(32).toString('base64url')}`;

/** Compares in constant time. */
export function sameToken(a: string, b: string): boolean {
  const left = createHash('sha256').update(a).digest();
  const right = createHash('sha256').update(b).digest();
  return timingSafeEqual(left, right);
}
