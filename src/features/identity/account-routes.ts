/** Routes of one's own account: password, sessions, joining a provider. Everybody has them, whatever their role. */
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { idPattern } from '../../base/ids.ts';
import { Problem } from '../../base/problem.ts';
import { transact } from '../../platform/db/db.ts';
import { problemResponses, time } from '../../platform/http/schemas.ts';
import type { Server } from '../../platform/http/server.ts';
import { appendAudit } from '../../platform/journal/facts.ts';
import { actorOf, principalOf } from './access.ts';
import { verifyPassword } from './passwords.ts';
import { clearSessionCookie, endSession, endSessions, listSessions } from './sessions.ts';
import { problemOf } from './sign-in-faults.ts';
import { emailField, newPasswordField, type SignInRouteDeps } from './sign-in-routes.ts';
import { emailTaken, findPasswordHash, findUserByEmail, setPassword } from './users.ts';

const account = z
  .object({
    name: z.string(),
    email: z.string().nullable().describe('Null for an owner whom nobody has claimed yet.'),
    has_password: z.boolean(),
    second_factor: z.boolean(),
    providers: z.array(z.string()).describe('Outside providers that are joined to this account.'),
  })
  .meta({ id: 'Account' });

const session = z
  .object({
    id: z.string(),
    current: z.boolean(),
    method: z.string().describe('How the person signed in.'),
    address: z.string().nullable(),
    user_agent: z.string().nullable(),
    created_at: z.string(),
    expires_at: z.string(),
  })
  .meta({ id: 'Session' });

/** Guessing the password or a code of somebody whose browser stands open is counted like signing in. */
export const guarded = {
  signedIn: true,
  limit: 'login',
  accountOf: (request: FastifyRequest) => request.principal?.session?.userId ?? null,
} as const;

/** The person and session of a request. @throws Problem `session_needed` for programs. */
export function personOf(request: FastifyRequest): { id: string; userId: string } {
  const found = principalOf(request).session;
  if (found) return found;
  throw new Problem(
    'forbidden',
    'session_needed',
    'This belongs to a person who is signed in in a browser; a key has none of it.',
  );
}

export function accountRoutes(server: Server, deps: SignInRouteDeps): void {
  const { db, clock, signIn } = deps;
  const now = () => new Date(clock.now());
  const userOf = (userId: string) =>
    db.selectFrom('users').selectAll().where('id', '=', userId).executeTakeFirstOrThrow();

  server.get(
    '/api/v1/account',
    {
      config: { signedIn: true },
      schema: {
        tags: ['account'],
        summary: 'Your account: how you can sign in',
        response: { 200: account, ...problemResponses },
      },
    },
    async request => {
      const { userId } = personOf(request);
      const user = await userOf(userId);
      const accounts = await db
        .selectFrom('accounts')
        .select(['provider_id', 'password_hash'])
        .where('user_id', '=', userId)
        .execute();
      return {
        name: user.name,
        email: user.email,
        has_password: accounts.some(a => a.password_hash !== null),
        second_factor: user.second_factor === true,
        providers: accounts.filter(a => a.provider_id !== 'credential').map(a => a.provider_id),
      };
    },
  );

  server.post(
    '/api/v1/account/password',
    {
      config: guarded,
      schema: {
        tags: ['account'],
        summary: 'Set or change your password; all your other sessions end',
        body: z.strictObject({
          current_password: z.string().max(1_000).optional().describe('Needed when there is one.'),
          new_password: newPasswordField,
          email: emailField.optional().describe('Needed when your account has no address yet.'),
        }),
        response: { 200: z.object({ changed: z.literal(true) }), ...problemResponses },
      },
    },
    async request => {
      const { id, userId } = personOf(request);
      const { current_password: given, new_password: wanted, email } = request.body;
      const actor = actorOf(request);
      const hash = await findPasswordHash(db, userId);
      if (hash !== null && !(await verifyPassword(hash, given ?? ''))) {
        await transact(db, tx => appendAudit(tx, actor, now(), 'password.change', userId, 'refused'));
        throw new Problem('forbidden', 'password_wrong', 'Your present password is wrong.');
      }
      const user = await userOf(userId);
      const address = user.email ?? email?.toLowerCase();
      if (!address)
        throw new Problem('invalid', 'email_needed', 'Name the e-mail address that you will sign in with.');
      if (email && user.email && email.toLowerCase() !== user.email)
        throw new Problem(
          'invalid',
          'email_fixed',
          'The e-mail address of an account cannot be changed here.',
        );
      await transact(db, async tx => {
        if (!user.email) {
          if (await findUserByEmail(tx, address)) throw emailTaken();
          await tx
            .updateTable('users')
            .set({ email: address, updated_at: now() })
            .where('id', '=', userId)
            .execute();
        }
        await setPassword(tx, now(), { ...user, email: address }, wanted);
        await appendAudit(tx, actor, now(), 'password.change', userId, 'ok');
        await endSessions(tx, actor, now(), { userId, except: id });
      });
      return { changed: true as const };
    },
  );

  server.post(
    '/api/v1/account/providers',
    {
      config: { signedIn: true },
      schema: {
        tags: ['account'],
        summary: 'Begin to join an outside provider to your account: where to send the browser',
        body: z.strictObject({ provider: z.string().regex(/^[a-z][a-z0-9-]{0,39}$/) }),
        response: { 200: z.object({ url: z.string() }), ...problemResponses },
      },
    },
    async (request, reply) => {
      personOf(request);
      const { provider } = request.body;
      await signIn.providers();
      const answer = await signIn.call(request, reply, {
        path: '/link-social',
        body: { provider, callbackURL: '/account', errorCallbackURL: '/account', disableRedirect: true },
        by: `provider ${provider}`,
        signedIn: true,
      });
      if (answer.status >= 400) throw problemOf(answer);
      return { url: String(answer.body.url) };
    },
  );

  server.get(
    '/api/v1/sessions',
    {
      config: { signedIn: true },
      schema: {
        tags: ['account'],
        summary: 'Your sessions, newest first',
        response: { 200: z.object({ items: z.array(session) }), ...problemResponses },
      },
    },
    async request => {
      const { id, userId } = personOf(request);
      const rows = await listSessions(db, now(), userId);
      return {
        items: rows.map(row => ({
          id: row.id,
          current: row.id === id,
          method: row.method,
          address: row.ip_address,
          user_agent: row.user_agent,
          created_at: time(row.created_at),
          expires_at: time(row.expires_at),
        })),
      };
    },
  );

  server.delete(
    '/api/v1/sessions/:id',
    {
      config: { signedIn: true },
      schema: {
        tags: ['account'],
        summary: 'End one of your sessions',
        params: z.strictObject({ id: z.string().regex(idPattern('ses')) }),
        response: { 200: z.object({ ended: z.literal(true) }), ...problemResponses },
      },
    },
    async request => {
      const { userId } = personOf(request);
      const of = { userId, sessionId: request.params.id };
      await transact(db, tx => endSession(tx, actorOf(request), now(), of));
      return { ended: true as const };
    },
  );

  server.post(
    '/api/v1/sessions/end-all',
    {
      config: { signedIn: true },
      schema: {
        tags: ['account'],
        summary: 'Sign out everywhere, here too',
        response: { 200: z.object({ ended: z.number().int() }), ...problemResponses },
      },
    },
    async (request, reply) => {
      const { userId } = personOf(request);
      const ended = await transact(db, tx => endSessions(tx, actorOf(request), now(), { userId }));
      clearSessionCookie(request, reply);
      return { ended };
    },
  );
}
