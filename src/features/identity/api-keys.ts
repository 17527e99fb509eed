/**
 * API keys: what programs authenticate with. A key is of a member or of a service account and can do what it names
 * (bundles or single permissions, all projects or some) and its owner may, never more. Rotating makes a new one and
 * lets the old one live a little longer, so that nothing has to stop.
 */
import { newId } from '../../base/ids.ts';
import { Problem } from '../../base/problem.ts';
import type { Reader, Tx } from '../../platform/db/db.ts';
import type { Row } from '../../platform/db/schema.ts';
import { type Actor, appendAudit, appendEvent } from '../../platform/journal/facts.ts';
import { hashOf, newToken } from './credentials.ts';
import { isPermission, isScope, type Permission, type Scope } from './permissions.ts';
import { may, maySomewhere, type Principal } from './principal.ts';

/** Whose a key is. */
export type KeyOwner = { memberId: string } | { serviceAccountId: string };

export interface NewApiKey {
  name: string;
  /** Bundles and single permissions. */
  scopes: (Scope | Permission)[];
  /** Default: every project that its owner may see. */
  projectIds?: string[] | null;
  expiresAt: Date | null;
}

/** @returns the key itself, shown this once. @throws Problem `expiry_in_past`. */
export async function createApiKey(
  tx: Tx,
  actor: Actor,
  now: Date,
  owner: KeyOwner,
  input: NewApiKey,
): Promise<{ id: string; key: string }> {
  if (input.expiresAt && input.expiresAt <= now)
    throw new Problem('invalid', 'expiry_in_past', 'The expiry of the key lies in the past.');
  const id = newId('key');
  const key = newToken('ghk');
  await tx
    .insertInto('api_keys')
    .values({
      id,
      organization_id: actor.organizationId,
      member_id: 'memberId' in owner ? owner.memberId : null,
      service_account_id: 'serviceAccountId' in owner ? owner.serviceAccountId : null,
      created_by: actor.id,
      name: input.name,
      prefix: key.slice(0, 10),
      key_hash: hashOf(key),
      scopes: input.scopes,
      project_ids: input.projectIds ?? null,
      created_at: now,
      expires_at: input.expiresAt,
    })
    .execute();
  await appendAudit(tx, actor, now, 'api_key.create', id, 'ok', {
    name: input.name,
    scopes: input.scopes,
    ...owner,
    project_ids: input.projectIds ?? undefined,
  });
  await appendEvent(tx, actor, now, 'api_key.created', {}, { id, name: input.name });
  return { id, key };
}

/**
 * Whether a principal may put this into a key: nobody gives away more than they hold.
 * @throws Problem `scope_not_held`, `project_missing`.
 */
export function requireKeyWithin(
  principal: Principal,
  input: Pick<NewApiKey, 'scopes' | 'projectIds'>,
): void {
  const named = input.projectIds ?? null;
  const unseen = named?.filter(projectId => !may(principal, 'project.read', { projectId })) ?? [];
  if (unseen.length > 0)
    throw new Problem('missing', 'project_missing', `There is no project ${unseen.join(', ')}.`);
  if (named === null && principal.narrowing?.projectIds) {
    throw new Problem(
      'forbidden',
      'scope_not_held',
      'Your own key is for some projects only: name those of them that the new one is for.',
    );
  }
  const beyond = input.scopes.filter(name => {
    if (isScope(name)) return !principal.scopes.includes(name);
    return !isPermission(name) || !maySomewhere(principal, name);
  });
  if (beyond.length > 0) {
    throw new Problem(
      'forbidden',
      'scope_not_held',
      `You cannot give a key the scope ${beyond.join(', ')}: you do not hold it.`,
    );
  }
}

/** @throws Problem `project_missing` for projects that are not there, which nobody may see. */
export async function requireProjects(
  db: Reader,
  actor: Actor,
  ids: string[] | null | undefined,
): Promise<void> {
  if (!ids) return;
  const rows = await db
    .selectFrom('projects')
    .select('id')
    .where('organization_id', '=', actor.organizationId)
    .where('id', 'in', ids)
    .execute();
  const found = new Set(rows.map(row => row.id));
  const missing = ids.filter(id => !found.has(id));
  if (missing.length > 0)
    throw new Problem('missing', 'project_missing', `There is no project ${missing.join(', ')}.`);
}

/** Newest first, at most `limit`, older than the key `before`; of one owner, or of all. */
export function listApiKeys(
  db: Reader,
  actor: Actor,
  page: { before?: string; limit: number; owner?: KeyOwner },
): Promise<Row<'api_keys'>[]> {
  let query = db.selectFrom('api_keys').selectAll().where('organization_id', '=', actor.organizationId);
  if (page.before) query = query.where('id', '<', page.before);
  if (page.owner) {
    query =
      'memberId' in page.owner
        ? query.where('member_id', '=', page.owner.memberId)
        : query.where('service_account_id', '=', page.owner.serviceAccountId);
  }
  return query.orderBy('id', 'desc').limit(page.limit).execute();
}

/** A key that is valid now, locked. @throws Problem `api_key_missing`. */
export async function lockApiKey(tx: Tx, actor: Actor, now: Date, id: string): Promise<Row<'api_keys'>> {
  const row = await tx
    .selectFrom('api_keys')
    .selectAll()
    .where('id', '=', id)
    .where('organization_id', '=', actor.organizationId)
    .where('revoked_at', 'is', null)
    .forUpdate()
    .executeTakeFirst();
  if (row && (row.expires_at === null || row.expires_at > now)) return row;
  throw new Problem(
    'missing',
    'api_key_missing',
    'There is no such key, or it is revoked or expired already.',
  );
}

/**
 * A new key that can do what the old one could; the old one ends after the overlap, or when it would have anyway.
 * The new one lives as long as the old one was made for. @throws Problem `api_key_missing`, `api_key_rotated`.
 */
export async function rotateApiKey(
  tx: Tx,
  actor: Actor,
  now: Date,
  id: string,
  overlapMs: number,
): Promise<{ id: string; key: string; replacedEndsAt: Date }> {
  const old = await lockApiKey(tx, actor, now, id);
  if (old.replaced_by)
    throw new Problem('conflict', 'api_key_rotated', `This key was rotated already: to ${old.replaced_by}.`);
  const life = old.expires_at ? old.expires_at.getTime() - old.created_at.getTime() : null;
  const owner = ownerOf(old);
  const made = await createApiKey(tx, actor, now, owner, {
    name: old.name,
    scopes: old.scopes as NewApiKey['scopes'],
    projectIds: old.project_ids,
    expiresAt: life === null ? null : new Date(now.getTime() + life),
  });
  const end = new Date(now.getTime() + overlapMs);
  const replacedEndsAt = old.expires_at && old.expires_at < end ? old.expires_at : end;
  await tx
    .updateTable('api_keys')
    .set({ expires_at: replacedEndsAt, replaced_by: made.id })
    .where('id', '=', id)
    .execute();
  await appendAudit(tx, actor, now, 'api_key.rotate', id, 'ok', {
    replaced_by: made.id,
    ends_at: replacedEndsAt.toISOString(),
  });
  await appendEvent(tx, actor, now, 'api_key.rotated', {}, { id, replaced_by: made.id });
  return { ...made, replacedEndsAt };
}

export const ownerOf = (row: Row<'api_keys'>): KeyOwner =>
  row.member_id !== null
    ? { memberId: row.member_id }
    : { serviceAccountId: row.service_account_id as string };

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
  await appendEvent(tx, actor, now, 'api_key.revoked', {}, { id });
}

/** Ends every key of somebody who is no longer to have any. @returns how many. */
export async function revokeKeysOf(tx: Tx, actor: Actor, now: Date, owner: KeyOwner): Promise<number> {
  const [column, id] =
    'memberId' in owner
      ? (['member_id', owner.memberId] as const)
      : (['service_account_id', owner.serviceAccountId] as const);
  const ended = await tx
    .updateTable('api_keys')
    .set({ revoked_at: now })
    .where(column, '=', id)
    .where('organization_id', '=', actor.organizationId)
    .where('revoked_at', 'is', null)
    .returning('id')
    .execute();
  for (const key of ended) await appendAudit(tx, actor, now, 'api_key.revoke', key.id, 'ok');
  return ended.length;
}
