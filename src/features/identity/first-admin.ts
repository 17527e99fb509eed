/**
 * The first admin: the owner that the installation made belongs to nobody until somebody claims it, by the one-time
 * link that the start prints or by `guildhall admin bootstrap`. That works once: whoever comes later is invited.
 */
import { sql } from 'kysely';
import { Problem } from '../../base/problem.ts';
import type { Tx } from '../../platform/db/db.ts';
import { type Actor, appendAudit } from '../../platform/journal/facts.ts';
import type { Installation } from './installation.ts';
import { createSignInLink } from './sign-in-links.ts';
import { emailTaken, findUserByEmail, setPassword, userOfMember } from './users.ts';

export interface FirstAdmin {
  email: string;
  name: string | null;
  /** Null: they set it with a link. */
  password: string | null;
}

/**
 * Gives the installation's owner an address, and a password or the token of a link to set one.
 * @throws Problem `bootstrapped_already`, `email_taken`, `password_…`.
 */
export async function bootstrapAdmin(
  tx: Tx,
  actor: Actor,
  now: Date,
  installation: Installation,
  admin: FirstAdmin,
): Promise<{ token: string | null }> {
  const userId = await userOfMember(tx, now, installation.ownerId);
  // Locked until the end: of two who come at once the second one sees what the first one did.
  const user = await tx
    .selectFrom('users')
    .select(['id', 'name'])
    .where('id', '=', userId)
    .forUpdate()
    .executeTakeFirstOrThrow();
  if (await hasAdmin(tx, installation.organizationId)) {
    throw new Problem(
      'conflict',
      'bootstrapped_already',
      'There is an admin already. Sign in as them and invite others; who is locked out gets in with `guildhall login --link` on the server.',
    );
  }
  const email = admin.email.toLowerCase();
  const holder = await findUserByEmail(tx, email);
  if (holder && holder.id !== userId) throw emailTaken();
  const name = admin.name ?? user.name;
  // Whoever can run this has the server: their word about the address is good enough to join a provider to it.
  const change = { email, name, email_verified: true, updated_at: now };
  await tx.updateTable('users').set(change).where('id', '=', userId).execute();
  await tx.updateTable('members').set({ name }).where('id', '=', installation.ownerId).execute();
  await appendAudit(tx, actor, now, 'admin.bootstrap', installation.ownerId, 'ok');
  if (admin.password === null)
    return { token: await createSignInLink(tx, actor, now, installation.ownerId, 'set_password') };
  await setPassword(tx, now, { id: userId, name, email }, admin.password);
  return { token: null };
}

/** Whether somebody who administers the organization can sign in by themselves. */
async function hasAdmin(tx: Tx, organizationId: string): Promise<boolean> {
  const { rows } = await sql<{ found: boolean }>`
    select exists (
      select from members m
      where m.organization_id = ${organizationId} and m.role in ('owner', 'admin') and m.deactivated_at is null
        and (exists (select from accounts a where a.user_id = m.user_id)
          or exists (select from passkeys p where p.user_id = m.user_id))
    ) as found`.execute(tx);
  return rows[0]?.found === true;
}
