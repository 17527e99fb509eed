/**
 * Access: finds the principal of each request and refuses who may not. Browsers send the session cookie and, to
 * write, the CSRF token; programs send `Authorization: Bearer …` with an API key, a token made from one, or a token of
 * an issuer that is trusted. Credentials are never read from an address. What a route needs is `config.permission`;
 * whether that holds for the project in question is asked by its handler (`requireMay`, `inProjects`).
 */
import type { FastifyRequest, RouteOptions } from 'fastify';
import { Problem } from '../../base/problem.ts';
import type { Clock } from '../../base/time.ts';
import type { Db } from '../../platform/db/db.ts';
import type { Server } from '../../platform/http/server.ts';
import type { Actor } from '../../platform/journal/facts.ts';
import { sameToken } from './credentials.ts';
import { type Denials, openDenials } from './denials.ts';
import { type Finding, findKeyOwner, findMember, findMembership } from './find-principal.ts';
import type { Permission } from './permissions.ts';
import {
  isNarrowedOnly,
  isWithoutAccess,
  maySomewhere,
  type Principal,
  permissionMissing,
} from './principal.ts';
import { findRunOfToken } from './run-tokens.ts';
import { findSession, sessionTokenOf } from './sessions.ts';

declare module 'fastify' {
  interface FastifyRequest {
    principal: Principal | null;
  }
  interface FastifyContextConfig {
    /** What the caller must be allowed: on some project at least, where it is a permission of projects. */
    permission?: Permission;
    /** Whoever is signed in may: asking who one is, signing out. */
    signedIn?: boolean;
    /** Whether an agent may come here with the token of its run. */
    agents?: boolean;
  }
}

/** Turns a signed token into the principal it stands for; null when it is not to be believed. */
export type ReadToken = (finding: Finding, token: string) => Promise<Principal | null>;

export interface AccessDeps {
  db: Db;
  clock: Clock;
  /** The organization that the deployment was installed with. */
  installationId: string;
  readToken: ReadToken;
}

export interface Access {
  /** Who is behind a request that is still being answered, now; null when they may not read events any more. */
  findReader(request: FastifyRequest): Promise<Principal | null>;
}

/** Guards every route that is not declared public. */
export function guard(server: Server, deps: AccessDeps): Access {
  const denials = openDenials(deps.db, deps.clock);
  server.decorateRequest('principal', null);
  requireDeclarations(server);
  server.addHook('onRequest', async request => {
    refuseCredentialInUrl(request);
    const route = request.routeOptions.config;
    if (request.is404 || route.public) return;
    const principal = await authenticate(request, deps, denials);
    try {
      admit(request, principal);
    } catch (error) {
      if (error instanceof Problem) await denials.record(request, principal.actor, error);
      throw error;
    }
    request.principal = principal;
  });
  return {
    findReader: async request => {
      const principal = await findPrincipal(request, deps);
      return principal && !principal.run && maySomewhere(principal, 'event.read') ? principal : null;
    },
  };
}

/** A route that does not say who may come does not start. */
function requireDeclarations(server: Server): void {
  const routes: RouteOptions[] = [];
  server.addHook('onRoute', route => void routes.push(route));
  server.addHook('onReady', async () => {
    const silent = routes.filter(({ config }) => !config?.public && !config?.signedIn && !config?.permission);
    if (silent.length === 0) return;
    throw new Error(`routes without a permission: ${silent.map(r => `${r.method} ${r.url}`).join(', ')}`);
  });
}

/** Names under which credentials turn up in addresses, which end in logs, histories and referrers. */
const credentialNames = new Set([
  'token',
  'access_token',
  'id_token',
  'api_key',
  'apikey',
  'api-key',
  'key',
  'auth',
  'authorization',
  'jwt',
  'password',
  'secret',
  'client_secret',
  'session',
]);

function refuseCredentialInUrl(request: FastifyRequest): void {
  const query = request.raw.url?.split('?').slice(1).join('?');
  if (!query) return;
  for (const name of new URLSearchParams(query).keys()) {
    if (!credentialNames.has(name.toLowerCase())) continue;
    throw new Problem(
      'invalid',
      'credential_in_url',
      'Credentials do not belong in an address: it ends in logs. Send it as `Authorization: Bearer …`, and replace this one.',
      { status: 400 },
    );
  }
}

async function authenticate(request: FastifyRequest, deps: AccessDeps, denials: Denials): Promise<Principal> {
  const principal = await findPrincipal(request, deps);
  if (principal) return principal;
  const problem = new Problem(
    'unauthenticated',
    'sign_in_required',
    'Sign in first, or send an API key as `Authorization: Bearer ghk_…`.',
  );
  if (request.headers.authorization !== undefined || sessionTokenOf(request) !== null) {
    const actor = { id: 'anonymous', organizationId: deps.installationId, requestId: request.id };
    await denials.record(request, actor, problem);
  }
  throw problem;
}

async function findPrincipal(request: FastifyRequest, deps: AccessDeps): Promise<Principal | null> {
  const { db, installationId } = deps;
  const finding = { db, now: new Date(deps.clock.now()), requestId: request.id, installationId };
  const header = request.headers.authorization;
  const principal =
    header === undefined ? await bySession(request, finding) : await byHeader(header, finding, deps);
  // Programs belong to one organization: naming another one is a mistake that must not pass unnoticed.
  const wanted = request.headers['x-organization'];
  return principal && wanted !== undefined && wanted !== principal.actor.organizationId ? null : principal;
}

async function byHeader(header: string, finding: Finding, deps: AccessDeps): Promise<Principal | null> {
  const token = /^Bearer ([A-Za-z0-9_.-]{20,8000})$/.exec(header)?.[1];
  if (!token) return null;
  if (/^ghk_[A-Za-z0-9_-]{20,100}$/.test(token)) return findKeyOwner(finding, token);
  if (/^ghr_[A-Za-z0-9_-]{20,100}$/.test(token)) return findRunOfToken(finding, token);
  return token.split('.').length === 3 ? deps.readToken(finding, token) : null;
}

/** The member that a session is for; with `x-organization` the same person in another of their organizations. */
async function bySession(request: FastifyRequest, finding: Finding): Promise<Principal | null> {
  const session = await findSession(finding.db, finding.now, request);
  if (!session) return null;
  const { id, userId, csrfToken } = session;
  const wanted = request.headers['x-organization'];
  const memberId =
    typeof wanted === 'string' && wanted !== session.organizationId
      ? await findMembership(finding.db, userId, wanted)
      : session.memberId;
  return memberId ? findMember(finding, memberId, { session: { id, userId }, csrfToken }) : null;
}

/** @throws Problem when the principal may not come to this route. */
function admit(request: FastifyRequest, principal: Principal): void {
  const route = request.routeOptions.config;
  if (principal.run && !route.agents) {
    throw new Problem(
      'forbidden',
      'agent_not_admitted',
      'The token of a run is good for its own task only, and this is not part of that.',
    );
  }
  const writes = !['GET', 'HEAD', 'OPTIONS'].includes(request.method);
  if (writes && principal.csrfToken !== null) requireCsrfToken(request, principal.csrfToken);
  if (route.signedIn) return;
  if (isWithoutAccess(principal)) {
    throw new Problem(
      'forbidden',
      'no_access',
      'You are signed in, but have no access yet. Ask somebody who manages members for a role.',
    );
  }
  if (route.permission === undefined) throw new Problem('bug', 'route_unguarded', 'This route says nothing.');
  requirePermission(principal, route.permission);
}

function requirePermission(principal: Principal, permission: Permission): void {
  if (maySomewhere(principal, permission)) return;
  if (!isNarrowedOnly(principal, permission)) throw permissionMissing(permission);
  throw new Problem(
    'forbidden',
    'scope_missing',
    `This needs the permission ${permission}: you hold it, but this credential does not.`,
    { detail: { permission } },
  );
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

/** The member of a guarded route that only people have a use for. @throws Problem `members_only`. */
export function memberOf(request: FastifyRequest): NonNullable<Principal['member']> {
  const { member } = principalOf(request);
  if (member) return member;
  throw new Problem('forbidden', 'members_only', 'This is for members: programs have no use for it.');
}
