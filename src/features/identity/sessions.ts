/** Sessions of people in browsers, and the one-time links that open them. */
import { randomBytes } from 'node:crypto';
import { Problem } from '../../base/problem.ts';
import { hours, minutes } from '../../base/time.ts';
import type { Db, Tx } from '../../platform/db/db.ts';
import { type Actor, appendAudit } from '../../platform/journal/facts.ts';
import { hashOf, newToken } from './credentials.ts';
import { type Principal, roleScopes } from './principal.ts';

export const signInLinkLifeMs = minutes(30);
export const sessionLifeMs = hours(24 * 14);

/** @returns the token of a link that signs the member in once, within 30 minutes. */
export async function createSignInLink(tx: Tx, actor: Actor, now: Date, memberId: string): Promise<string> {
  const token = newToken('ghl');
  await tx
    .insertInto('sign_in_links')
    .values({
      token_hash: hashOf(token),
      organization_id: actor.organizationId,
      member_id: memberId,
      created_at: now,
      expires_at: new Date(now.getTime() + signInLinkLifeMs),
    })
    .execute();
  await appendAudit(tx, actor, now, 'sign_in_link.create', memberId, 'ok');
  return token;
}

/** Trades a link's token for a session. @throws Problem `sign_in_link_invalid`. */
export async function signIn(
  tx: Tx,
  now: Date,
  token: string,
  requestId: string,
): Promise<{ sessionToken: string; expiresAt: Date }> {
  const link = await tx
    .updateTable('sign_in_links')
    .set({ used_at: now })
    .where('token_hash', '=', hashOf(token))
    .where('used_at', 'is', null)
    .where('expires_at', '>', now)
    .returningAll()
    .executeTakeFirst();
  if (!link) {
    throw new Problem(
      'unauthenticated',
      'sign_in_link_invalid',
      'This sign-in link was used before, has expired, or is not one of ours. `guildhall login --link` prints a new one.',
    );
  }
  const sessionToken = newToken('ghs');
  const expiresAt = new Date(now.getTime() + sessionLifeMs);
  await tx
    .insertInto('sessions')
    .values({
      token_hash: hashOf(sessionToken),
      organization_id: link.organization_id,
      member_id: link.member_id,
      csrf_token: randomBytes(24).toString('base64url'),
      created_at: now,
      expires_at: expiresAt,
    })
    .execute();
  const actor = { id: `member:${link.member_id}`, organizationId: link.organization_id, requestId };
  await appendAudit(tx, actor, now, 'session.create', link.member_id, 'ok');
  return { sessionToken, expiresAt };
}

export async function signOut(tx: Tx, actor: Actor, now: Date, sessionToken: string): Promise<void> {
  await tx
    .updateTable('sessions')
    .set({ revoked_at: now })
    .where('token_hash', '=', hashOf(sessionToken))
    .execute();
  await appendAudit(tx, actor, now, 'session.revoke', null, 'ok');
}

/** The principal behind a session cookie, or null. */
export async function authenticateSession(
  db: Db,
  now: Date,
  token: string,
  requestId: string,
): Promise<Principal | null> {
  const row = await db
    .selectFrom('sessions as s')
    .innerJoin('members as m', 'm.id', 's.member_id')
    .where('s.token_hash', '=', hashOf(token))
    .where('s.revoked_at', 'is', null)
    .where('s.expires_at', '>', now)
    .select(['m.id', 'm.name', 'm.role', 'm.organization_id', 's.csrf_token'])
    .executeTakeFirst();
  if (!row) return null;
  return {
    actor: { id: `member:${row.id}`, organizationId: row.organization_id, requestId },
    member: { id: row.id, name: row.name, role: row.role },
    scopes: roleScopes[row.role],
    csrfToken: row.csrf_token,
    apiKeyId: null,
  };
}
