/**
 * Members: people in an organization, with a role and a clearance. Whoever is deactivated is out at once: every
 * request asks for the member anew. An organization always keeps an owner, and nobody raises somebody above themself.
 */
import { Problem } from '../../base/problem.ts';
import type { Reader, Tx } from '../../platform/db/db.ts';
import type { Row } from '../../platform/db/schema.ts';
import { appendAudit, appendEvent } from '../../platform/journal/facts.ts';
import { revokeKeysOf } from './api-keys.ts';
import { type Classification, classificationsAbove, type Role } from './permissions.ts';
import { holdsRole, type Principal } from './principal.ts';

export type Member = Row<'members'>;

/** A member as others see them: the address is how they sign in. */
export type MemberWithEmail = Member & { email: string | null };

const withEmail = (db: Reader, organizationId: string) =>
  db
    .selectFrom('members as m')
    .leftJoin('users as u', 'u.id', 'm.user_id')
    .selectAll('m')
    .select('u.email')
    .where('m.organization_id', '=', organizationId);

/** Newest first. */
export function listMembers(
  db: Reader,
  organizationId: string,
  page: { before?: string; limit: number },
): Promise<MemberWithEmail[]> {
  let query = withEmail(db, organizationId);
  if (page.before) query = query.where('m.id', '<', page.before);
  return query.orderBy('m.id', 'desc').limit(page.limit).execute();
}

/** @throws Problem `member_missing`. */
export async function getMember(db: Reader, organizationId: string, id: string): Promise<MemberWithEmail> {
  const row = await withEmail(db, organizationId).where('m.id', '=', id).executeTakeFirst();
  if (!row) throw new Problem('missing', 'member_missing', 'There is no such member.');
  return row;
}

export interface MemberChange {
  role?: Role;
  /** Null: that of the role. */
  clearance?: Classification | null;
}

/** @throws Problem `member_missing`, `role_not_held`, `clearance_not_held`, `last_owner`. */
export async function changeMember(
  tx: Tx,
  principal: Principal,
  now: Date,
  id: string,
  change: MemberChange,
): Promise<MemberWithEmail> {
  const { actor } = principal;
  const owners = await lockOwners(tx, actor.organizationId);
  const member = await getMember(tx, actor.organizationId, id);
  requireHolds(principal, member.role);
  if (change.role !== undefined) requireHolds(principal, change.role);
  if (change.clearance) requireCleared(principal, change.clearance);
  if (change.role !== undefined && change.role !== 'owner') requireAnotherOwner(owners, id);
  await tx
    .updateTable('members')
    .set({
      role: change.role ?? member.role,
      ...('clearance' in change ? { clearance: change.clearance } : {}),
    })
    .where('id', '=', id)
    .execute();
  await appendAudit(tx, actor, now, 'member.update', id, 'ok', {
    role: change.role,
    clearance: change.clearance,
    role_before: member.role,
  });
  await appendEvent(tx, actor, now, 'member.updated', {}, { id, role: change.role ?? member.role });
  return getMember(tx, actor.organizationId, id);
}

/**
 * Shuts a member out: their keys end, their links work no more. Sessions are of the person, who may be a member
 * elsewhere: here they are nobody's from the next request on.
 * @throws Problem `last_owner`.
 */
export async function deactivateMember(
  tx: Tx,
  principal: Principal,
  now: Date,
  id: string,
): Promise<MemberWithEmail> {
  const { actor } = principal;
  const owners = await lockOwners(tx, actor.organizationId);
  const member = await getMember(tx, actor.organizationId, id);
  requireHolds(principal, member.role);
  requireAnotherOwner(owners, id);
  if (member.deactivated_at)
    throw new Problem('conflict', 'member_deactivated', 'This member is deactivated already.');
  await tx.updateTable('members').set({ deactivated_at: now }).where('id', '=', id).execute();
  const keys = await revokeKeysOf(tx, actor, now, { memberId: id });
  await tx.deleteFrom('sign_in_links').where('member_id', '=', id).where('used_at', 'is', null).execute();
  await appendAudit(tx, actor, now, 'member.deactivate', id, 'ok', { keys });
  await appendEvent(tx, actor, now, 'member.deactivated', {}, { id });
  return getMember(tx, actor.organizationId, id);
}

/** Lets a member in again, with the role that they had; keys have to be made anew. */
export async function reactivateMember(
  tx: Tx,
  principal: Principal,
  now: Date,
  id: string,
): Promise<MemberWithEmail> {
  const { actor } = principal;
  const member = await getMember(tx, actor.organizationId, id);
  requireHolds(principal, member.role);
  if (!member.deactivated_at)
    throw new Problem('conflict', 'member_active', 'This member is not deactivated.');
  await tx.updateTable('members').set({ deactivated_at: null }).where('id', '=', id).execute();
  await appendAudit(tx, actor, now, 'member.reactivate', id, 'ok');
  await appendEvent(tx, actor, now, 'member.reactivated', {}, { id });
  return getMember(tx, actor.organizationId, id);
}

/** All owners, locked in the order of their ids: of two who demote each other one has to wait and then see. */
async function lockOwners(tx: Tx, organizationId: string): Promise<string[]> {
  const rows = await tx
    .selectFrom('members')
    .select('id')
    .where('organization_id', '=', organizationId)
    .where('role', '=', 'owner')
    .where('deactivated_at', 'is', null)
    .orderBy('id')
    .forUpdate()
    .execute();
  return rows.map(row => row.id);
}

function requireAnotherOwner(owners: string[], id: string): void {
  if (!owners.includes(id) || owners.length > 1) return;
  throw new Problem(
    'conflict',
    'last_owner',
    'This is the last owner of the organization. Make somebody else an owner first.',
  );
}

/** @throws Problem `role_not_held`. */
export function requireHolds(
  principal: Principal,
  role: Role,
  where: { projectId?: string; teamId?: string } = {},
): void {
  if (holdsRole(principal, role, where)) return;
  throw new Problem(
    'forbidden',
    'role_not_held',
    `The role ${role} may do more than you may here: you can neither give nor take it.`,
  );
}

/** @throws Problem `clearance_not_held`. */
export function requireCleared(principal: Principal, wanted: Classification): void {
  if (!classificationsAbove(principal.clearance).includes(wanted)) return;
  throw new Problem(
    'forbidden',
    'clearance_not_held',
    `You are cleared for what is ${principal.clearance} at most, not for ${wanted}.`,
  );
}
