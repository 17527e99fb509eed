/**
 * Secrets of an organization: a name, and a sealed value that goes in and is used, but never comes out over the API.
 * Setting a name again makes the next version and erases the value before; revoking erases it too. What is in use
 * notices within the time that its user keeps a value (`keptMs`).
 */
import { newId } from '../../base/ids.ts';
import { Problem } from '../../base/problem.ts';
import { minutes, seconds } from '../../base/time.ts';
import type { Db, Reader, Tx } from '../../platform/db/db.ts';
import type { Row } from '../../platform/db/schema.ts';
import { type Actor, appendAudit, appendEvent } from '../../platform/journal/facts.ts';
import { redactor } from '../../platform/secrets/redactor.ts';
import type { Sealer } from '../../platform/secrets/sealer.ts';

export type Secret = Omit<Row<'secrets'>, 'sealed_value'>;

/** How long whoever uses a secret may keep its value: with this, a revocation is effective everywhere. */
export const keptMs = seconds(15);

/** Words of lower-case letters, digits, `.`, `_` and `-`, with `/` between them. */
export const nameForm = /^[a-z0-9][a-z0-9._-]*(\/[a-z0-9][a-z0-9._-]*)*$/;

/** What a value is bound to: sealed under one name, it does not open under another. */
export const contextOf = (organizationId: string, name: string): string => `secret:${organizationId}:${name}`;

const columns = [
  'id',
  'organization_id',
  'name',
  'version',
  'created_by',
  'created_at',
  'rotate_by',
  'last_used_at',
  'replaced_at',
  'revoked_at',
] as const;

/** Sets a secret: its first version, or the next one, which replaces the one in force. */
export async function putSecret(
  tx: Tx,
  sealer: Sealer,
  actor: Actor,
  now: Date,
  input: { name: string; value: string; rotateBy: Date | null },
): Promise<Secret> {
  redactor.learn(input.value);
  const { organizationId } = actor;
  const { name } = input;
  const newest = await tx
    .selectFrom('secrets')
    .select(['id', 'version'])
    .where('organization_id', '=', organizationId)
    .where('name', '=', name)
    .orderBy('version', 'desc')
    .limit(1)
    .forUpdate()
    .executeTakeFirst();
  await tx
    .updateTable('secrets')
    .set({ sealed_value: null, replaced_at: now })
    .where('organization_id', '=', organizationId)
    .where('name', '=', name)
    .where('sealed_value', 'is not', null)
    .execute();
  const version = (newest?.version ?? 0) + 1;
  const made = await tx
    .insertInto('secrets')
    .values({
      id: newId('sec', now.getTime()),
      organization_id: organizationId,
      name,
      version,
      sealed_value: sealer.seal(input.value, contextOf(organizationId, name)),
      created_by: actor.id,
      created_at: now,
      rotate_by: input.rotateBy,
    })
    .returning(columns)
    .executeTakeFirstOrThrow();
  const facts = { name, version, rotate_by: input.rotateBy?.toISOString() ?? null };
  await appendAudit(tx, actor, now, version === 1 ? 'secret.create' : 'secret.rotate', made.id, 'ok', facts);
  await appendEvent(tx, actor, now, 'secret.set', {}, { name, version });
  return made;
}

/** Erases the value in force. @throws Problem `secret_missing`. */
export async function revokeSecret(tx: Tx, actor: Actor, now: Date, name: string): Promise<Secret> {
  const revoked = await tx
    .updateTable('secrets')
    .set({ sealed_value: null, revoked_at: now })
    .where('organization_id', '=', actor.organizationId)
    .where('name', '=', name)
    .where('sealed_value', 'is not', null)
    .returning(columns)
    .executeTakeFirst();
  if (!revoked)
    throw new Problem('missing', 'secret_missing', `There is no secret ${name}, or it is revoked already.`);
  await appendAudit(tx, actor, now, 'secret.revoke', revoked.id, 'ok', { name, version: revoked.version });
  await appendEvent(tx, actor, now, 'secret.revoked', {}, { name, version: revoked.version });
  return revoked;
}

/** Secrets in force, or with a name all versions of that one, newest first. Never their values. */
export function listSecrets(
  db: Reader,
  actor: Actor,
  page: { name?: string; before?: string; limit: number },
): Promise<Secret[]> {
  let query = db.selectFrom('secrets').select(columns).where('organization_id', '=', actor.organizationId);
  query = page.name ? query.where('name', '=', page.name) : query.where('sealed_value', 'is not', null);
  if (page.before) query = query.where('id', '<', page.before);
  return query.orderBy('id', 'desc').limit(page.limit).execute();
}

/** The value in force, for who is about to use it; null when there is none. Notes the use, at most once a minute. */
export async function openSecret(
  db: Db,
  sealer: Sealer,
  now: Date,
  organizationId: string,
  name: string,
): Promise<string | null> {
  const row = await db
    .selectFrom('secrets')
    .select(['id', 'sealed_value', 'last_used_at'])
    .where('organization_id', '=', organizationId)
    .where('name', '=', name)
    .where('sealed_value', 'is not', null)
    .executeTakeFirst();
  if (!row?.sealed_value) return null;
  if (!row.last_used_at || now.getTime() - row.last_used_at.getTime() > minutes(1))
    await db.updateTable('secrets').set({ last_used_at: now }).where('id', '=', row.id).execute();
  return sealer.open(row.sealed_value, contextOf(organizationId, name)).toString();
}
