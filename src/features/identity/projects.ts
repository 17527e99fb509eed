/**
 * Projects: what tasks belong to. A project is at home in a team, whose people may work on it, and has a class: for
 * those who are not cleared for it, it and its tasks do not exist.
 */
import { newId } from '../../base/ids.ts';
import { Problem } from '../../base/problem.ts';
import type { Reader, Tx } from '../../platform/db/db.ts';
import type { Row } from '../../platform/db/schema.ts';
import { type Actor, appendAudit, appendEvent } from '../../platform/journal/facts.ts';
import { requireCleared } from './members.ts';
import type { Classification, Permission } from './permissions.ts';
import { inProjects, may, type Principal, permissionMissing, requireMay } from './principal.ts';

export type Project = Row<'projects'>;

export interface NewProject {
  name: string;
  description: string;
  teamId: string | null;
  classification: Classification;
}

const missing = (): Problem => new Problem('missing', 'project_missing', 'There is no such project.');

/** @throws Problem `project_exists`, `team_missing`, `clearance_not_held`. */
export async function createProject(
  tx: Tx,
  principal: Principal,
  now: Date,
  input: NewProject,
): Promise<Project> {
  const { actor } = principal;
  requireCleared(principal, input.classification);
  if (input.teamId !== null) await requireTeam(tx, principal, input.teamId);
  await requireNameFree(tx, actor, input.name);
  const project = await tx
    .insertInto('projects')
    .values({
      id: newId('proj'),
      organization_id: actor.organizationId,
      name: input.name,
      description: input.description,
      team_id: input.teamId,
      classification: input.classification,
      created_at: now,
    })
    .returningAll()
    .executeTakeFirstOrThrow();
  await appendAudit(tx, actor, now, 'project.create', project.id, 'ok', {
    name: input.name,
    classification: input.classification,
    team_id: input.teamId,
  });
  await projectEvent(tx, actor, now, 'project.created', project);
  return project;
}

/** A project, for somebody who may do this with it. @throws Problem `project_missing`, `permission_missing`. */
export async function projectFor(
  db: Reader,
  principal: Principal,
  permission: Permission,
  id: string,
): Promise<Project> {
  const project = await db
    .selectFrom('projects')
    .selectAll()
    .where('id', '=', id)
    .where('organization_id', '=', principal.actor.organizationId)
    .executeTakeFirst();
  if (!project) throw missing();
  requireMay(principal, permission, { projectId: id }, missing);
  return project;
}

/** Newest first. @param archived null: all. */
export function listProjects(
  db: Reader,
  principal: Principal,
  page: { before?: string; limit: number; archived: boolean | null },
): Promise<Project[]> {
  let query = db
    .selectFrom('projects')
    .selectAll()
    .where('organization_id', '=', principal.actor.organizationId)
    .where(inProjects(principal, 'project.read', 'projects.id'));
  if (page.archived !== null) query = query.where('archived_at', page.archived ? 'is not' : 'is', null);
  if (page.before) query = query.where('id', '<', page.before);
  return query.orderBy('id', 'desc').limit(page.limit).execute();
}

export type ProjectChange = Partial<NewProject>;

/**
 * Changes a project. Its team decides who else may work on it, so only who may make projects moves one.
 * @throws Problem `project_missing`, `project_exists`, `team_missing`, `clearance_not_held`, `permission_missing`.
 */
export async function changeProject(
  tx: Tx,
  principal: Principal,
  now: Date,
  id: string,
  change: ProjectChange,
): Promise<Project> {
  const { actor } = principal;
  const project = await projectFor(tx, principal, 'project.manage', id);
  if (change.classification) requireCleared(principal, change.classification);
  if (change.name !== undefined && change.name !== project.name)
    await requireNameFree(tx, actor, change.name);
  if (change.teamId !== undefined && change.teamId !== project.team_id) {
    if (!may(principal, 'project.create')) throw permissionMissing('project.create');
    if (change.teamId !== null) await requireTeam(tx, principal, change.teamId);
  }
  const row = await tx
    .updateTable('projects')
    .set({
      name: change.name ?? project.name,
      description: change.description ?? project.description,
      team_id: change.teamId === undefined ? project.team_id : change.teamId,
      classification: change.classification ?? project.classification,
    })
    .where('id', '=', id)
    .returningAll()
    .executeTakeFirstOrThrow();
  await appendAudit(tx, actor, now, 'project.update', id, 'ok', {
    fields: Object.keys(change),
    classification: row.classification,
    classification_before: project.classification,
    team_id: row.team_id,
  });
  await projectEvent(tx, actor, now, 'project.updated', row);
  return row;
}

/** Archived: nothing new begins in it, what is under way goes on. @throws Problem `project_archived`, `project_active`. */
export async function archiveProject(
  tx: Tx,
  principal: Principal,
  now: Date,
  id: string,
  archived: boolean,
): Promise<Project> {
  const { actor } = principal;
  const project = await projectFor(tx, principal, 'project.manage', id);
  if ((project.archived_at !== null) === archived) {
    throw archived
      ? new Problem('conflict', 'project_archived', 'This project is archived already.')
      : new Problem('conflict', 'project_active', 'This project is not archived.');
  }
  const row = await tx
    .updateTable('projects')
    .set({ archived_at: archived ? now : null })
    .where('id', '=', id)
    .returningAll()
    .executeTakeFirstOrThrow();
  await appendAudit(tx, actor, now, archived ? 'project.archive' : 'project.restore', id, 'ok');
  await projectEvent(tx, actor, now, archived ? 'project.archived' : 'project.restored', row);
  return row;
}

const projectEvent = (tx: Tx, actor: Actor, now: Date, type: string, project: Project): Promise<void> =>
  appendEvent(tx, actor, now, type, {}, { id: project.id, name: project.name });

async function requireNameFree(tx: Tx, actor: Actor, name: string): Promise<void> {
  const taken = await tx
    .selectFrom('projects')
    .select('id')
    .where('organization_id', '=', actor.organizationId)
    .where('name', '=', name)
    .executeTakeFirst();
  if (taken) throw new Problem('conflict', 'project_exists', `There is a project named ${name} already.`);
}

async function requireTeam(tx: Tx, principal: Principal, id: string): Promise<void> {
  const noTeam = () => new Problem('missing', 'team_missing', 'There is no such team.');
  const team = await tx
    .selectFrom('teams')
    .select('id')
    .where('id', '=', id)
    .where('organization_id', '=', principal.actor.organizationId)
    .executeTakeFirst();
  if (!team) throw noTeam();
  requireMay(principal, 'team.read', { teamId: id }, noTeam);
}
