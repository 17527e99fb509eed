/**
 * The bridge to the library that checks credentials. Routes call one of its paths; what comes back is a session of
 * ours, a second step, or a problem. The library never sees more of a request than it needs: its own short-lived
 * cookies, and for somebody who is signed in their session, signed here. Its session cookie is exchanged for ours.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { createHmac } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { newId } from '../../base/ids.ts';
import { messageOf } from '../../base/problem.ts';
import type { SignInProvider } from '../../base/sign-in-provider.ts';
import { type Clock, minutes } from '../../base/time.ts';
import { type Db, transact } from '../../platform/db/db.ts';
import { appendAudit } from '../../platform/journal/facts.ts';
import { hashOf } from './credentials.ts';
import { type ProviderState, ProviderStates } from './provider-states.ts';
import {
  newSessionToken,
  type OpenedSession,
  originOf,
  type SessionOrigin,
  sessionLifeMs,
  sessionTokenOf,
  sweepSessions,
} from './sessions.ts';
import {
  createLibrary,
  type Library,
  libraryCookiePrefix,
  libraryPath,
  type NewSessionFields,
} from './sign-in-library.ts';
import { requireOwnOrigin } from './sign-in-origin.ts';
import { ensureMembership } from './users.ts';

export interface SignInOptions {
  db: Db;
  clock: Clock;
  secret: string;
  publicUrl: string | null;
  providers: readonly SignInProvider[];
  /** Where people who come by a provider are put, without access. */
  installationId: string;
  log(level: 'debug' | 'info' | 'warn' | 'error', message: string): void;
}

/** A request to the library. */
export interface LibraryCall {
  method?: 'GET' | 'POST';
  /** Below its own root, e.g. `/sign-in/email`. */
  path: string;
  body?: Record<string, unknown>;
  query?: Record<string, string>;
  /** How the person proves who they are, for the list of sessions. */
  by: string;
  /** Whether it is made for the person who is signed in. */
  signedIn?: boolean;
}

export interface LibraryAnswer {
  status: number;
  body: Record<string, unknown>;
  /** Its own word for what went wrong, in lower case. */
  fault: string | null;
  /** Where it sends the browser. */
  location: URL | null;
  /** A session that it opened; its cookie is not yet set. */
  session: OpenedSession | null;
}

export interface SignIn extends Disposable {
  call(request: FastifyRequest, reply: FastifyReply, call: LibraryCall): Promise<LibraryAnswer>;
  /** Providers with what keeps each from being used; asks again those that did not answer. */
  providers(): Promise<ProviderState[]>;
  /** What tells one sign-in that waits for its second step from another. */
  pendingOf(request: FastifyRequest): string | null;
  /** Address that this request reached us at, e.g. `https://guildhall.example`. */
  originOf(request: FastifyRequest): string;
}

/** Rows that one sweep removes at most: more than come in between two of them on a busy server. */
const sweptAtOnce = 10_000;

interface UnderWay {
  origin: SessionOrigin;
  requestId: string;
  opened: Map<string, OpenedSession>;
}

export function openSignIn(options: SignInOptions): SignIn {
  const { db, clock, publicUrl } = options;
  const underWay = new AsyncLocalStorage<UnderWay>();
  const https = publicUrl?.startsWith('https://') ?? false;
  let library: Promise<Library> | null = null;
  const states = new ProviderStates(options.providers, () => {
    library = null;
  });
  void states.ask();
  const sweeper = setInterval(() => {
    transact(db, tx => sweepSessions(tx, new Date(clock.now()), sweptAtOnce)).catch(error =>
      options.log('warn', `what has expired could not be removed: ${messageOf(error)}`),
    );
  }, minutes(10)).unref();

  /** Gives a session that the library is about to store our token, our times and where it comes from. */
  async function beforeSession(userId: string): Promise<NewSessionFields> {
    const call = underWay.getStore();
    if (!call) throw new Error('the library opened a session outside of a call');
    const now = new Date(clock.now());
    const { token, hash } = newSessionToken();
    const expiresAt = new Date(now.getTime() + sessionLifeMs);
    await transact(db, tx => ensureMembership(tx, now, userId, options.installationId, call.requestId));
    call.opened.set(hash, { token, expiresAt });
    const { address, userAgent, method } = call.origin;
    return { token: hash, expiresAt, createdAt: now, ipAddress: address, userAgent, method };
  }

  async function afterJoin(userId: string, provider: string): Promise<void> {
    const requestId = underWay.getStore()?.requestId ?? newId('req');
    const actor = { id: 'anonymous', organizationId: options.installationId, requestId };
    await transact(db, tx =>
      appendAudit(tx, actor, new Date(clock.now()), 'account.join_provider', userId, 'ok', { provider }),
    );
  }

  const current = (): Promise<Library> => {
    library ??= makeLibrary().catch(error => {
      library = null;
      throw error;
    });
    return library;
  };

  async function makeLibrary(): Promise<Library> {
    const { secret, log } = options;
    const made = await createLibrary({
      ...{ db, secret, publicUrl, https, log, beforeSession, afterJoin },
      providers: states.ready,
    });
    // It leaves out, without a word, a provider that it could not take up.
    for (const { id } of states.ready) {
      if (!made.providers.includes(id)) states.fail(id, 'its description could not be used');
    }
    return made;
  }

  const originOfRequest = (request: FastifyRequest): string =>
    publicUrl ? new URL(publicUrl).origin : `http://${request.host}`;

  return {
    originOf: originOfRequest,
    pendingOf: request => request.cookies[libraryCookie(https, 'two_factor')] ?? null,
    async call(request, reply, call) {
      const origin = originOfRequest(request);
      requireOwnOrigin(request, origin);
      const store: UnderWay = {
        origin: originOf(request, call.by),
        requestId: request.id,
        opened: new Map(),
      };
      const { handler } = await current();
      const url = new URL(`${libraryPath}${call.path}`, origin);
      for (const [name, value] of Object.entries(call.query ?? {})) url.searchParams.set(name, value);
      const method = call.method ?? 'POST';
      const asked = new Request(url, {
        method,
        headers: {
          origin,
          cookie: cookiesFor(request, call.signedIn === true ? options.secret : null, https),
          ...(method === 'POST' ? { 'content-type': 'application/json' } : {}),
        },
        ...(method === 'POST' ? { body: JSON.stringify(call.body ?? {}) } : {}),
      });
      const response = await underWay.run(store, () => handler(asked));
      const session = passCookies(response, reply, store.opened, https);
      const body = await readBody(response);
      const location = response.headers.get('location');
      return {
        status: response.status,
        body,
        fault: typeof body.code === 'string' ? body.code.toLowerCase() : null,
        location: location ? URL.parse(location, origin) : null,
        session,
      };
    },
    providers: async () => {
      if (states.states.some(state => state.fault)) await Promise.race([states.ask(), pause(3_000)]);
      // What the library cannot take up turns out only when it is made.
      await current().catch(error => options.log('error', messageOf(error)));
      return states.states;
    },
    [Symbol.dispose]: () => {
      clearInterval(sweeper);
      states[Symbol.dispose]();
    },
  };
}

const pause = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms).unref());

const libraryCookie = (https: boolean, name = ''): string =>
  `${https ? '__Secure-' : ''}${libraryCookiePrefix}.${name}`;

/** The library's own cookies of the browser, and the session of the person as the library would have signed it. */
function cookiesFor(request: FastifyRequest, secret: string | null, https: boolean): string {
  const prefix = libraryCookie(https);
  const session = libraryCookie(https, 'session_token');
  const own = Object.entries(request.cookies).filter(
    ([name]) => name.startsWith(prefix) && name !== session,
  ) as [string, string][];
  const token = secret === null ? null : sessionTokenOf(request);
  if (secret !== null && token !== null) {
    const hash = hashOf(token);
    own.push([session, `${hash}.${createHmac('sha256', secret).update(hash).digest('base64')}`]);
  }
  return own.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join('; ');
}

/** Hands the library's short-lived cookies on to the browser. @returns the session that it set a cookie for. */
function passCookies(
  response: Response,
  reply: FastifyReply,
  opened: Map<string, OpenedSession>,
  https: boolean,
): OpenedSession | null {
  const session = libraryCookie(https, 'session_token');
  const kept = ['two_factor', 'state', 'better-auth-passkey'].map(name => libraryCookie(https, name));
  let found: OpenedSession | null = null;
  for (const cookie of response.headers.getSetCookie()) {
    const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(cookie) ?? [];
    if (name === session) found = opened.get(decodeURIComponent(value).split('.')[0] ?? '') ?? null;
    else if (kept.includes(name)) reply.header('set-cookie', cookie);
  }
  return found;
}

async function readBody(response: Response): Promise<Record<string, unknown>> {
  const text = await response.text();
  if (text === '' || !response.headers.get('content-type')?.includes('json')) return {};
  const body: unknown = JSON.parse(text);
  return Array.isArray(body) ? { items: body } : ((body as Record<string, unknown> | null) ?? {});
}
