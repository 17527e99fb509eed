/**
 * Who may do what, as one matrix: a permission (`<noun>.<verb>`) a row, a role a column. What is not marked is
 * refused. `none` has no column: it may do nothing.
 *
 * Permissions of the first part hold for the whole organization and come from the role that somebody has in it.
 * Those of the second part hold for a project or a team: they come from that role too, or from a role that somebody
 * was given on a team (for the teams below it and all their projects) or on one project.
 */

export const roles = ['owner', 'admin', 'manager', 'developer', 'viewer', 'auditor', 'none'] as const;
export type Role = (typeof roles)[number];

/** Bundles of permissions that an API key may name instead of single ones: each permission is in one of them. */
export const scopes = ['read', 'write', 'admin'] as const;
export type Scope = (typeof scopes)[number];

const y = true;
const n = false;
type Marks = readonly [boolean, boolean, boolean, boolean, boolean, boolean];
type Rows = Record<`${string}.${string}`, readonly [Scope, ...Marks]>;

// biome-ignore format: read as a matrix
const ofOrganization = {
  //                         bundle   owner admin manager developer viewer auditor
  'organization.read':      ['read',  y,    y,    y,      y,        y,     y],
  'organization.manage':    ['admin', y,    n,    n,      n,        n,     n],
  'installation.manage':    ['admin', y,    n,    n,      n,        n,     n],
  'member.read':            ['read',  y,    y,    y,      y,        y,     y],
  'member.manage':          ['admin', y,    y,    n,      n,        n,     n],
  'service_account.read':   ['read',  y,    y,    n,      n,        n,     y],
  'service_account.manage': ['admin', y,    y,    n,      n,        n,     n],
  'key.own':                ['admin', y,    y,    y,      y,        y,     y],
  'key.read':               ['read',  y,    y,    n,      n,        n,     y],
  'key.manage':             ['admin', y,    y,    n,      n,        n,     n],
  'audit.read':             ['read',  y,    y,    n,      n,        n,     y],
  'audit.export':           ['read',  y,    y,    n,      n,        n,     y],
  'secret.read':            ['read',  y,    y,    n,      n,        n,     y],
  'secret.manage':          ['admin', y,    y,    n,      n,        n,     n],
  'price.manage':           ['admin', y,    y,    n,      n,        n,     n],
  'project.create':         ['admin', y,    y,    y,      n,        n,     n],
  'team.create':            ['admin', y,    y,    n,      n,        n,     n],
} as const satisfies Rows;

// biome-ignore format: read as a matrix
const ofProjectsAndTeams = {
  //                         bundle   owner admin manager developer viewer auditor
  'project.read':           ['read',  y,    y,    y,      y,        y,     y],
  'project.manage':         ['admin', y,    y,    y,      n,        n,     n],
  'role.read':              ['read',  y,    y,    y,      n,        n,     y],
  'role.grant':             ['admin', y,    y,    y,      n,        n,     n],
  'task.read':              ['read',  y,    y,    y,      y,        y,     y],
  'task.create':            ['write', y,    y,    y,      y,        n,     n],
  'task.control':           ['write', y,    y,    y,      y,        n,     n],
  'approval.read':          ['read',  y,    y,    y,      y,        y,     y],
  'approval.decide':        ['write', y,    y,    y,      y,        n,     n],
  'run.read':               ['read',  y,    y,    y,      y,        y,     y],
  'run.replay':             ['write', y,    y,    y,      y,        n,     n],
  'event.read':             ['read',  y,    y,    y,      y,        y,     y],
  'usage.read':             ['read',  y,    y,    y,      y,        y,     y],
  'budget.read':            ['read',  y,    y,    y,      y,        y,     y],
  'budget.manage':          ['admin', y,    y,    n,      n,        n,     n],
  'team.read':              ['read',  y,    y,    y,      y,        y,     y],
  'team.manage':            ['admin', y,    y,    y,      n,        n,     n],
  'agent.read':             ['read',  y,    y,    y,      y,        y,     y],
  'agent.manage':           ['admin', y,    y,    n,      n,        n,     n],
} as const satisfies Rows;

const columns = ['owner', 'admin', 'manager', 'developer', 'viewer', 'auditor'] as const;
const matrix = { ...ofOrganization, ...ofProjectsAndTeams };

export type Permission = keyof typeof matrix;
export const permissions = Object.keys(matrix) as Permission[];

export const isPermission = (name: string): name is Permission => Object.hasOwn(matrix, name);
export const isScope = (name: string): name is Scope => (scopes as readonly string[]).includes(name);

/** The bundle that a permission is in. */
export const bundleOf = (permission: Permission): Scope => matrix[permission][0];

/** Whether a permission holds for a project or a team rather than for the whole organization. */
export const isOfProjects = (permission: Permission): boolean =>
  Object.hasOwn(ofProjectsAndTeams, permission);

/** Of the whole deployment: only the organization that it was installed with may do these, whatever the role. */
const ofInstallation: readonly Permission[] = ['installation.manage', 'price.manage'];
export const isOfInstallation = (permission: Permission): boolean => ofInstallation.includes(permission);

const byRole = new Map<Role, ReadonlySet<Permission>>(
  roles.map(role => {
    const column = columns.indexOf(role as (typeof columns)[number]);
    return [role, new Set(permissions.filter(p => column >= 0 && matrix[p][column + 1] === true))];
  }),
);

/** All that a role may do. */
export const permissionsOf = (role: Role): ReadonlySet<Permission> => byRole.get(role) ?? new Set();

/** What names of a key allow: a bundle all of its permissions, a permission itself; unknown names nothing. */
export function permissionsNamed(names: readonly string[]): ReadonlySet<Permission> {
  return new Set(permissions.filter(p => names.includes(p) || names.includes(bundleOf(p))));
}

/** Bundles that a role may hand on to a key. */
export const roleScopes: Record<Role, readonly Scope[]> = {
  owner: ['read', 'write', 'admin'],
  admin: ['read', 'write', 'admin'],
  manager: ['read', 'write'],
  developer: ['read', 'write'],
  viewer: ['read'],
  auditor: ['read'],
  none: [],
};

/** Roles of the systems that Guildhall takes over from, as a directory or an issuer of tokens may still name them. */
const earlierRoles: Record<string, Role> = {
  NO_ACCESS: 'none',
  MEMBER: 'developer',
  PM: 'manager',
  ADMIN: 'admin',
  DEVELOPER: 'developer',
  VIEWER: 'viewer',
};

/** The role of that name, ours or of an earlier system; null when there is none. */
export function roleNamed(name: string): Role | null {
  if ((roles as readonly string[]).includes(name)) return name as Role;
  return Object.hasOwn(earlierRoles, name) ? (earlierRoles[name] as Role) : null;
}

/** How far knowledge of a project may go, from anybody to a few. */
export const classifications = ['public', 'internal', 'confidential', 'restricted'] as const;
export type Classification = (typeof classifications)[number];

/** The clearance of those to whom none was given of their own. */
export const roleClearance: Record<Role, Classification> = {
  owner: 'restricted',
  admin: 'restricted',
  manager: 'confidential',
  developer: 'internal',
  viewer: 'internal',
  auditor: 'confidential',
  none: 'internal',
};

/** Classifications that a clearance does not reach. */
export const classificationsAbove = (clearance: Classification): readonly Classification[] =>
  classifications.slice(classifications.indexOf(clearance) + 1);

/** The matrix as a table of text, for the documentation: header, then a row for each permission. */
export function permissionTable(part: 'organization' | 'projects'): string[][] {
  const rows: Rows = part === 'organization' ? ofOrganization : ofProjectsAndTeams;
  return [
    ['permission', 'bundle', ...columns],
    ...Object.entries(rows).map(([name, [bundle, ...marks]]) => [
      name,
      bundle,
      ...marks.map(mark => (mark ? '✓' : '')),
    ]),
  ];
}
