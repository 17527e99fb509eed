/**
 * One-time links: they sign a member in, or let them set a password. Whoever holds one is believed, once and for half
 * an hour, so an admin hands them over in person or by a channel of trust; Guildhall sends no mail yet.
 */
import { Problem } from '../../base/problem.ts';
import { minutes } from '../../base/time.ts';
import type { Tx } from '../../platform/db/db.ts';
import type { Row } from '../../platform/db/schema.ts';
import { type Actor, appendAudit } from '../../platform/journal/facts.ts';
import { hashOf, newToken } from './credentials.ts';
import { endSessions, type OpenedSession, openSession, type SessionOrigin } from './sessions.ts';
import { setPassword, userOfMember } from './users.ts';

export const signInLinkLifeMs = minutes(30);

type Purpose = Row<'sign_in_links'>['purpose'];

/** @returns the token of a link that works once, within 30 minutes. */
export async function createSignInLink(
  tx: Tx,
  actor: Actor,
  now: Date,
  memberId: string,
  purpose: Purpose = 'sign_in',
): Promise<string> {
  const token = newToken('ghl');
  await tx
    .insertInto('sign_in_links')
    .values({
      token_hash: hashOf(token),
      organization_id: actor.organizationId,
      member_id: memberId,
      purpose,
      created_at: now,
      expires_at: new Date(now.getTime() + signInLinkLifeMs),
    })
    .execute();
  await appendAudit(tx, actor, now, 'sign_in_link.create', memberId, 'ok', { purpose });
  return token;
}

/** The member whom a link is for, when it still holds; it is used up. */
async function redeemLink(tx: Tx, now: Date, token: string, purpose: Purpose): Promise<Row<'sign_in_links'>> {
  const link = await tx
    .updateTable('sign_in_links')
    .set({ used_at: now })
    .where('token_hash', '=', hashOf(token))
    .where('purpose', '=', purpose)
    .where('used_at', 'is', null)
    .where('expires_at', '>', now)
    .returningAll()
    .executeTakeFirst();
  if (link) return link;
  throw new Problem(
    'unauthenticated',
    purpose === 'sign_in' ? 'sign_in_link_invalid' : 'password_link_invalid',
    purpose === 'sign_in'
      ? 'This sign-in link was used before, has expired, or is not one of ours. `guildhall login --link` prints a new one.'
      : 'This link was used before, has expired, or is not one of ours. An admin can make a new one.',
  );
}

/** Trades a link's token for a session. @throws Problem `sign_in_link_invalid`. */
export async function signInByLink(
  tx: Tx,
  now: Date,
  token: string,
  requestId: string,
  origin: SessionOrigin,
): Promise<OpenedSession> {
  const link = await redeemLink(tx, now, token, 'sign_in');
  const userId = await userOfMember(tx, now, link.member_id);
  const session = await openSession(tx, now, { userId, memberId: link.member_id }, origin);
  const actor = { id: `member:${link.member_id}`, organizationId: link.organization_id, requestId };
  await appendAudit(tx, actor, now, 'session.create', session.id, 'ok', {
    method: origin.method,
    user: userId,
  });
  return session;
}

/**
 * Sets the password that a link allows, and ends every session of before: who asks for a new password may have lost
 * the old one to somebody. A second factor stays. @throws Problem `password_link_invalid`, `password_…`.
 */
export async function setPasswordByLink(
  tx: Tx,
  now: Date,
  token: string,
  password: string,
  requestId: string,
): Promise<void> {
  const link = await redeemLink(tx, now, token, 'set_password');
  const userId = await userOfMember(tx, now, link.member_id);
  const user = await tx
    .selectFrom('users')
    .select(['id', 'name', 'email'])
    .where('id', '=', userId)
    .executeTakeFirstOrThrow();
  await setPassword(tx, now, user, password);
  const actor = { id: `member:${link.member_id}`, organizationId: link.organization_id, requestId };
  await appendAudit(tx, actor, now, 'password.reset', userId, 'ok');
  await endSessions(tx, actor, now, { userId });
}
