/** Role bindings: what somebody may do on one team (and below it) or one project, beyond their role. */
import { Problem } from '../../base/problem.ts';
import type { Reader, Tx } from '../../platform/db/db.ts';
import type { Row } from '../../platform/db/schema.ts';
import { appendAudit, appendEvent } from '../../platform/journal/facts.ts';
import { requireHolds } from './members.ts';
import type { Role } from './permissions.ts';
import { may, type Principal, requireMay } from './principal.ts';

export type RoleBinding = Row<'role_bindings'>;

export interface Grant {
  /** `member:mem_…` or `service:svc_…`. */
  subject: string;
  /** `none` takes the role away. */
  role: Role;
  scope: 'team' | 'project';
  scopeId: string;
}

const whereOf = (of: { scope: 'team' | 'project'; scopeId: string }) =>
  of.scope === 'team' ? { teamId: of.scopeId } : { projectId: of.scopeId };

/** @throws Problem `team_missing`, `project_missing`, `permission_missing`, `role_not_held`, `subject_missing`. */
export async function grantRole(tx: Tx, principal: Principal, now: Date, grant: Grant): Promise<void> {
  const { actor } = principal;
  const { subject, role, scope, scopeId } = grant;
  await requireScopeExists(tx, principal, grant);
  await requireSubject(tx, actor.organizationId, subject);
  const target = tx
    .selectFrom('role_bindings')
    .selectAll()
    .where('organization_id', '=', actor.organizationId)
    .where('subject', '=', subject)
    .where('scope', '=', scope)
    .where('scope_id', '=', scopeId);
  const before = await target.forUpdate().executeTakeFirst();
  for (const held of [role, before?.role ?? 'none'] as const) requireHolds(principal, held, whereOf(grant));
  if (role === 'none') {
    await tx
      .deleteFrom('role_bindings')
      .where('organization_id', '=', actor.organizationId)
      .where('subject', '=', subject)
      .where('scope', '=', scope)
      .where('scope_id', '=', scopeId)
      .execute();
  } else {
    const made = { role, granted_by: actor.id, created_at: now };
    await tx
      .insertInto('role_bindings')
      .values({ organization_id: actor.organizationId, subject, scope, scope_id: scopeId, ...made })
      .onConflict(oc => oc.columns(['organization_id', 'subject', 'scope', 'scope_id']).doUpdateSet(made))
      .execute();
  }
  const facts = { subject, role, scope, scope_id: scopeId, role_before: before?.role ?? 'none' };
  await appendAudit(tx, actor, now, 'role.grant', scopeId, 'ok', facts);
  await appendEvent(tx, actor, now, 'role.granted', {}, facts);
}

async function requireScopeExists(tx: Tx, principal: Principal, grant: Grant): Promise<void> {
  const missing = () =>
    new Problem('missing', `${grant.scope}_missing`, `There is no ${grant.scope} ${grant.scopeId}.`);
  const table = grant.scope === 'team' ? 'teams' : 'projects';
  const found = await tx
    .selectFrom(table)
    .select('id')
    .where('id', '=', grant.scopeId)
    .where('organization_id', '=', principal.actor.organizationId)
    .executeTakeFirst();
  if (!found) throw missing();
  requireMay(principal, 'role.grant', whereOf(grant), missing);
}

async function requireSubject(tx: Tx, organizationId: string, subject: string): Promise<void> {
  const [kind, id = ''] = subject.split(':');
  const found =
    kind === 'member'
      ? await tx
          .selectFrom('members')
          .select('id')
          .where('id', '=', id)
          .where('organization_id', '=', organizationId)
          .where('deactivated_at', 'is', null)
          .executeTakeFirst()
      : await tx
          .selectFrom('service_accounts')
          .select('id')
          .where('id', '=', id)
          .where('organization_id', '=', organizationId)
          .where('disabled_at', 'is', null)
          .executeTakeFirst();
  if (!found) throw new Problem('invalid', 'subject_missing', `There is nobody active behind ${subject}.`);
}

/** Those that somebody may read, in the order of their subjects; at most 1,000. */
export async function listRoleBindings(
  db: Reader,
  principal: Principal,
  filter: { subject?: string; scopeId?: string },
): Promise<RoleBinding[]> {
  let query = db
    .selectFrom('role_bindings')
    .selectAll()
    .where('organization_id', '=', principal.actor.organizationId);
  if (filter.subject) query = query.where('subject', '=', filter.subject);
  if (filter.scopeId) query = query.where('scope_id', '=', filter.scopeId);
  const rows = await query.orderBy('subject').orderBy('scope').orderBy('scope_id').limit(1_000).execute();
  return rows.filter(row =>
    may(principal, 'role.read', whereOf({ scope: row.scope, scopeId: row.scope_id })),
  );
}
