/** Service accounts: programs as somebody of their own, with a role and a clearance; they outlive who made them. */
import { newId } from '../../base/ids.ts';
import { Problem } from '../../base/problem.ts';
import type { Reader, Tx } from '../../platform/db/db.ts';
import type { Row } from '../../platform/db/schema.ts';
import { type Actor, appendAudit, appendEvent } from '../../platform/journal/facts.ts';
import { revokeKeysOf } from './api-keys.ts';
import type { Classification, Role } from './permissions.ts';

export type ServiceAccount = Row<'service_accounts'>;

/** @throws Problem `service_account_exists`. */
export async function createServiceAccount(
  tx: Tx,
  actor: Actor,
  now: Date,
  input: { name: string; role: Role; clearance: Classification | null },
): Promise<ServiceAccount> {
  const made = await tx
    .insertInto('service_accounts')
    .values({
      id: newId('svc'),
      organization_id: actor.organizationId,
      ...input,
      created_by: actor.id,
      created_at: now,
    })
    .onConflict(oc => oc.columns(['organization_id', 'name']).doNothing())
    .returningAll()
    .executeTakeFirst();
  if (!made) {
    throw new Problem(
      'conflict',
      'service_account_exists',
      `There is a service account named ${input.name} already.`,
    );
  }
  await appendAudit(tx, actor, now, 'service_account.create', made.id, 'ok', input);
  await appendEvent(tx, actor, now, 'service_account.created', {}, { id: made.id, name: made.name });
  return made;
}

/** @throws Problem `service_account_missing`. */
export async function getServiceAccount(db: Reader, actor: Actor, id: string): Promise<ServiceAccount> {
  const row = await db
    .selectFrom('service_accounts')
    .selectAll()
    .where('id', '=', id)
    .where('organization_id', '=', actor.organizationId)
    .executeTakeFirst();
  if (!row) throw new Problem('missing', 'service_account_missing', 'There is no such service account.');
  return row;
}

/** Newest first. */
export function listServiceAccounts(
  db: Reader,
  actor: Actor,
  page: { before?: string; limit: number },
): Promise<ServiceAccount[]> {
  let query = db
    .selectFrom('service_accounts')
    .selectAll()
    .where('organization_id', '=', actor.organizationId);
  if (page.before) query = query.where('id', '<', page.before);
  return query.orderBy('id', 'desc').limit(page.limit).execute();
}

/** Disables a service account with all its keys and tokens, for good. @throws Problem `service_account_missing`. */
export async function disableServiceAccount(
  tx: Tx,
  actor: Actor,
  now: Date,
  id: string,
): Promise<ServiceAccount> {
  const account = await getServiceAccount(tx, actor, id);
  if (account.disabled_at)
    throw new Problem('conflict', 'service_account_disabled', 'This service account is disabled already.');
  const keys = await revokeKeysOf(tx, actor, now, { serviceAccountId: id });
  const row = await tx
    .updateTable('service_accounts')
    .set({ disabled_at: now })
    .where('id', '=', id)
    .returningAll()
    .executeTakeFirstOrThrow();
  await appendAudit(tx, actor, now, 'service_account.disable', id, 'ok', { keys });
  await appendEvent(tx, actor, now, 'service_account.disabled', {}, { id, name: row.name });
  return row;
}
