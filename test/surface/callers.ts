/** Whoever may come to a route, as the headers of a request: each role, and credentials that are none any more. */
import { randomBytes } from 'node:crypto';
import { newId } from '../../src/base/ids.ts';
import { createApiKey } from '../../src/features/identity/api-keys.ts';
import { hashOf } from '../../src/features/identity/credentials.ts';
import { type Role, roles, scopes } from '../../src/features/identity/permissions.ts';
import { openSession } from '../../src/features/identity/sessions.ts';
import { type Db, transact } from '../../src/platform/db/db.ts';
import type { Actor } from '../../src/platform/journal/facts.ts';

export type Headers = Record<string, string>;
const bearer = (token: string): Headers => ({ authorization: `Bearer ${token}` });

export interface Member {
  memberId: string;
  userId: string;
  headers: Headers;
}

/** A member of that role, with a key that takes nothing away from it. */
export function addMember(db: Db, actor: Actor, role: Role, now: Date, name: string = role): Promise<Member> {
  return transact(db, async tx => {
    const userId = newId('usr');
    const memberId = newId('mem');
    await tx
      .insertInto('users')
      .values({ id: userId, name, email: `${memberId}@surface.test`, created_at: now, updated_at: now })
      .execute();
    await tx
      .insertInto('members')
      .values({
        id: memberId,
        organization_id: actor.organizationId,
        user_id: userId,
        name,
        role,
        created_at: now,
      })
      .execute();
    const { key } = await createApiKey(
      tx,
      actor,
      now,
      { memberId },
      { name, scopes: [...scopes], expiresAt: null },
    );
    return { memberId, userId, headers: bearer(key) };
  });
}

/** One of each role. */
export async function addMembers(db: Db, actor: Actor, now: Date): Promise<Map<Role, Member>> {
  const members = new Map<Role, Member>();
  for (const role of roles) members.set(role, await addMember(db, actor, role, now));
  return members;
}

/** A browser's session of a member. @returns the headers without the CSRF token, and that token. */
export async function addSession(
  db: Db,
  url: string,
  member: Member,
  now: Date,
): Promise<{ headers: Headers; csrfToken: string }> {
  const origin = { method: 'link', address: '127.0.0.1', userAgent: 'walk' };
  const { token } = await transact(db, tx => openSession(tx, now, member, origin));
  const headers = { cookie: `guildhall_session=${token}` };
  const response = await fetch(`${url}/api/v1/me`, { headers });
  const { csrf_token } = (await response.json()) as { csrf_token: string };
  return { headers, csrfToken: csrf_token };
}

/** Credentials that look right and are not, or not any more: each must be like none at all. */
export async function badCredentials(
  db: Db,
  actor: Actor,
  now: Date,
  runToken: string,
): Promise<Map<string, Headers>> {
  const owner = await addMember(db, actor, 'owner', now, 'bad');
  const keyOf = (memberId: string, name: string, expiresAt: Date | null = null) =>
    transact(db, tx => createApiKey(tx, actor, now, { memberId }, { name, scopes: [...scopes], expiresAt }));
  const expired = await keyOf(owner.memberId, 'expired', new Date(now.getTime() + 60_000));
  const revoked = await keyOf(owner.memberId, 'revoked');
  const gone = await addMember(db, actor, 'owner', now, 'gone');
  const past = new Date(now.getTime() - 60_000);
  await db.updateTable('api_keys').set({ expires_at: past }).where('id', '=', expired.id).execute();
  await db.updateTable('api_keys').set({ revoked_at: past }).where('id', '=', revoked.id).execute();
  await db.updateTable('members').set({ deactivated_at: past }).where('id', '=', gone.memberId).execute();
  const session = newId('ses');
  const token = `ghs_${randomBytes(32).toString('base64url')}`;
  await db
    .insertInto('sessions')
    .values({
      id: session,
      user_id: owner.userId,
      member_id: owner.memberId,
      token_hash: hashOf(token),
      created_at: past,
      updated_at: past,
      expires_at: past,
    })
    .execute();
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const claims = {
    sub: `member:${owner.memberId}`,
    org: actor.organizationId,
    exp: 4_000_000_000,
    iat: 1_700_000_000,
  };
  return new Map<string, Headers>([
    ['an unknown key', bearer(`ghk_${randomBytes(32).toString('base64url')}`)],
    ['a key in another case', bearer(revoked.key.toUpperCase())],
    ['an expired key', bearer(expired.key)],
    ['a revoked key', bearer(revoked.key)],
    ['the key of somebody who left', gone.headers],
    ['a key as a password', { authorization: `Basic ${Buffer.from(`x:${revoked.key}`).toString('base64')}` }],
    ['an expired session', { cookie: `guildhall_session=${token}` }],
    ['an unknown session', { cookie: `guildhall_session=ghs_${randomBytes(32).toString('base64url')}` }],
    ['a key as a cookie', { cookie: `guildhall_session=${expired.key}` }],
    ['an unsigned token', bearer(`${part({ alg: 'none' })}.${part(claims)}.`)],
    [
      'a token that we did not sign',
      bearer(`${part({ alg: 'EdDSA', kid: 'x' })}.${part(claims)}.${'A'.repeat(86)}`),
    ],
    ['half of the token of a run', bearer(runToken.slice(0, -4))],
    ['nothing after Bearer', { authorization: 'Bearer ' }],
  ]);
}
