/** Tasks as somebody may see them, and where they may open new ones: what they may not see is not there for them. */
import { Problem } from '../../base/problem.ts';
import type { Reader } from '../../platform/db/db.ts';
import type { Row } from '../../platform/db/schema.ts';
import { classificationsAbove, type Permission } from '../identity/permissions.ts';
import { type Principal, requireMay } from '../identity/principal.ts';
import { getTask, type Task } from './tasks.ts';

/** A task, for somebody who may do this with it. @throws Problem `task_missing`, `permission_missing`. */
export async function taskFor(
  db: Reader,
  principal: Principal,
  permission: Permission,
  id: string,
): Promise<Task> {
  const task = await getTask(db, principal.actor, id);
  requireMay(principal, permission, { projectId: task.project_id, taskId: task.id }, taskMissing);
  return task;
}

const taskMissing = (): Problem => new Problem('missing', 'task_missing', 'There is no such task.');

/**
 * The project that a new task of a team goes to.
 * @throws Problem `project_missing`, `permission_missing`, `project_archived`, `team_not_cleared`.
 */
export async function projectForTask(
  db: Reader,
  principal: Principal,
  name: string,
  team: Row<'teams'>,
): Promise<string> {
  const missing = () => new Problem('invalid', 'project_missing', `There is no project named ${name}.`);
  const project = await db
    .selectFrom('projects')
    .selectAll()
    .where('organization_id', '=', principal.actor.organizationId)
    .where('name', '=', name)
    .executeTakeFirst();
  if (!project) throw missing();
  requireMay(principal, 'task.create', { projectId: project.id }, missing);
  if (project.archived_at)
    throw new Problem(
      'conflict',
      'project_archived',
      `The project ${name} is archived: nothing new begins in it.`,
    );
  if (classificationsAbove(team.clearance).includes(project.classification)) {
    throw new Problem(
      'forbidden',
      'team_not_cleared',
      `The project ${name} is ${project.classification}; the agents of ${team.name} may work on what is ${team.clearance} at most.`,
    );
  }
  return project.id;
}

/** Only what somebody may see can be waited for. @throws Problem `dependency_missing`. */
export async function requireDependencies(db: Reader, principal: Principal, ids: string[]): Promise<void> {
  for (const id of new Set(ids)) {
    const missing = () =>
      new Problem('invalid', 'dependency_missing', `There is no task ${id} to depend on.`);
    const task = await db
      .selectFrom('tasks')
      .select('project_id')
      .where('id', '=', id)
      .where('organization_id', '=', principal.actor.organizationId)
      .executeTakeFirst();
    if (!task) throw missing();
    requireMay(principal, 'task.read', { projectId: task.project_id }, missing);
  }
}
