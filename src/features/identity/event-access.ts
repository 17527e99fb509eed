/** Which events somebody may hear of: those of projects that they may see, others by what they are about. */
import type { LiveEvent } from '../../platform/live/tail.ts';
import { isPermission, type Permission } from './permissions.ts';
import { may, type Principal } from './principal.ts';

/** Nouns of events whose permission has another name. */
const nouns: Record<string, Permission> = {
  api_key: 'key.read',
  invitation: 'member.manage',
  role: 'role.read',
  signing_key: 'installation.manage',
};

/** Of a task: by its project. Of a team's agents: by the team. Of the organization: by the noun that it is about. */
export function mayHear(principal: Principal, event: LiveEvent): boolean {
  if (event.project_id !== null)
    return !principal.run && may(principal, 'event.read', { projectId: event.project_id });
  if (event.root_task_id !== null || event.task_id !== null || !may(principal, 'event.read')) return false;
  const noun = event.type.split('.')[0] ?? '';
  const permission = nouns[noun] ?? `${noun}.read`;
  if (permission === 'project.read' && typeof event.data.id === 'string')
    return may(principal, 'project.read', { projectId: event.data.id });
  return may(principal, isPermission(permission) ? permission : 'organization.read');
}
