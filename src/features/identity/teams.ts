/**
 * Teams as a tree, and their people: a role on a team holds for the teams below it and for all their projects. Agents
 * of a team are in features/agents. Where a team stands decides who rules over it, so only who may make teams moves one.
 */
import { Problem } from '../../base/problem.ts';
import type { Reader, Tx } from '../../platform/db/db.ts';
import type { Row } from '../../platform/db/schema.ts';
import { appendAudit, appendEvent } from '../../platform/journal/facts.ts';
import { getMember, requireCleared } from './members.ts';
import type { Classification, Permission } from './permissions.ts';
import { may, type Principal, permissionMissing, requireMay } from './principal.ts';

export type Team = Row<'teams'>;

const depthMost = 20;
const missing = (): Problem => new Problem('missing', 'team_missing', 'There is no such team.');

/** A team, for somebody who may do this with it. @throws Problem `team_missing`, `permission_missing`. */
export async function teamFor(
  db: Reader,
  principal: Principal,
  permission: Permission,
  id: string,
): Promise<Team> {
  const team = await db
    .selectFrom('teams')
    .selectAll()
    .where('id', '=', id)
    .where('organization_id', '=', principal.actor.organizationId)
    .executeTakeFirst();
  if (!team) throw missing();
  requireMay(principal, permission, { teamId: id }, missing);
  return team;
}

export interface TeamChange {
  parentTeamId?: string | null;
  clearance?: Classification;
}

/** @throws Problem `team_missing`, `team_cycle`, `team_too_deep`, `clearance_not_held`, `permission_missing`. */
export async function changeTeam(
  tx: Tx,
  principal: Principal,
  now: Date,
  id: string,
  change: TeamChange,
): Promise<Team> {
  const { actor } = principal;
  // All of them, in the order of their ids: two moves at the same moment could close a circle only together.
  const teams = await tx
    .selectFrom('teams')
    .select(['id', 'parent_team_id'])
    .where('organization_id', '=', actor.organizationId)
    .orderBy('id')
    .forUpdate()
    .execute();
  const team = await teamFor(tx, principal, 'team.manage', id);
  const parentTeamId = change.parentTeamId === undefined ? team.parent_team_id : change.parentTeamId;
  if (parentTeamId !== team.parent_team_id) {
    if (!may(principal, 'team.create')) throw permissionMissing('team.create');
    if (parentTeamId !== null) requirePlace(teams, id, parentTeamId);
  }
  if (change.clearance) requireCleared(principal, change.clearance);
  const row = await tx
    .updateTable('teams')
    .set({ parent_team_id: parentTeamId, clearance: change.clearance ?? team.clearance })
    .where('id', '=', id)
    .returningAll()
    .executeTakeFirstOrThrow();
  const facts = { parent_team_id: row.parent_team_id, clearance: row.clearance };
  await appendAudit(tx, actor, now, 'team.update', id, 'ok', facts);
  await appendEvent(tx, actor, now, 'team.updated', {}, { id, name: row.name, ...facts });
  return row;
}

function requirePlace(teams: Pick<Team, 'id' | 'parent_team_id'>[], id: string, parentId: string): void {
  const parentOf = new Map(teams.map(team => [team.id, team.parent_team_id]));
  if (!parentOf.has(parentId)) throw missing();
  let depth = 1;
  for (let above: string | null | undefined = parentId; above; above = parentOf.get(above)) {
    if (above === id) throw new Problem('invalid', 'team_cycle', 'The teams would lie in a circle.');
    if (++depth > depthMost)
      throw new Problem('invalid', 'team_too_deep', `Teams can lie ${depthMost} deep at most.`);
  }
}

/** The people of a team, in the order of their ids. */
export function listTeamMembers(db: Reader, teamId: string): Promise<{ id: string; name: string }[]> {
  return db
    .selectFrom('team_members as t')
    .innerJoin('members as m', 'm.id', 't.member_id')
    .where('t.team_id', '=', teamId)
    .where('m.deactivated_at', 'is', null)
    .select(['m.id', 'm.name'])
    .orderBy('m.id')
    .limit(1_000)
    .execute();
}

/** Adding twice is adding once. @throws Problem `team_missing`, `member_missing`. */
export async function addTeamMember(
  tx: Tx,
  principal: Principal,
  now: Date,
  teamId: string,
  memberId: string,
): Promise<void> {
  const { actor } = principal;
  await teamFor(tx, principal, 'team.manage', teamId);
  await getMember(tx, actor.organizationId, memberId);
  await tx
    .insertInto('team_members')
    .values({
      team_id: teamId,
      member_id: memberId,
      organization_id: actor.organizationId,
      created_at: now,
    })
    .onConflict(oc => oc.doNothing())
    .execute();
  await appendAudit(tx, actor, now, 'team.add_member', teamId, 'ok', { member: memberId });
  await appendEvent(tx, actor, now, 'team.member_added', {}, { id: teamId, member: memberId });
}

/** @throws Problem `team_missing`, `member_missing`. */
export async function removeTeamMember(
  tx: Tx,
  principal: Principal,
  now: Date,
  teamId: string,
  memberId: string,
): Promise<void> {
  const { actor } = principal;
  await teamFor(tx, principal, 'team.manage', teamId);
  const removed = await tx
    .deleteFrom('team_members')
    .where('team_id', '=', teamId)
    .where('member_id', '=', memberId)
    .returning('member_id')
    .executeTakeFirst();
  if (!removed) throw new Problem('missing', 'member_missing', 'The team has no such member.');
  await appendAudit(tx, actor, now, 'team.remove_member', teamId, 'ok', { member: memberId });
  await appendEvent(tx, actor, now, 'team.member_removed', {}, { id: teamId, member: memberId });
}
