/**
 * Users: the people of this deployment. A user says only who somebody is; what they may do comes from being a member
 * of an organization. Whoever signs in has at least one membership: at first one with the role `none`.
 */
import { newId } from '../../base/ids.ts';
import { Problem } from '../../base/problem.ts';
import type { Reader, Tx } from '../../platform/db/db.ts';
import type { Row } from '../../platform/db/schema.ts';
import { appendAudit, appendEvent } from '../../platform/journal/facts.ts';
import { hashPassword, requireGoodPassword } from './passwords.ts';

export interface NewUser {
  name: string;
  /** Null: an owner whom nobody has claimed yet. */
  email: string | null;
  /** Whether somebody we trust vouches that the address is theirs: only then may a provider be joined to it. */
  emailVerified: boolean;
}

/** @throws Problem `email_taken`. */
export async function createUser(tx: Tx, now: Date, input: NewUser): Promise<string> {
  const id = newId('usr');
  const made = await tx
    .insertInto('users')
    .values({
      id,
      name: input.name,
      email: input.email?.toLowerCase() ?? null,
      email_verified: input.emailVerified,
      created_at: now,
      updated_at: now,
    })
    .onConflict(oc => oc.column('email').doNothing())
    .returning('id')
    .executeTakeFirst();
  if (made) return id;
  throw emailTaken();
}

export const emailTaken = (): Problem =>
  new Problem('conflict', 'email_taken', 'Somebody signs in with this e-mail address already.');

export function findUserByEmail(db: Reader, email: string): Promise<Row<'users'> | undefined> {
  return db.selectFrom('users').selectAll().where('email', '=', email.toLowerCase()).executeTakeFirst();
}

/** The user behind a member; members of before there were users get one. */
export async function userOfMember(tx: Tx, now: Date, memberId: string): Promise<string> {
  const member = await tx
    .selectFrom('members')
    .select(['user_id', 'name'])
    .where('id', '=', memberId)
    .forUpdate()
    .executeTakeFirstOrThrow();
  if (member.user_id) return member.user_id;
  const userId = await createUser(tx, now, { name: member.name, email: null, emailVerified: false });
  await tx.updateTable('members').set({ user_id: userId }).where('id', '=', memberId).execute();
  return userId;
}

/**
 * Makes a user a member: a new one, or with another role the one that has no access yet. Others stay as they are.
 * @returns the member's id.
 */
export async function joinOrganization(
  tx: Tx,
  now: Date,
  user: { id: string; name: string },
  place: { organizationId: string; role: Row<'members'>['role']; by: string; requestId: string },
): Promise<string> {
  const actor = { id: place.by, organizationId: place.organizationId, requestId: place.requestId };
  const row = await tx
    .insertInto('members')
    .values({
      id: newId('mem'),
      organization_id: place.organizationId,
      user_id: user.id,
      name: user.name,
      role: place.role,
      created_at: now,
    })
    .onConflict(oc =>
      oc
        .columns(['organization_id', 'user_id'])
        .where('user_id', 'is not', null)
        .doUpdateSet({ role: place.role })
        .where('members.role', '=', 'none'),
    )
    .returning('id')
    .executeTakeFirst();
  if (!row) throw new Problem('conflict', 'member_already', 'You are a member of this organization already.');
  await appendAudit(tx, actor, now, 'member.join', row.id, 'ok', { role: place.role, user: user.id });
  await appendEvent(tx, actor, now, 'member.joined', {}, { id: row.id, name: user.name, role: place.role });
  return row.id;
}

/** Gives a user who has no membership at all one without access, so that an admin finds them. */
export async function ensureMembership(
  tx: Tx,
  now: Date,
  userId: string,
  organizationId: string,
  requestId: string,
): Promise<void> {
  const user = await tx
    .selectFrom('users')
    .select(['id', 'name', 'email'])
    .where('id', '=', userId)
    .forUpdate()
    .executeTakeFirstOrThrow();
  const member = await tx.selectFrom('members').select('id').where('user_id', '=', userId).executeTakeFirst();
  if (member) return;
  const name = user.name || (user.email ?? 'Somebody');
  await joinOrganization(
    tx,
    now,
    { id: userId, name },
    { organizationId, role: 'none', by: 'system', requestId },
  );
}

/** The password of a user, as a hash; null when they have none. */
export async function findPasswordHash(db: Reader, userId: string): Promise<string | null> {
  const row = await db
    .selectFrom('accounts')
    .select('password_hash')
    .where('user_id', '=', userId)
    .where('provider_id', '=', 'credential')
    .executeTakeFirst();
  return row?.password_hash ?? null;
}

/** Sets or replaces a user's password. @throws Problem `password_…`. */
export async function setPassword(
  tx: Tx,
  now: Date,
  user: { id: string; name: string; email: string | null },
  password: string,
): Promise<void> {
  requireGoodPassword(password, user);
  const hash = await hashPassword(password);
  await tx
    .insertInto('accounts')
    .values({
      id: newId('acc'),
      user_id: user.id,
      provider_id: 'credential',
      account_id: user.id,
      password_hash: hash,
      created_at: now,
      updated_at: now,
    })
    .onConflict(oc =>
      oc.columns(['provider_id', 'account_id']).doUpdateSet({ password_hash: hash, updated_at: now }),
    )
    .execute();
}
