/** Routes of sessions: who am I, signing in by a one-time link, signing out. */
import { z } from 'zod';
import type { Clock } from '../../base/time.ts';
import { type Db, transact } from '../../platform/db/db.ts';
import { problemResponses } from '../../platform/http/schemas.ts';
import type { Server } from '../../platform/http/server.ts';
import { actorOf, memberOf, principalOf } from './access.ts';
import { permissions, scopes } from './permissions.ts';
import { maySomewhere, requireWhole } from './principal.ts';
import { clearSessionCookie, endSession, findSession, originOf, setSessionCookie } from './sessions.ts';
import { createSignInLink, signInByLink } from './sign-in-links.ts';

const me = z
  .object({
    member: z
      .object({ id: z.string(), name: z.string(), role: z.string() })
      .describe('Who asks: a member, a service account (`svc_…`) or an agent (`agt_…`).'),
    organization_id: z.string(),
    scopes: z.array(z.enum(scopes)),
    permissions: z.array(z.enum(permissions)).describe('What the caller may do, on some project at least.'),
    csrf_token: z.string().nullable().describe('Repeat it in `x-csrf-token` on writes; null for API keys.'),
  })
  .meta({ id: 'Me' });

export function sessionRoutes(server: Server, deps: { db: Db; clock: Clock }): void {
  const { db, clock } = deps;
  const now = () => new Date(clock.now());

  server.post(
    '/api/v1/sign-in',
    {
      config: { public: true, limit: 'login' },
      schema: {
        tags: ['identity'],
        summary: 'Trade the token of a one-time link for a session cookie',
        body: z.strictObject({ token: z.string().min(1).max(200) }),
        response: { 200: z.object({ signed_in: z.literal(true) }), ...problemResponses },
      },
    },
    async (request, reply) => {
      const origin = originOf(request, 'link');
      const session = await transact(db, tx =>
        signInByLink(tx, now(), request.body.token, request.id, origin),
      );
      setSessionCookie(request, reply, session);
      return { signed_in: true as const };
    },
  );

  server.post(
    '/api/v1/sign-out',
    {
      schema: {
        tags: ['identity'],
        summary: 'End this session',
        response: { 200: z.object({ signed_out: z.literal(true) }), ...problemResponses },
      },
      config: { signedIn: true },
    },
    async (request, reply) => {
      const session = await findSession(db, now(), request);
      if (session) {
        const of = { userId: session.userId, sessionId: session.id };
        await transact(db, tx => endSession(tx, actorOf(request), now(), of));
      }
      clearSessionCookie(request, reply);
      return { signed_out: true as const };
    },
  );

  server.get(
    '/api/v1/me',
    {
      config: { signedIn: true, agents: true },
      schema: {
        tags: ['identity'],
        summary: 'Who the caller is',
        response: { 200: me, ...problemResponses },
      },
    },
    async request => {
      const principal = principalOf(request);
      return {
        member: { id: principal.subject.id, name: principal.subject.name, role: principal.subject.role },
        organization_id: principal.actor.organizationId,
        scopes: principal.scopes,
        permissions: permissions.filter(permission => maySomewhere(principal, permission)),
        csrf_token: principal.csrfToken,
      };
    },
  );

  server.post(
    '/api/v1/sign-in-links',
    {
      config: { permission: 'key.own' },
      schema: {
        tags: ['identity'],
        summary: 'Make a one-time sign-in link for yourself',
        response: {
          200: z.object({
            path: z
              .string()
              .describe('Open it on this server: the token is in the fragment, which is never sent.'),
          }),
          ...problemResponses,
        },
      },
    },
    async request => {
      const principal = principalOf(request);
      requireWhole(principal);
      const token = await transact(db, tx =>
        createSignInLink(tx, principal.actor, now(), memberOf(request).id),
      );
      return { path: `/sign-in#${token}` };
    },
  );
}
