/** API keys: what programs authenticate with. They can do what their scopes name and their member may, never more. */
import { newId } from '../../base/ids.ts';
import { Problem } from '../../base/problem.ts';
import { minutes } from '../../base/time.ts';
import type { Db, Reader, Tx } from '../../platform/db/db.ts';
import type { Row } from '../../platform/db/schema.ts';
import { type Actor, appendAudit, appendEvent } from '../../platform/journal/facts.ts';
import { hashOf, newToken } from './credentials.ts';
import { type Principal, roleScopes, type Scope } from './principal.ts';

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
    .where('k.key_hash', '=', hashOf(key))
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
  const key = newToken('ghk');
  await tx
    .insertInto('api_keys')
    .values({
      id,
      organization_id: actor.organizationId,
      member_id: owner.memberId,
      name: input.name,
      prefix: key.slice(0, 10),
      key_hash: hashOf(key),
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
