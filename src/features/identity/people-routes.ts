/** Routes about other people's sign-in: the first admin, links to set a password, ending their sessions, sign-up. */
import { z } from 'zod';
import { idPattern } from '../../base/ids.ts';
import { Problem } from '../../base/problem.ts';
import { type Tx, transact } from '../../platform/db/db.ts';
import { problemResponses } from '../../platform/http/schemas.ts';
import type { Server } from '../../platform/http/server.ts';
import { appendAudit } from '../../platform/journal/facts.ts';
import { actorOf, principalOf } from './access.ts';
import { bootstrapAdmin } from './first-admin.ts';
import type { Installation } from './installation.ts';
import { requireHolds } from './members.ts';
import type { Principal } from './principal.ts';
import { endSessions, openSession, originOf, setSessionCookie } from './sessions.ts';
import { createSignInLink, setPasswordByLink } from './sign-in-links.ts';
import {
  emailField,
  newPasswordField,
  publicSignIn,
  type SignInRouteDeps,
  signedIn,
  signUpClosed,
} from './sign-in-routes.ts';
import { createUser, joinOrganization, setPassword } from './users.ts';

const memberId = z.strictObject({ id: z.string().regex(idPattern('mem')) });
const linkPath = z.string().describe('On this server; the token is in the fragment, which is never sent.');

export interface PeopleRouteDeps extends SignInRouteDeps {
  installation: Installation;
}

export function peopleRoutes(server: Server, deps: PeopleRouteDeps): void {
  const { db, clock } = deps;
  const now = () => new Date(clock.now());

  server.post(
    '/api/v1/bootstrap',
    {
      config: { permission: 'installation.manage' },
      schema: {
        tags: ['sign-in'],
        summary: 'Make the first admin; refused when there is one',
        body: z.strictObject({
          email: emailField,
          name: z.string().trim().min(1).max(100).optional(),
          password: newPasswordField.optional().describe('Without one, a link to set it is answered.'),
        }),
        response: { 200: z.object({ path: linkPath.nullable() }), ...problemResponses },
      },
    },
    async request => {
      const { email, name = null, password = null } = request.body;
      const actor = actorOf(request);
      const admin = { email, name, password };
      const made = await transact(db, tx => bootstrapAdmin(tx, actor, now(), deps.installation, admin)).catch(
        async error => {
          if (error instanceof Problem)
            await transact(db, tx => appendAudit(tx, actor, now(), 'admin.bootstrap', null, 'refused'));
          throw error;
        },
      );
      return { path: made.token === null ? null : `/set-password#${made.token}` };
    },
  );

  server.post(
    '/api/v1/members/:id/password-links',
    {
      config: { permission: 'member.manage' },
      schema: {
        tags: ['members'],
        summary: 'Make a one-time link with which a member sets a new password; hand it over yourself',
        params: memberId,
        response: { 200: z.object({ path: linkPath }), ...problemResponses },
      },
    },
    async request => {
      const actor = actorOf(request);
      const token = await transact(db, async tx => {
        await requireOwnPerson(tx, principalOf(request), request.params.id);
        return createSignInLink(tx, actor, now(), request.params.id, 'set_password');
      });
      return { path: `/set-password#${token}` };
    },
  );

  server.delete(
    '/api/v1/members/:id/sessions',
    {
      config: { permission: 'member.manage' },
      schema: {
        tags: ['members'],
        summary: 'End all sessions of a member, on all servers at once',
        params: memberId,
        response: { 200: z.object({ ended: z.number().int() }), ...problemResponses },
      },
    },
    async request => {
      const actor = actorOf(request);
      // Sessions are of people, not of an organization: the application's own transactions do not see them.
      const ended = await transact(db, async tx => {
        const { user_id: userId } = await readMember(tx, actor.organizationId, request.params.id);
        return userId === null ? 0 : endSessions(tx, actor, now(), { userId });
      });
      return { ended };
    },
  );

  server.post(
    '/api/v1/auth/set-password',
    {
      config: publicSignIn,
      schema: {
        tags: ['sign-in'],
        summary: 'Set a password with the token of a one-time link; sessions of before end',
        body: z.strictObject({ token: z.string().min(1).max(200), password: newPasswordField }),
        response: { 200: z.object({ changed: z.literal(true) }), ...problemResponses },
      },
    },
    async request => {
      const { token, password } = request.body;
      await transact(db, tx => setPasswordByLink(tx, now(), token, password, request.id));
      return { changed: true as const };
    },
  );

  server.post(
    '/api/v1/auth/sign-up',
    {
      config: publicSignIn,
      schema: {
        tags: ['sign-in'],
        summary: 'Make an account without access, where the operator has opened that; and be signed in',
        body: z.strictObject({
          name: z.string().trim().min(1).max(100),
          email: emailField,
          password: newPasswordField,
        }),
        response: { 200: signedIn, ...problemResponses },
      },
    },
    async (request, reply) => {
      if (!deps.openSignUp) throw signUpClosed();
      const { name, email, password } = request.body;
      const { organizationId } = deps.installation;
      const session = await transact(db, async tx => {
        const userId = await createUser(tx, now(), { name, email, emailVerified: false });
        await setPassword(tx, now(), { id: userId, name, email }, password);
        const place = { organizationId, role: 'none' as const, by: 'anonymous', requestId: request.id };
        const joined = await joinOrganization(tx, now(), { id: userId, name }, place);
        const opened = await openSession(
          tx,
          now(),
          { userId, memberId: joined },
          originOf(request, 'sign-up'),
        );
        const actor = { id: `member:${joined}`, organizationId, requestId: request.id };
        const data = { method: 'sign-up', user: userId };
        await appendAudit(tx, actor, now(), 'session.create', opened.id, 'ok', data);
        return opened;
      });
      setSessionCookie(request, reply, session);
      return { signed_in: true as const };
    },
  );
}

async function readMember(tx: Tx, organizationId: string, id: string) {
  const member = await tx
    .selectFrom('members')
    .select(['user_id', 'role'])
    .where('id', '=', id)
    .where('organization_id', '=', organizationId)
    .executeTakeFirst();
  if (member) return member;
  throw new Problem('missing', 'member_missing', 'There is no such member.');
}

/**
 * Whoever can set somebody's password can be them, in every organization: an admin may only where the person is a
 * member of theirs alone, and of owners only an owner.
 */
async function requireOwnPerson(tx: Tx, principal: Principal, id: string): Promise<void> {
  const { organizationId } = principal.actor;
  const member = await readMember(tx, organizationId, id);
  // Whoever sets the password of somebody can be them: that must not be more than they are.
  requireHolds(principal, member.role);
  if (member.user_id === null) return;
  const elsewhere = await tx
    .selectFrom('members')
    .select('id')
    .where('user_id', '=', member.user_id)
    .where('organization_id', '<>', organizationId)
    .where('role', '<>', 'none')
    .executeTakeFirst();
  if (elsewhere)
    throw new Problem(
      'forbidden',
      'person_shared',
      'This person is a member of another organization too: they reset their password themselves, or the operator does.',
    );
}
