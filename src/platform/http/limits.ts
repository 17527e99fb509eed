/**
 * Limits on requests: before it is known who asks, their address; afterwards the user in the class of the route, the
 * key and the organization. Who is over a limit is answered 429 with the time to wait; requests of a class say how
 * much of it is left (https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/).
 */
import { createHash } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { LimitClass, LimitName } from '../../base/limits.ts';
import { Problem } from '../../base/problem.ts';
import { type Limiter, type Verdict, windowSeconds } from '../limits/limiter.ts';
import { addressOf } from './address.ts';
import type { Server } from './server.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What requests to it are counted as; by default `read` or `write` by the method. `none`: not at all. */
    limit?: LimitClass;
    /** Of the class `login`: what names the account; by default an e-mail address or a token in the body. */
    accountOf?(request: FastifyRequest): string | null;
  }
}

/** Who makes a request, as far as counting needs it. */
export interface Counted {
  user: string;
  organizationId: string;
  apiKeyId: string | null;
  isAgent: boolean;
}

/** Counts by address. To be called before the hook that finds out who asks. */
export function limitAddresses(server: Server, limiter: Limiter): void {
  const count = async (reply: FastifyReply, counted: [LimitName, string][]) => {
    for (const [name, subject] of counted) {
      const verdict = limiter.take(name, subject);
      requireRoom(reply, verdict instanceof Promise ? await verdict : verdict);
    }
  };
  server.addHook('onRequest', async (request, reply) => {
    const { limit, url } = request.routeOptions.config;
    if (limit === 'none') return;
    const address = addressOf(request);
    const counted: [LimitName, string][] = [
      ['address', address],
      ['global', 'all'],
    ];
    if (limit === 'login') counted.push(['login_address', address]);
    if (limit === 'webhook') counted.push(['webhook', `${address} ${url}`]);
    await count(reply, counted);
  });
  // With the body, which names the account.
  const countAccount = async (request: FastifyRequest, reply: FastifyReply) => {
    const account = accountOf(request);
    if (account === null) return;
    const verdict = await limiter.take('login', `${addressOf(request)} ${account}`);
    show(reply, verdict);
    requireRoom(reply, verdict);
  };
  server.addHook('onRoute', route => {
    if (route.config?.limit === 'login')
      route.preHandler = [countAccount, ...[route.preHandler ?? []].flat()];
  });
}

/** Counts by who asks; `who` is null for requests of nobody. To be called after the hook that finds it out. */
export function limitPrincipals(
  server: Server,
  limiter: Limiter,
  who: (request: FastifyRequest) => Counted | null,
): void {
  server.addHook('onRequest', async (request, reply) => {
    const counted = who(request);
    if (!counted) return;
    const name = nameOf(request, counted);
    if (name === null) return;
    // Who is signed in may guess a password or a code no oftener than who is not.
    const subject = name === 'login' ? `${counted.user} ${request.routeOptions.url}` : counted.user;
    const first = limiter.take(name, subject);
    const verdict = first instanceof Promise ? await first : first;
    show(reply, verdict);
    requireRoom(reply, verdict);
    if (counted.apiKeyId !== null) {
      const ofKey = limiter.take('key', counted.apiKeyId);
      requireRoom(reply, ofKey instanceof Promise ? await ofKey : ofKey);
    }
    const ofAll = limiter.take('organization', counted.organizationId);
    requireRoom(reply, ofAll instanceof Promise ? await ofAll : ofAll);
  });
}

function nameOf(request: FastifyRequest, counted: Counted): LimitName | null {
  const { limit } = request.routeOptions.config;
  if (limit === 'none' || limit === 'webhook') return null;
  if (limit !== undefined) return limit;
  if (counted.isAgent) return 'agent';
  return ['GET', 'HEAD', 'OPTIONS'].includes(request.method) ? 'read' : 'write';
}

/** Fields that name an account, in the order in which they are looked for. */
const accountFields = ['email', 'username', 'account', 'token'] as const;

/**
 * The account that somebody tries to sign in to; null when the request names none (a passkey): then only its address
 * is counted, which many people may share. Hashed: counters hold no e-mail addresses and no tokens.
 */
function accountOf(request: FastifyRequest): string | null {
  const found = request.routeOptions.config.accountOf?.(request) ?? accountInBody(request.body);
  if (found === null) return null;
  return createHash('sha256').update(found.trim().toLowerCase()).digest('base64url').slice(0, 22);
}

function accountInBody(body: unknown): string | null {
  if (body === null || typeof body !== 'object') return null;
  const values = accountFields.map(field => (body as Record<string, unknown>)[field]);
  return values.find(value => typeof value === 'string') ?? null;
}

/** A window is told in whole seconds, never less than is left of it. */
const secondsOf = (milliseconds: number): number => Math.max(Math.ceil(milliseconds / 1_000), 1);

function show(reply: FastifyReply, { name, quota, remaining, resetMs }: Verdict): void {
  reply.header('ratelimit-policy', `"${name}";q=${quota};w=${windowSeconds}`);
  reply.header('ratelimit', `"${name}";r=${remaining};t=${secondsOf(resetMs)}`);
}

const sentences: Partial<Record<LimitName, string>> = {
  login: 'tries to sign in to this account',
  login_address: 'tries to sign in from this address',
  stream: 'connects to live events',
  agent: 'requests of this agent',
  key: 'requests with this key',
  organization: 'requests of this organization',
  address: 'requests from this address',
  global: 'requests to this server',
};

function requireRoom(reply: FastifyReply, verdict: Verdict): void {
  if (!verdict.allowed) show(reply, verdict);
  requireTaken(verdict);
}

/** @throws Problem `rate_limited`. */
export function requireTaken(verdict: Verdict): void {
  if (verdict.allowed) return;
  const wait = secondsOf(verdict.resetMs);
  const what = sentences[verdict.name] ?? `requests of the class ${verdict.name}`;
  throw new Problem(
    'exhausted',
    'rate_limited',
    `More than ${verdict.quota} ${what} in a minute. Try again in ${wait} s.`,
    { retryAfterSeconds: wait, detail: { limit: verdict.name, quota: verdict.quota } },
  );
}
