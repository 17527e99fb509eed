/**
 * The principal: who makes a request, and the one answer to "may they?". What somebody may do is what their role in
 * the organization allows, or a role that they hold on the project or team in question; of that, what their credential
 * leaves; and never anything in a project above their clearance. What nothing allows is refused.
 */
import { type RawBuilder, sql } from 'kysely';
import { Problem } from '../../base/problem.ts';
import type { Actor } from '../../platform/journal/facts.ts';
import {
  type Classification,
  isOfInstallation,
  isOfProjects,
  type Permission,
  permissions,
  permissionsNamed,
  permissionsOf,
  type Role,
  type Scope,
} from './permissions.ts';

/** Roles on single projects and teams, and the projects above somebody's clearance. */
export interface Reach {
  projects: ReadonlyMap<string, readonly Role[]>;
  teams: ReadonlyMap<string, readonly Role[]>;
  hidden: ReadonlySet<string>;
}

/** What a credential leaves of what its owner may do. */
export interface Narrowing {
  permissions: ReadonlySet<Permission>;
  /** Null: every project. Otherwise only these, and nothing of the organization as a whole. */
  projectIds: ReadonlySet<string> | null;
}

/** The run behind an agent's token: its task and the tasks below it are all that exists for the agent. */
export interface RunReach {
  runId: string;
  taskId: string;
  taskIds: ReadonlySet<string>;
}

export interface Principal {
  actor: Actor;
  subject: { kind: 'member' | 'service' | 'agent'; id: string; name: string; role: Role };
  /** Null for programs. */
  member: { id: string; name: string; role: Role } | null;
  /** How far their knowledge of projects may go. */
  clearance: Classification;
  reach: Reach;
  /** Null: the credential takes nothing away. */
  narrowing: Narrowing | null;
  /** Bundles that this principal may hand on to a key. */
  scopes: Scope[];
  /** Whether the organization is the one that the deployment was installed with. */
  atInstallation: boolean;
  run: RunReach | null;
  /** The browser session that the request came in. */
  session: { id: string; userId: string } | null;
  /** What the request was authenticated with. */
  via: 'session' | 'key' | 'token' | 'issuer' | 'run';
  /** Present for browser sessions: writes must repeat it in `x-csrf-token`. */
  csrfToken: string | null;
  apiKeyId: string | null;
}

/** The same principal with less: only what `names` names (bundles or permissions), only these projects. */
export function narrowed(
  principal: Principal,
  to: { via: Principal['via']; names: readonly string[] | null; projectIds: readonly string[] | null },
): Principal {
  const before = principal.narrowing;
  const named = to.names ? permissionsNamed(to.names) : new Set(permissions);
  const wanted = to.projectIds ? new Set(to.projectIds) : null;
  const projectIds =
    wanted && before?.projectIds
      ? wanted.intersection(before.projectIds)
      : (wanted ?? before?.projectIds ?? null);
  return {
    ...principal,
    via: to.via,
    narrowing: {
      permissions: before ? named.intersection(before.permissions) : named,
      projectIds,
    },
    scopes: principal.scopes.filter(scope => to.names?.includes(scope) ?? true),
  };
}

export const noReach: Reach = { projects: new Map(), teams: new Map(), hidden: new Set() };

/** What a request is about. An agent is asked about tasks. */
export interface Where {
  projectId?: string;
  teamId?: string;
  taskId?: string;
}

/** All that an agent may do, and only with the tasks of its run. */
const ofAgents: readonly Permission[] = ['task.read', 'usage.read'];

/** Whether the principal may do this, there: on that project or team, or without one in the whole organization. */
export function may(principal: Principal, permission: Permission, where: Where = {}): boolean {
  const { reach, narrowing, run } = principal;
  if (run)
    return ofAgents.includes(permission) && where.taskId !== undefined && run.taskIds.has(where.taskId);
  if (!leaves(principal, permission)) return false;
  const { projectId, teamId } = where;
  if (projectId !== undefined && reach.hidden.has(projectId)) return false;
  if (narrowing?.projectIds && (projectId === undefined || !narrowing.projectIds.has(projectId)))
    return false;
  if (permissionsOf(principal.subject.role).has(permission)) return true;
  if (!isOfProjects(permission)) return false;
  const held = [
    ...(projectId === undefined ? [] : (reach.projects.get(projectId) ?? [])),
    ...(teamId === undefined ? [] : (reach.teams.get(teamId) ?? [])),
  ];
  return held.some(role => permissionsOf(role).has(permission));
}

/** Whether there is anything at all with which the principal may do this: what a route asks before it looks closer. */
export function maySomewhere(principal: Principal, permission: Permission): boolean {
  const { reach, narrowing, run } = principal;
  if (run) return ofAgents.includes(permission);
  if (!leaves(principal, permission)) return false;
  if (narrowing?.projectIds && !isOfProjects(permission)) return false;
  if (permissionsOf(principal.subject.role).has(permission)) return true;
  if (!isOfProjects(permission)) return false;
  const held = [...reach.projects.values(), ...reach.teams.values()].flat();
  return held.some(role => permissionsOf(role).has(permission));
}

/** Whether the credential and the organization leave a permission to whoever holds it. */
function leaves(principal: Principal, permission: Permission): boolean {
  if (isOfInstallation(permission) && !principal.atInstallation) return false;
  return principal.narrowing?.permissions.has(permission) ?? true;
}

/** Whether only the credential stands in the way. */
export const isNarrowedOnly = (principal: Principal, permission: Permission): boolean =>
  principal.narrowing !== null && maySomewhere({ ...principal, narrowing: null }, permission);

/** Whether somebody is known here but may do nothing whatever. */
export const isWithoutAccess = (principal: Principal): boolean =>
  !principal.run &&
  !permissions.some(permission => maySomewhere({ ...principal, narrowing: null }, permission));

/** The projects in which a principal may do something: all but some, or only some. */
export function projectsWith(
  principal: Principal,
  permission: Permission,
): { except: string[] } | { only: string[] } {
  const { reach, narrowing, run, subject } = principal;
  if (run) return { only: [] };
  if (narrowing?.projectIds) return { only: among(principal, permission, narrowing.projectIds) };
  if (leaves(principal, permission) && permissionsOf(subject.role).has(permission))
    return { except: [...reach.hidden] };
  return { only: among(principal, permission, reach.projects.keys()) };
}

const among = (principal: Principal, permission: Permission, ids: Iterable<string>): string[] =>
  [...ids].filter(projectId => may(principal, permission, { projectId }));

/** As a condition of a query: the project in `column` is one in which the principal may do this. */
export function inProjects(
  principal: Principal,
  permission: Permission,
  column: string,
): RawBuilder<boolean> {
  const found = projectsWith(principal, permission);
  if ('only' in found) return sql<boolean>`${sql.ref(column)} = any (${found.only}::text[])`;
  if (found.except.length === 0) return sql<boolean>`true`;
  return sql<boolean>`${sql.ref(column)} <> all (${found.except}::text[])`;
}

/** The same for rows that name a task: it is in such a project. */
export function ofTasksIn(principal: Principal, permission: Permission, column: string): RawBuilder<boolean> {
  const found = projectsWith(principal, permission);
  if ('except' in found && found.except.length === 0) return sql<boolean>`true`;
  return sql<boolean>`exists (select 1 from tasks as of_task where of_task.id = ${sql.ref(column)}
    and ${inProjects(principal, permission, 'of_task.project_id')})`;
}

/**
 * Refuses who may not. What somebody may not even see is not there for them.
 * @throws Problem `missing`, or `permission_missing` when it may be seen but not this be done with it.
 */
export function requireMay(
  principal: Principal,
  permission: Permission,
  where: Where,
  missing: () => Problem,
): void {
  if (may(principal, permission, where)) return;
  const seen = (['project.read', 'task.read', 'team.read'] as const).some(p => may(principal, p, where));
  throw seen ? permissionMissing(permission) : missing();
}

/** What opens a whole session must not be had by a credential that leaves less. @throws Problem `whole_key_required`. */
export function requireWhole({ narrowing }: Principal): void {
  if (!narrowing || (!narrowing.projectIds && permissions.every(p => narrowing.permissions.has(p)))) return;
  throw new Problem(
    'forbidden',
    'whole_key_required',
    'This needs a key with the scopes read, write and admin, for all projects.',
  );
}

export const permissionMissing = (permission: Permission): Problem =>
  new Problem(
    'forbidden',
    'permission_missing',
    `This needs the permission ${permission}, which you do not hold here. Somebody who manages members can grant a role that has it.`,
    { detail: { permission } },
  );

/** Whether the principal may do all that a role may: nobody gives away more than they hold. */
export const holdsRole = (principal: Principal, role: Role, where: Where = {}): boolean =>
  [...permissionsOf(role)]
    .filter(permission =>
      where.projectId === undefined && where.teamId === undefined ? true : isOfProjects(permission),
    )
    .filter(permission => !isOfInstallation(permission) || principal.atInstallation)
    .every(permission => may(principal, permission, where));
