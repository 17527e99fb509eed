/**
 * A code of an authenticator app signs in once (RFC 6238, section 5.2): whoever has seen it typed cannot use it again
 * in the minute or so that it stays good. What is kept is a hash, until the code has run out.
 */
import { minutes } from '../../base/time.ts';
import type { Db } from '../../platform/db/db.ts';
import { hashOf } from './credentials.ts';

/** The library takes a code of thirty seconds before and after, too. */
const goodForMs = minutes(2);

/** @returns whether this is the first use of the code by this person. */
export async function spendCode(db: Db, now: Date, userId: string, code: string): Promise<boolean> {
  const name = hashOf(`${userId} ${code}`).slice(0, 26);
  const times = { created_at: now, updated_at: now, expires_at: new Date(now.getTime() + goodForMs) };
  const first = await db
    .insertInto('verifications')
    .values({ id: `used_${name}`, identifier: `used_${name}`, value: '', ...times })
    .onConflict(oc => oc.column('id').doUpdateSet(times).where('verifications.expires_at', '<=', now))
    .returning('id')
    .executeTakeFirst();
  return first !== undefined;
}
