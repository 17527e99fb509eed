/**
 * Invitations: a place in an organization for whoever holds the link. The token is shown once, to the admin who hands
 * it over. A new person makes their account with it; somebody who has one already accepts while signed in.
 */
import { newId } from '../../base/ids.ts';
import { Problem } from '../../base/problem.ts';
import type { Reader, Tx } from '../../platform/db/db.ts';
import type { Row } from '../../platform/db/schema.ts';
import { type Actor, appendAudit, appendEvent } from '../../platform/journal/facts.ts';
import { hashOf, newToken } from './credentials.ts';
import type { Role } from './permissions.ts';
import { createUser, findUserByEmail, joinOrganization, setPassword } from './users.ts';

/** @returns the invitation and the token of its link; an open one for the same address is withdrawn. */
export async function invite(
  tx: Tx,
  actor: Actor,
  now: Date,
  input: { email: string; role: Role; lifeMs: number },
): Promise<{ invitation: Row<'invitations'>; token: string }> {
  const email = input.email.toLowerCase();
  const member = await tx
    .selectFrom('members as m')
    .innerJoin('users as u', 'u.id', 'm.user_id')
    .where('m.organization_id', '=', actor.organizationId)
    .where('u.email', '=', email)
    .where('m.role', '<>', 'none')
    .select('m.id')
    .executeTakeFirst();
  if (member)
    throw new Problem('conflict', 'member_already', 'Somebody with this address is a member already.');
  await tx
    .updateTable('invitations')
    .set({ revoked_at: now })
    .where('organization_id', '=', actor.organizationId)
    .where('email', '=', email)
    .where('accepted_at', 'is', null)
    .where('revoked_at', 'is', null)
    .execute();
  const token = newToken('ghi');
  const invitation = await tx
    .insertInto('invitations')
    .values({
      id: newId('inv'),
      organization_id: actor.organizationId,
      token_hash: hashOf(token),
      email,
      role: input.role,
      invited_by: actor.id,
      created_at: now,
      expires_at: new Date(now.getTime() + input.lifeMs),
    })
    .returningAll()
    .executeTakeFirstOrThrow();
  await appendAudit(tx, actor, now, 'invitation.create', invitation.id, 'ok', { role: input.role });
  await appendEvent(tx, actor, now, 'invitation.created', {}, { id: invitation.id, role: input.role });
  return { invitation, token };
}

/** Newest first, at most `limit`, older than the invitation `before`. */
export function listInvitations(
  db: Reader,
  actor: Actor,
  page: { before?: string; limit: number },
): Promise<Row<'invitations'>[]> {
  let query = db.selectFrom('invitations').selectAll().where('organization_id', '=', actor.organizationId);
  if (page.before) query = query.where('id', '<', page.before);
  return query.orderBy('id', 'desc').limit(page.limit).execute();
}

/** @throws Problem `invitation_missing`. */
export async function revokeInvitation(tx: Tx, actor: Actor, now: Date, id: string): Promise<void> {
  const revoked = await tx
    .updateTable('invitations')
    .set({ revoked_at: now })
    .where('id', '=', id)
    .where('organization_id', '=', actor.organizationId)
    .where('accepted_at', 'is', null)
    .where('revoked_at', 'is', null)
    .returning('id')
    .executeTakeFirst();
  if (!revoked)
    throw new Problem(
      'missing',
      'invitation_missing',
      'There is no such invitation, or it was accepted or withdrawn already.',
    );
  await appendAudit(tx, actor, now, 'invitation.revoke', id, 'ok');
  await appendEvent(tx, actor, now, 'invitation.revoked', {}, { id });
}

/** An invitation that can still be accepted, locked. @throws Problem `invitation_invalid`. */
async function openInvitation(tx: Tx, now: Date, token: string): Promise<Row<'invitations'>> {
  const found = await tx
    .selectFrom('invitations')
    .selectAll()
    .where('token_hash', '=', hashOf(token))
    .where('accepted_at', 'is', null)
    .where('revoked_at', 'is', null)
    .where('expires_at', '>', now)
    .forUpdate()
    .executeTakeFirst();
  if (found) return found;
  throw new Problem(
    'unauthenticated',
    'invitation_invalid',
    'This invitation was accepted before, withdrawn, has expired, or is not one of ours. Ask for a new one.',
  );
}

export interface Offer {
  organization: string;
  email: string;
  role: Role;
  /** Whether somebody with this address has an account: then they sign in with it first. */
  accountExists: boolean;
}

/** What an invitation offers, for the page that asks whether to accept. */
export async function readInvitation(tx: Tx, now: Date, token: string): Promise<Offer> {
  const { email, role, organization_id: id } = await openInvitation(tx, now, token);
  const { name } = await tx
    .selectFrom('organizations')
    .select('name')
    .where('id', '=', id)
    .executeTakeFirstOrThrow();
  const user = await findUserByEmail(tx, email);
  return { organization: name, email, role, accountExists: user !== undefined };
}

/** A new person takes the place, with a password. @throws Problem `invitation_invalid`, `sign_in_first`, `password_…`. */
export async function acceptAsNewPerson(
  tx: Tx,
  now: Date,
  token: string,
  person: { name: string; password: string },
  requestId: string,
): Promise<{ userId: string; memberId: string; organizationId: string }> {
  const invitation = await openInvitation(tx, now, token);
  const { email } = invitation;
  if (await findUserByEmail(tx, email))
    throw new Problem(
      'conflict',
      'sign_in_first',
      'There is an account with this address: sign in with it, then open the invitation again.',
    );
  // Who holds the link is believed to be invited, not to own the mailbox: no provider is joined to it unasked.
  const userId = await createUser(tx, now, { name: person.name, email, emailVerified: false });
  await setPassword(tx, now, { id: userId, name: person.name, email }, person.password);
  return takePlace(tx, now, invitation, { id: userId, name: person.name }, requestId);
}

/** Somebody who is signed in takes the place; the invitation must be for their address. */
export async function acceptAsUser(
  tx: Tx,
  now: Date,
  token: string,
  userId: string,
  requestId: string,
): Promise<{ userId: string; memberId: string; organizationId: string }> {
  const invitation = await openInvitation(tx, now, token);
  const user = await tx
    .selectFrom('users')
    .select(['id', 'name', 'email'])
    .where('id', '=', userId)
    .executeTakeFirstOrThrow();
  if (user.email !== invitation.email)
    throw new Problem(
      'forbidden',
      'invitation_for_another',
      'This invitation is for another e-mail address than that of your account.',
    );
  return takePlace(tx, now, invitation, user, requestId);
}

async function takePlace(
  tx: Tx,
  now: Date,
  invitation: Row<'invitations'>,
  user: { id: string; name: string },
  requestId: string,
): Promise<{ userId: string; memberId: string; organizationId: string }> {
  const { id, organization_id: organizationId, role } = invitation;
  const place = { organizationId, role, by: invitation.invited_by, requestId };
  const memberId = await joinOrganization(tx, now, user, place);
  await tx
    .updateTable('invitations')
    .set({ accepted_at: now, member_id: memberId })
    .where('id', '=', id)
    .execute();
  const actor = { id: `member:${memberId}`, organizationId, requestId };
  await appendAudit(tx, actor, now, 'invitation.accept', id, 'ok', { role });
  return { userId: user.id, memberId, organizationId };
}
