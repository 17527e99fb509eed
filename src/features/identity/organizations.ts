/** Organizations: several on one deployment, isolated from each other; people may be members of more than one. */
import { newId } from '../../base/ids.ts';
import { Problem } from '../../base/problem.ts';
import type { Reader, Tx } from '../../platform/db/db.ts';
import { type Actor, appendAudit, appendEvent } from '../../platform/journal/facts.ts';
import type { Role } from './permissions.ts';
import { userOfMember } from './users.ts';

export interface Organization {
  id: string;
  name: string;
}

export interface MadeOrganization extends Organization {
  projectId: string;
  /** The maker, as the new organization's owner. */
  owner: Actor;
  ownerId: string;
}

/**
 * Makes another organization with a first project; the person who makes it is its owner. Runs outside of any one
 * organization: `tx` must be the system's. @throws Problem `organization_exists`.
 */
export async function createOrganization(
  tx: Tx,
  actor: Actor,
  now: Date,
  name: string,
  maker: { id: string; name: string },
): Promise<MadeOrganization> {
  const taken = await tx.selectFrom('organizations').select('id').where('name', '=', name).executeTakeFirst();
  if (taken)
    throw new Problem('conflict', 'organization_exists', `There is an organization named ${name} already.`);
  const userId = await userOfMember(tx, now, maker.id);
  const [id, projectId, ownerId] = [newId('org'), newId('proj'), newId('mem')];
  const row = { organization_id: id, created_at: now };
  await tx.insertInto('organizations').values({ id, name, created_at: now }).execute();
  await tx
    .insertInto('projects')
    .values({ ...row, id: projectId, name: 'default' })
    .execute();
  await tx
    .insertInto('members')
    .values({ ...row, id: ownerId, user_id: userId, name: maker.name, role: 'owner' })
    .execute();
  const owner = { id: `member:${ownerId}`, organizationId: id, requestId: actor.requestId };
  await appendAudit(tx, actor, now, 'organization.create', id, 'ok', { name });
  await appendAudit(tx, owner, now, 'organization.create', id, 'ok', { name });
  await appendEvent(tx, owner, now, 'organization.created', {}, { id, name });
  return { id, name, projectId, owner, ownerId };
}

/** The organizations in which a person may do anything at all, the oldest first. */
export function listMemberships(db: Reader, userId: string): Promise<(Organization & { role: Role })[]> {
  return db
    .selectFrom('members as m')
    .innerJoin('organizations as o', 'o.id', 'm.organization_id')
    .where('m.user_id', '=', userId)
    .where('m.deactivated_at', 'is', null)
    .select(['o.id', 'o.name', 'm.role'])
    .orderBy('o.created_at')
    .orderBy('o.id')
    .limit(200)
    .execute();
}

export async function renameOrganization(
  tx: Tx,
  actor: Actor,
  now: Date,
  name: string,
): Promise<Organization> {
  const id = actor.organizationId;
  await tx.updateTable('organizations').set({ name }).where('id', '=', id).execute();
  await appendAudit(tx, actor, now, 'organization.update', id, 'ok', { name });
  await appendEvent(tx, actor, now, 'organization.updated', {}, { id, name });
  return { id, name };
}
