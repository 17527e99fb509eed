/** The installation: the first organization with its owner and its first project, made at the first start. */
import { sql } from 'kysely';
import { newId } from '../../base/ids.ts';
import type { Reader, Tx } from '../../platform/db/db.ts';
import { appendAudit } from '../../platform/journal/facts.ts';
import { createUser } from './users.ts';

export interface Installation {
  organizationId: string;
  projectId: string;
  ownerId: string;
}

const installationLock = 7_204_812_118;

/** Makes the first organization, its owner and its first project; later calls find them as they are. */
export async function ensureInstallation(tx: Tx, now: Date): Promise<Installation> {
  // Held to the end of the transaction, in which the first team is made too: of several that start, one makes them.
  await sql`select pg_advisory_xact_lock(${installationLock}::bigint)`.execute(tx);
  const found = await findInstallation(tx);
  if (found) return found;
  const made = { organizationId: newId('org'), projectId: newId('proj'), ownerId: newId('mem') };
  await tx
    .insertInto('organizations')
    .values({ id: made.organizationId, name: 'My organization', created_at: now })
    .execute();
  await tx
    .insertInto('projects')
    .values({ id: made.projectId, organization_id: made.organizationId, name: 'default', created_at: now })
    .execute();
  const userId = await createUser(tx, now, { name: 'Owner', email: null, emailVerified: false });
  await tx
    .insertInto('members')
    .values({
      id: made.ownerId,
      organization_id: made.organizationId,
      user_id: userId,
      name: 'Owner',
      role: 'owner',
      created_at: now,
    })
    .execute();
  const actor = { id: 'system', organizationId: made.organizationId, requestId: newId('req') };
  await appendAudit(tx, actor, now, 'organization.create', made.organizationId, 'ok');
  return made;
}

export async function findInstallation(db: Reader): Promise<Installation | null> {
  const row = await db
    .selectFrom('organizations as o')
    .innerJoin('projects as p', 'p.organization_id', 'o.id')
    .innerJoin('members as m', 'm.organization_id', 'o.id')
    .where('m.role', '=', 'owner')
    .select(['o.id as organizationId', 'p.id as projectId', 'm.id as ownerId'])
    .orderBy('o.created_at')
    .orderBy('p.created_at')
    .orderBy('m.created_at')
    .limit(1)
    .executeTakeFirst();
  return row ?? null;
}
