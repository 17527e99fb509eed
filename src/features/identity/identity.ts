/**
 * Identity: which member or program is behind a request. People sign in once by a link whose token only they have
 * and then hold a session cookie; programs hold API keys. Of every secret only its SHA-256 is stored: they are 256
 * random bits, so a slow hash would add nothing.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { sql } from 'kysely';
import { newId } from '../../base/ids.ts';
import { Problem } from '../../base/problem.ts';
import { hours, minutes } from '../../base/time.ts';
import type { Db, Reader, Tx } from '../../platform/db/db.ts';
import type { Row } from '../../platform/db/schema.ts';
import { type Actor, appendAudit, appendEvent } from '../../platform/journal/facts.ts';

export const scopes = ['read', 'write', 'admin'] as const;
export type Scope = (typeof scopes)[number];

/** Who makes a request and what they may do. */
export interface Principal {
  actor: Actor;
  member: { id: string; name: string; role: Row<'members'>['role'] };
  scopes: Scope[];
  /** Present for browser sessions: writes must repeat it in `x-csrf-token`. */
  csrfToken: string | null;
  apiKeyId: string | null;
}

const roleScopes: Record<Row<'members'>['role'], Scope[]> = {
  owner: ['read', 'write', 'admin'],
  admin: ['read', 'write', 'admin'],
  manager: ['read', 'write'],
  developer: ['read', 'write'],
  viewer: ['read'],
  auditor: ['read'],
  none: [],
};

export const signInLinkLifeMs = minutes(30);
export const sessionLifeMs = hours(24 * 14);

const hash = (token: string): string => createHash('sha256').update(token).digest('hex');
const secret = (prefix: string): string => `${prefix}_${randomBytes(32).toString('base64url')}`;

export interface Installation {
  organizationId: string;
  projectId: string;
  ownerId: string;
}

const installationLock = 7_204_812_118;

/** Makes the first organization, its owner and its first project; later calls find them as they are. */
export async function ensureInstallation(tx: Tx, now: Date): Promise<Installation> {
  // Held to the end of the transaction, in which the first team is made too: of several that start, one makes them.
  await sql`select pg_advisory_xact_lock(${installationLock}::bigint)`.execute(tx);
  const found = await findInstallation(tx);
  if (found) return found;
  const made = { organizationId: newId('org'), projectId: newId('proj'), ownerId: newId('mem') };
  await tx
    .insertInto('organizations')
    .values({ id: made.organizationId, name: 'My organization', created_at: now })
    .execute();
  await tx
    .insertInto('projects')
    .values({ id: made.projectId, organization_id: made.organizationId, name: 'default', created_at: now })
    .execute();
  await tx
    .insertInto('members')
    .values({
      id: made.ownerId,
      organization_id: made.organizationId,
      name: 'Owner',
      role: 'owner',
      created_at: now,
    })
    .execute();
  const actor = { id: 'system', organizationId: made.organizationId, requestId: newId('req') };
  await appendAudit(tx, actor, now, 'organization.create', made.organizationId, 'ok');
  return made;
}

export async function findInstallation(db: Reader): Promise<Installation | null> {
  const row = await db
    .selectFrom('organizations as o')
    .innerJoin('projects as p', 'p.organization_id', 'o.id')
    .innerJoin('members as m', 'm.organization_id', 'o.id')
    .where('m.role', '=', 'owner')
    .select(['o.id as organizationId', 'p.id as projectId', 'm.id as ownerId'])
    .orderBy('o.created_at')
    .orderBy('p.created_at')
    .orderBy('m.created_at')
    .limit(1)
    .executeTakeFirst();
  return row ?? null;
}

/** @returns the token of a link that signs the member in once, within 30 minutes. */
export async function createSignInLink(tx: Tx, actor: Actor, now: Date, memberId: string): Promise<string> {
  const token = secret('ghl');
  await tx
    .insertInto('sign_in_links')
    .values({
      token_hash: hash(token),
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
    .where('token_hash', '=', hash(token))
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
  const sessionToken = secret('ghs');
  const expiresAt = new Date(now.getTime() + sessionLifeMs);
  await tx
    .insertInto('sessions')
    .values({
      token_hash: hash(sessionToken),
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
    .where('token_hash', '=', hash(sessionToken))
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
    .where('s.token_hash', '=', hash(token))
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

/** The principal behind an API key, or null. Notes the time of use, at most once a minute. */
export async function authenticateKey(
  db: Db,
  now: Date,
  key: string,
  requestId: string,
): Promise<Principal | null> {
  const row = await db
    .selectFrom('api_keys as k')
    .innerJoin('members as m', 'm.id', 'k.member_id')
    .where('k.key_hash', '=', hash(key))
    .where('k.revoked_at', 'is', null)
    .where(eb => eb.or([eb('k.expires_at', 'is', null), eb('k.expires_at', '>', now)]))
    .select(['k.id as key_id', 'k.scopes', 'k.last_used_at', 'm.id', 'm.name', 'm.role', 'm.organization_id'])
    .executeTakeFirst();
  if (!row) return null;
  if (!row.last_used_at || now.getTime() - row.last_used_at.getTime() > minutes(1)) {
    await db.updateTable('api_keys').set({ last_used_at: now }).where('id', '=', row.key_id).execute();
  }
  const held = roleScopes[row.role];
  return {
    actor: { id: `member:${row.id}`, organizationId: row.organization_id, requestId },
    member: { id: row.id, name: row.name, role: row.role },
    scopes: held.filter(scope => row.scopes.includes(scope)),
    csrfToken: null,
    apiKeyId: row.key_id,
  };
}

/** Compares in constant time. */
export function sameToken(a: string, b: string): boolean {
  const left = createHash('sha256').update(a).digest();
  const right = createHash('sha256').update(b).digest();
  return timingSafeEqual(left, right);
}

export interface NewApiKey {
  name: string;
  scopes: Scope[];
  expiresAt: Date | null;
}

/** @returns the key itself, shown this once. @throws Problem `scope_not_held` when it would exceed its maker. */
export async function createApiKey(
  tx: Tx,
  actor: Actor,
  now: Date,
  owner: { memberId: string; scopes: readonly Scope[] },
  input: NewApiKey,
): Promise<{ id: string; key: string }> {
  const beyond = input.scopes.filter(scope => !owner.scopes.includes(scope));
  if (beyond.length > 0) {
    throw new Problem(
      'forbidden',
      'scope_not_held',
      `You cannot give a key the scope ${beyond.join(', ')}: you do not hold it.`,
    );
  }
  if (input.expiresAt && input.expiresAt <= now) {
    throw new Problem('invalid', 'expiry_in_past', 'The expiry of the key lies in the past.');
  }
  const id = newId('key');
  const key = secret('ghk');
  await tx
    .insertInto('api_keys')
    .values({
      id,
      organization_id: actor.organizationId,
      member_id: owner.memberId,
      name: input.name,
      prefix: key.slice(0, 10),
      key_hash: hash(key),
      scopes: input.scopes,
      created_at: now,
      expires_at: input.expiresAt,
    })
    .execute();
  await appendAudit(tx, actor, now, 'api_key.create', id, 'ok', { name: input.name, scopes: input.scopes });
  await appendEvent(tx, actor, now, 'api_key.created', {}, { id, name: input.name });
  return { id, key };
}

/** Newest first, at most `limit`, older than the key `before`. */
export function listApiKeys(
  db: Reader,
  actor: Actor,
  page: { before?: string; limit: number },
): Promise<Row<'api_keys'>[]> {
  let query = db.selectFrom('api_keys').selectAll().where('organization_id', '=', actor.organizationId);
  if (page.before) query = query.where('id', '<', page.before);
  return query.orderBy('id', 'desc').limit(page.limit).execute();
}

/** @throws Problem `api_key_missing`. */
export async function revokeApiKey(tx: Tx, actor: Actor, now: Date, id: string): Promise<void> {
  const revoked = await tx
    .updateTable('api_keys')
    .set({ revoked_at: now })
    .where('id', '=', id)
    .where('organization_id', '=', actor.organizationId)
    .where('revoked_at', 'is', null)
    .returning('id')
    .executeTakeFirst();
  if (!revoked)
    throw new Problem('missing', 'api_key_missing', 'There is no such key, or it is revoked already.');
  await appendAudit(tx, actor, now, 'api_key.revoke', id, 'ok');
}
