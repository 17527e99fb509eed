/**
 * Access: finds the principal of each request and refuses who may not. Browsers send the session cookie and, to
 * write, the CSRF token; programs send `Authorization: Bearer ghk_…`. Credentials are never read from a URL.
 */
import type { FastifyRequest } from 'fastify';
import { Problem } from '../../base/problem.ts';
import type { Clock } from '../../base/time.ts';
import type { Db } from '../../platform/db/db.ts';
import type { Server } from '../../platform/http/server.ts';
import type { Actor } from '../../platform/journal/facts.ts';
import { authenticateKey } from './api-keys.ts';
import { sameToken } from './credentials.ts';
import { type Principal, roleScopes } from './principal.ts';
import { findSession } from './sessions.ts';

declare module 'fastify' {
  interface FastifyRequest {
    principal: Principal | null;
  }
}

/** Guards every route that is not declared public. */
export function guard(server: Server, db: Db, clock: Clock): void {
  server.decorateRequest('principal', null);
  server.addHook('onRequest', async request => {
    const route = request.routeOptions.config;
    if (request.is404 || route.public) return;
    const principal = await findPrincipal(request, db, new Date(clock.now()));
    if (!principal) {
      throw new Problem(
        'unauthenticated',
        'sign_in_required',
        'Sign in first, or send an API key as `Authorization: Bearer ghk_…`.',
      );
    }
    const writes = !['GET', 'HEAD', 'OPTIONS'].includes(request.method);
    if (writes && principal.csrfToken !== null) requireCsrfToken(request, principal.csrfToken);
    const needed = route.scope ?? (writes ? 'write' : 'read');
    if (!principal.scopes.includes(needed)) {
      throw new Problem(
        'forbidden',
        'scope_missing',
        `This needs the scope ${needed}, which you do not hold.`,
      );
    }
    request.principal = principal;
  });
}

async function findPrincipal(request: FastifyRequest, db: Db, now: Date): Promise<Principal | null> {
  const header = request.headers.authorization;
  if (header !== undefined) {
    const key = /^Bearer (ghk_[A-Za-z0-9_-]{20,100})$/.exec(header)?.[1];
    return key ? authenticateKey(db, now, key, request.id) : null;
  }
  const session = await findSession(db, now, request);
  if (!session?.memberId) return null;
  const member = await db
    .selectFrom('members')
    .select(['id', 'name', 'role', 'organization_id'])
    .where('id', '=', session.memberId)
    .executeTakeFirst();
  if (!member) return null;
  const { organization_id: organizationId, ...who } = member;
  return {
    actor: { id: `member:${who.id}`, organizationId, requestId: request.id },
    member: who,
    scopes: roleScopes[who.role],
    csrfToken: session.csrfToken,
    apiKeyId: null,
  };
}

/** Whether the credential of a request that is still being answered may go on reading. */
export async function mayStillRead(request: FastifyRequest, db: Db, clock: Clock): Promise<boolean> {
  const principal = await findPrincipal(request, db, new Date(clock.now()));
  return principal?.scopes.includes('read') ?? false;
}

function requireCsrfToken(request: FastifyRequest, expected: string): void {
  const given = request.headers['x-csrf-token'];
  if (typeof given === 'string' && sameToken(given, expected)) return;
  throw new Problem(
    'forbidden',
    'csrf_token_missing',
    'Repeat the csrf_token of /api/v1/me in the header x-csrf-token.',
  );
}

/** The principal of a guarded route. */
export function principalOf(request: FastifyRequest): Principal {
  if (!request.principal) throw new Problem('unauthenticated', 'sign_in_required', 'Sign in first.');
  return request.principal;
}

export const actorOf = (request: FastifyRequest): Actor => principalOf(request).actor;
