/**
 * From a member, a service account or an API key to a principal, in one or two queries. Nothing is remembered between
 * requests: a role, a key or a member that is taken away is gone with the next one, on every replica.
 */
import { sql } from 'kysely';
import { minutes } from '../../base/time.ts';
import type { Db } from '../../platform/db/db.ts';
import { hashOf } from './credentials.ts';
import {
  type Classification,
  classificationsAbove,
  permissionsNamed,
  type Role,
  roleClearance,
  roleScopes,
  type Scope,
} from './permissions.ts';
import { type Narrowing, noReach, type Principal, type Reach } from './principal.ts';

/** What finding principals takes. */
export interface Finding {
  db: Db;
  now: Date;
  requestId: string;
  /** The organization that the deployment was installed with. */
  installationId: string;
}

/** Somebody as the tables have them: a member, or a service account. */
interface Found {
  kind: 'member' | 'service';
  id: string;
  name: string;
  role: Role;
  clearance: Classification | null;
  organizationId: string;
}

interface Credential {
  session?: { id: string; userId: string };
  csrfToken?: string;
  apiKeyId?: string;
  narrowing?: Narrowing | null;
  /** Bundles that the credential names; default: all of its owner's. */
  scopes?: readonly string[];
}

/** The principal behind an API key, or null. Notes the time of use, at most once a minute. */
export async function findKeyOwner(finding: Finding, key: string): Promise<Principal | null> {
  const { db, now } = finding;
  const row = await keys(finding).where('k.key_hash', '=', hashOf(key)).executeTakeFirst();
  if (!row) return null;
  if (!row.last_used_at || now.getTime() - row.last_used_at.getTime() > minutes(1)) {
    await db.updateTable('api_keys').set({ last_used_at: now }).where('id', '=', row.key_id).execute();
  }
  return toKeyPrincipal(finding, row);
}

/** The principal of a key that is known by its id: what a token that was made from it stands for, while it is valid. */
export async function findKeyOwnerById(finding: Finding, keyId: string): Promise<Principal | null> {
  const row = await keys(finding).where('k.id', '=', keyId).executeTakeFirst();
  return row ? toKeyPrincipal(finding, row) : null;
}

const keys = ({ db, now }: Finding) =>
  db
    .selectFrom('api_keys as k')
    .leftJoin('members as m', join =>
      join.onRef('m.id', '=', 'k.member_id').on('m.deactivated_at', 'is', null),
    )
    .leftJoin('service_accounts as s', join =>
      join.onRef('s.id', '=', 'k.service_account_id').on('s.disabled_at', 'is', null),
    )
    .where('k.revoked_at', 'is', null)
    .where(eb => eb.or([eb('k.expires_at', 'is', null), eb('k.expires_at', '>', now)]))
    .select(['k.id as key_id', 'k.scopes', 'k.project_ids', 'k.last_used_at', 'k.organization_id'])
    .select(['k.service_account_id', 'k.member_id'])
    .select(eb => [
      eb.fn.coalesce('m.name', 's.name').as('name'),
      eb.fn.coalesce('m.role', 's.role').as('role'),
      eb.fn.coalesce('m.clearance', 's.clearance').as('clearance'),
    ]);

type KeyRow = Awaited<ReturnType<ReturnType<typeof keys>['executeTakeFirstOrThrow']>>;

function toKeyPrincipal(finding: Finding, row: KeyRow): Promise<Principal> | null {
  // Its owner is deactivated: the joins above leave nothing of them.
  if (row.role === null || row.name === null) return null;
  const found: Found = {
    kind: row.member_id ? 'member' : 'service',
    id: (row.member_id ?? row.service_account_id) as string,
    name: row.name,
    role: row.role,
    clearance: row.clearance,
    organizationId: row.organization_id,
  };
  return toPrincipal(finding, found, {
    apiKeyId: row.key_id,
    scopes: row.scopes,
    narrowing: {
      permissions: permissionsNamed(row.scopes),
      projectIds: row.project_ids ? new Set(row.project_ids) : null,
    },
  });
}

/** The principal of a member, unless deactivated. */
export async function findMember(
  finding: Finding,
  memberId: string,
  credential: Credential = {},
): Promise<Principal | null> {
  const row = await finding.db
    .selectFrom('members')
    .where('id', '=', memberId)
    .where('deactivated_at', 'is', null)
    .select(['id', 'name', 'role', 'clearance', 'organization_id as organizationId'])
    .executeTakeFirst();
  return row ? toPrincipal(finding, { ...row, kind: 'member' }, credential) : null;
}

/** The membership of a person in an organization, unless deactivated: for those who switch between several. */
export async function findMembership(db: Db, userId: string, organizationId: string): Promise<string | null> {
  const row = await db
    .selectFrom('members')
    .where('user_id', '=', userId)
    .where('organization_id', '=', organizationId)
    .where('deactivated_at', 'is', null)
    .select('id')
    .executeTakeFirst();
  return row?.id ?? null;
}

/** The principal of a service account, unless disabled. */
export async function findServiceAccount(
  finding: Finding,
  id: string,
  credential: Credential = {},
): Promise<Principal | null> {
  const row = await finding.db
    .selectFrom('service_accounts')
    .where('id', '=', id)
    .where('disabled_at', 'is', null)
    .select(['id', 'name', 'role', 'clearance', 'organization_id as organizationId'])
    .executeTakeFirst();
  return row ? toPrincipal(finding, { ...row, kind: 'service' }, credential) : null;
}

async function toPrincipal(finding: Finding, found: Found, credential: Credential): Promise<Principal> {
  const { kind, id, name, role, organizationId } = found;
  const named = credential.scopes;
  return {
    actor: { id: `${kind}:${id}`, organizationId, requestId: finding.requestId },
    subject: { kind, id, name, role },
    member: kind === 'member' ? { id, name, role } : null,
    clearance: found.clearance ?? roleClearance[role],
    reach: await readReach(finding.db, found),
    narrowing: credential.narrowing ?? null,
    scopes: roleScopes[role].filter((scope: Scope) => named?.includes(scope) ?? true),
    atInstallation: organizationId === finding.installationId,
    run: null,
    session: credential.session ?? null,
    via: credential.apiKeyId ? 'key' : 'session',
    csrfToken: credential.csrfToken ?? null,
    apiKeyId: credential.apiKeyId ?? null,
  };
}

/** Roles on teams go down to the teams below and all their projects; those on projects hold there alone. */
async function readReach(db: Db, found: Found): Promise<Reach> {
  const { role, organizationId } = found;
  const above = classificationsAbove(found.clearance ?? roleClearance[role]);
  // Nothing can be added to these and nothing is above them: no need to look.
  if ((role === 'owner' || role === 'admin') && above.length === 0) return noReach;
  const { rows } = await sql<{ kind: 'project' | 'team' | 'hidden'; id: string; role: Role | null }>`
    with recursive bound as (
      select role, scope, scope_id from role_bindings
      where organization_id = ${organizationId} and subject = ${`${found.kind}:${found.id}`}
    ), below as (
      select b.role, t.id from bound b join teams t on b.scope = 'team' and t.id = b.scope_id
      union
      select below.role, t.id from below join teams t on t.parent_team_id = below.id
    )
    select 'project' as kind, scope_id as id, role from bound where scope = 'project'
    union all select 'project', p.id, below.role from below join projects p on p.team_id = below.id
    union all select 'team', id, role from below
    union all select 'hidden', id, null from projects
      where organization_id = ${organizationId} and classification = any (${[...above]}::text[])`.execute(db);
  const projects = new Map<string, Role[]>();
  const teams = new Map<string, Role[]>();
  const hidden = new Set<string>();
  for (const row of rows) {
    if (row.kind === 'hidden') hidden.add(row.id);
    else if (row.role) {
      const roles = row.kind === 'project' ? projects : teams;
      roles.set(row.id, [...(roles.get(row.id) ?? []), row.role]);
    }
  }
  return { projects, teams, hidden };
}
