/**
 * Signing in from another page's form would put its victim into the attacker's account: requests to sign in come from
 * our own page, or from no page at all.
 */
import type { FastifyRequest } from 'fastify';
import { Problem } from '../../base/problem.ts';

/** @param origin the address that this request reached us at. @throws Problem `origin_refused`. */
export function requireOwnOrigin(request: FastifyRequest, origin: string): void {
  if (request.method === 'GET') return;
  const given = request.headers.origin;
  const crossSite = request.headers['sec-fetch-site'] === 'cross-site';
  if ((given === undefined || given === origin) && !crossSite) return;
  throw new Problem(
    'forbidden',
    'origin_refused',
    `Sign in on the page of this server itself: ${origin}. When people reach it by another address, set GUILDHALL_PUBLIC_URL to that.`,
  );
}
