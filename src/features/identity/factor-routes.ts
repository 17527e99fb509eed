/** Routes of what strengthens an account: codes of an authenticator app with their backup codes, and passkeys. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { idPattern } from '../../base/ids.ts';
import { Problem } from '../../base/problem.ts';
import { transact } from '../../platform/db/db.ts';
import { problemResponses, timeOrNull } from '../../platform/http/schemas.ts';
import type { Server } from '../../platform/http/server.ts';
import { appendAudit } from '../../platform/journal/facts.ts';
import { actorOf } from './access.ts';
import { guarded, personOf } from './account-routes.ts';
import { setSessionCookie } from './sessions.ts';
import type { LibraryAnswer } from './sign-in.ts';
import { problemOf } from './sign-in-faults.ts';
import { deviceAnswer, deviceQuestion, type SignInRouteDeps } from './sign-in-routes.ts';

const passkey = z
  .object({
    id: z.string(),
    name: z.string().nullable(),
    synced: z.boolean().describe('Whether it is kept by a service of the maker, and so on several devices.'),
    created_at: z.string().nullable(),
  })
  .meta({ id: 'Passkey' });

const withPassword = z.strictObject({ password: z.string().min(1).max(1_000) });
const codes = z.array(z.string()).describe('Each signs in once in place of a code; shown this once.');

export function factorRoutes(server: Server, deps: SignInRouteDeps): void {
  const { db, clock, signIn } = deps;
  const now = () => new Date(clock.now());

  /** Asks the library for the person who is signed in; the change is recorded, and so is a refusal. */
  const change = async (
    request: FastifyRequest,
    reply: FastifyReply,
    action: string,
    call: { method?: 'GET'; path: string; body?: Record<string, unknown>; query?: Record<string, string> },
  ): Promise<LibraryAnswer> => {
    const { userId } = personOf(request);
    const answer = await signIn.call(request, reply, { ...call, by: 'second factor', signedIn: true });
    const outcome = answer.status < 400 ? 'ok' : 'refused';
    await transact(db, tx => appendAudit(tx, actorOf(request), now(), action, userId, outcome));
    if (outcome === 'refused') throw problemOf(answer);
    // Changing the factors gives the person a new session, so that a stolen one of before is worth nothing.
    if (answer.session) setSessionCookie(request, reply, answer.session);
    return answer;
  };

  server.post(
    '/api/v1/account/second-factor',
    {
      config: guarded,
      schema: {
        tags: ['account'],
        summary: 'Begin to set up an authenticator app; it counts once a first code is confirmed',
        body: withPassword,
        response: {
          200: z.object({
            uri: z.string().describe('`otpauth://…`, for a QR code or a link on a phone.'),
            secret: z.string().describe('The same, to type in.'),
            backup_codes: codes,
          }),
          ...problemResponses,
        },
      },
    },
    async (request, reply) => {
      const { password } = request.body;
      const path = '/two-factor/enable';
      const answer = await change(request, reply, 'second_factor.begin', { path, body: { password } });
      const uri = String(answer.body.totpURI);
      return {
        uri,
        secret: new URL(uri).searchParams.get('secret') ?? '',
        backup_codes: answer.body.backupCodes as string[],
      };
    },
  );

  server.post(
    '/api/v1/account/second-factor/confirm',
    {
      config: guarded,
      schema: {
        tags: ['account'],
        summary: 'Confirm the authenticator app with its first code: from now on signing in needs one',
        body: z.strictObject({
          code: z
            .string()
            .trim()
            .regex(/^\d{6}$/),
        }),
        response: { 200: z.object({ on: z.literal(true) }), ...problemResponses },
      },
    },
    async (request, reply) => {
      const { code } = request.body;
      await change(request, reply, 'second_factor.confirm', {
        path: '/two-factor/verify-totp',
        body: { code },
      });
      return { on: true as const };
    },
  );

  server.post(
    '/api/v1/account/second-factor/remove',
    {
      config: guarded,
      schema: {
        tags: ['account'],
        summary: 'Sign in without a second factor again',
        body: withPassword,
        response: { 200: z.object({ on: z.literal(false) }), ...problemResponses },
      },
    },
    async (request, reply) => {
      const { password } = request.body;
      await change(request, reply, 'second_factor.remove', {
        path: '/two-factor/disable',
        body: { password },
      });
      return { on: false as const };
    },
  );

  server.post(
    '/api/v1/account/second-factor/backup-codes',
    {
      config: guarded,
      schema: {
        tags: ['account'],
        summary: 'New backup codes; the ones of before no longer work',
        body: withPassword,
        response: { 200: z.object({ backup_codes: codes }), ...problemResponses },
      },
    },
    async (request, reply) => {
      const { password } = request.body;
      const path = '/two-factor/generate-backup-codes';
      const answer = await change(request, reply, 'second_factor.new_codes', { path, body: { password } });
      return { backup_codes: answer.body.backupCodes as string[] };
    },
  );

  server.get(
    '/api/v1/account/passkeys',
    {
      config: { signedIn: true },
      schema: {
        tags: ['account'],
        summary: 'Your passkeys',
        response: { 200: z.object({ items: z.array(passkey) }), ...problemResponses },
      },
    },
    async request => {
      const { userId } = personOf(request);
      const rows = await db
        .selectFrom('passkeys')
        .select(['id', 'name', 'backed_up', 'created_at'])
        .where('user_id', '=', userId)
        .orderBy('id', 'desc')
        .execute();
      const show = (row: (typeof rows)[number]) => ({
        id: row.id,
        name: row.name,
        synced: row.backed_up,
        created_at: timeOrNull(row.created_at),
      });
      return { items: rows.map(show) };
    },
  );

  server.post(
    '/api/v1/account/passkeys/options',
    {
      config: { signedIn: true },
      schema: {
        tags: ['account'],
        summary: 'Begin to add a passkey: the question for the device',
        response: { 200: deviceQuestion, ...problemResponses },
      },
    },
    async (request, reply) => {
      const path = '/passkey/generate-register-options';
      const answer = await change(request, reply, 'passkey.begin', { method: 'GET', path });
      return answer.body as { challenge: string };
    },
  );

  server.post(
    '/api/v1/account/passkeys',
    {
      config: { signedIn: true },
      schema: {
        tags: ['account'],
        summary: 'Add a passkey with the answer of the device',
        body: z.strictObject({ name: z.string().trim().min(1).max(60), response: deviceAnswer }),
        response: { 200: z.object({ id: z.string() }), ...problemResponses },
      },
    },
    async (request, reply) => {
      const { name, response } = request.body;
      const path = '/passkey/verify-registration';
      const answer = await change(request, reply, 'passkey.add', { path, body: { name, response } });
      return { id: String(answer.body.id) };
    },
  );

  server.delete(
    '/api/v1/account/passkeys/:id',
    {
      config: { signedIn: true },
      schema: {
        tags: ['account'],
        summary: 'Remove a passkey',
        params: z.strictObject({ id: z.string().regex(idPattern('psk')) }),
        response: { 200: z.object({ removed: z.literal(true) }), ...problemResponses },
      },
    },
    async request => {
      const { userId } = personOf(request);
      await transact(db, async tx => {
        const removed = await tx
          .deleteFrom('passkeys')
          .where('id', '=', request.params.id)
          .where('user_id', '=', userId)
          .returning('id')
          .executeTakeFirst();
        if (!removed) throw new Problem('missing', 'passkey_missing', 'There is no such passkey of yours.');
        await appendAudit(tx, actorOf(request), now(), 'passkey.remove', removed.id, 'ok');
      });
      return { removed: true as const };
    },
  );
}
