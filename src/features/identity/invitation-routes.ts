/** Routes of invitations: for admins to make and withdraw, for the invited to look at and accept. */
import { z } from 'zod';
import { idPattern } from '../../base/ids.ts';
import { hours } from '../../base/time.ts';
import { type Tenants, transact } from '../../platform/db/db.ts';
import type { Row } from '../../platform/db/schema.ts';
import {
  cursorQuery,
  pageOf,
  problemResponses,
  time,
  timeOrNull,
  toPage,
} from '../../platform/http/schemas.ts';
import type { Server } from '../../platform/http/server.ts';
import { write } from '../../platform/http/write.ts';
import { appendAudit } from '../../platform/journal/facts.ts';
import { actorOf, principalOf } from './access.ts';
import { personOf } from './account-routes.ts';
import {
  acceptAsNewPerson,
  acceptAsUser,
  invite,
  listInvitations,
  readInvitation,
  revokeInvitation,
} from './invitations.ts';
import { requireHolds } from './members.ts';
import { roles } from './permissions.ts';
import { openSession, originOf, setSessionCookie } from './sessions.ts';
import {
  emailField,
  newPasswordField,
  publicSignIn,
  type SignInRouteDeps,
  signedIn,
} from './sign-in-routes.ts';

const invitation = z
  .object({
    id: z.string(),
    email: z.string(),
    role: z.enum(roles),
    invited_by: z.string(),
    created_at: z.string(),
    expires_at: z.string(),
    accepted_at: z.string().nullable(),
    revoked_at: z.string().nullable(),
  })
  .meta({ id: 'Invitation' });

const show = (row: Row<'invitations'>): z.output<typeof invitation> => ({
  id: row.id,
  email: row.email,
  role: row.role,
  invited_by: row.invited_by,
  created_at: time(row.created_at),
  expires_at: time(row.expires_at),
  accepted_at: timeOrNull(row.accepted_at),
  revoked_at: timeOrNull(row.revoked_at),
});

const token = z.string().min(1).max(200);

export function invitationRoutes(server: Server, deps: SignInRouteDeps & { tenants: Tenants }): void {
  const { db, tenants, clock } = deps;
  const now = () => new Date(clock.now());

  server.get(
    '/api/v1/invitations',
    {
      config: { permission: 'member.read' },
      schema: {
        tags: ['members'],
        summary: 'Invitations, newest first',
        querystring: cursorQuery,
        response: { 200: pageOf(invitation), ...problemResponses },
      },
    },
    async request => {
      const actor = actorOf(request);
      const { cursor: before, limit } = request.query;
      const rows = await tenants.within(actor, tx =>
        listInvitations(tx, actor, { before, limit: limit + 1 }),
      );
      const page = toPage(rows, limit);
      return { ...page, items: page.items.map(show) };
    },
  );

  server.post(
    '/api/v1/invitations',
    {
      config: { permission: 'member.manage' },
      schema: {
        tags: ['members'],
        summary: 'Invite somebody; the link is shown this once, hand it over yourself',
        body: z.strictObject({
          email: emailField,
          role: z.enum(roles).default('developer'),
          expires_in_hours: z.number().int().min(1).max(720).default(72),
        }),
        response: {
          200: z.object({
            invitation,
            path: z.string().describe('On this server; the token is in the fragment, which is never sent.'),
          }),
          ...problemResponses,
        },
      },
    },
    async request => {
      const actor = actorOf(request);
      const { email, role, expires_in_hours: life } = request.body;
      requireHolds(principalOf(request), role);
      // Not through `write`: the answer holds a secret, which must not be stored for a replay.
      const made = await tenants.within(actor, tx =>
        invite(tx, actor, now(), { email, role, lifeMs: hours(life) }),
      );
      return { invitation: show(made.invitation), path: `/invitation#${made.token}` };
    },
  );

  server.delete(
    '/api/v1/invitations/:id',
    {
      config: { permission: 'member.manage' },
      schema: {
        tags: ['members'],
        summary: 'Withdraw an invitation',
        params: z.strictObject({ id: z.string().regex(idPattern('inv')) }),
        response: { 200: z.object({ revoked: z.literal(true) }), ...problemResponses },
      },
    },
    async request => {
      const actor = actorOf(request);
      return write(tenants, actor, now(), request, async tx => {
        await revokeInvitation(tx, actor, now(), request.params.id);
        return { revoked: true as const };
      });
    },
  );

  server.post(
    '/api/v1/auth/invitation',
    {
      config: publicSignIn,
      schema: {
        tags: ['sign-in'],
        summary: 'What an invitation offers',
        body: z.strictObject({ token }),
        response: {
          200: z.object({
            organization: z.string(),
            email: z.string(),
            role: z.enum(roles),
            account_exists: z.boolean().describe('Sign in with that account first, then accept.'),
          }),
          ...problemResponses,
        },
      },
    },
    async request => {
      const offer = await transact(db, tx => readInvitation(tx, now(), request.body.token));
      const { organization, email, role } = offer;
      return { organization, email, role, account_exists: offer.accountExists };
    },
  );

  server.post(
    '/api/v1/auth/invitation/accept',
    {
      config: publicSignIn,
      schema: {
        tags: ['sign-in'],
        summary: 'Accept an invitation with a new account, and be signed in',
        body: z.strictObject({ token, name: z.string().trim().min(1).max(100), password: newPasswordField }),
        response: { 200: signedIn, ...problemResponses },
      },
    },
    async (request, reply) => {
      const { token: given, name, password } = request.body;
      const origin = originOf(request, 'invitation');
      const session = await transact(db, async tx => {
        const made = await acceptAsNewPerson(tx, now(), given, { name, password }, request.id);
        const opened = await openSession(tx, now(), made, origin);
        const actor = {
          id: `member:${made.memberId}`,
          organizationId: made.organizationId,
          requestId: request.id,
        };
        const data = { method: origin.method, user: made.userId };
        await appendAudit(tx, actor, now(), 'session.create', opened.id, 'ok', data);
        return opened;
      });
      setSessionCookie(request, reply, session);
      return { signed_in: true as const };
    },
  );

  server.post(
    '/api/v1/invitations/accept',
    {
      config: { signedIn: true, limit: 'login' },
      schema: {
        tags: ['members'],
        summary: 'Accept an invitation with the account that you are signed in with',
        body: z.strictObject({ token }),
        response: { 200: z.object({ organization_id: z.string() }), ...problemResponses },
      },
    },
    async request => {
      const { userId } = personOf(request);
      const place = await transact(db, tx => acceptAsUser(tx, now(), request.body.token, userId, request.id));
      return { organization_id: place.organizationId };
    },
  );
}
