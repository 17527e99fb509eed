/**
 * The end of a sign-in: its audit record, and only then the cookie. The library has stored the session by then; when
 * the record cannot be written the session is taken back, so that nobody is in without a trace.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { type Db, transact } from '../../platform/db/db.ts';
import { type Actor, appendAudit } from '../../platform/journal/facts.ts';
import { findSessionByToken, type OpenedSession, setSessionCookie } from './sessions.ts';
import { spendCode } from './used-codes.ts';
import { findUserByEmail } from './users.ts';

export interface OutcomeDeps {
  db: Db;
  /** Where records go of those who are nobody yet. */
  installationId: string;
}

/** Records that somebody is in, and gives the browser the cookie. */
export async function admitPerson(
  deps: OutcomeDeps,
  now: Date,
  request: FastifyRequest,
  reply: FastifyReply,
  opened: OpenedSession,
  method: string,
): Promise<void> {
  const session = await findSessionByToken(deps.db, now, opened.token);
  if (!session) throw new Error('a session that was just opened is not there');
  const actor: Actor = {
    id: session.memberId ? `member:${session.memberId}` : 'anonymous',
    organizationId: session.organizationId ?? deps.installationId,
    requestId: request.id,
  };
  try {
    await transact(deps.db, tx =>
      appendAudit(tx, actor, now, 'session.create', session.id, 'ok', { method, user: session.userId }),
    );
  } catch (error) {
    await deps.db.deleteFrom('sessions').where('id', '=', session.id).execute();
    throw error;
  }
  setSessionCookie(request, reply, opened);
}

/** Whether a code that has opened a session was new; otherwise the session is taken back. */
export async function isFirstUse(
  { db }: OutcomeDeps,
  now: Date,
  opened: OpenedSession,
  code: string,
): Promise<boolean> {
  const session = await findSessionByToken(db, now, opened.token);
  if (session && (await spendCode(db, now, session.userId, code))) return true;
  if (session) await db.deleteFrom('sessions').where('id', '=', session.id).execute();
  return false;
}

/** Records that somebody was not let in. What they typed is not kept: it may be a password in the wrong field. */
export async function recordRefusal(
  deps: OutcomeDeps,
  now: Date,
  request: FastifyRequest,
  of: { method: string; reason: string; email?: string },
): Promise<void> {
  const user = of.email ? await findUserByEmail(deps.db, of.email) : undefined;
  const actor: Actor = { id: 'anonymous', organizationId: deps.installationId, requestId: request.id };
  const data = { method: of.method, reason: of.reason, address: request.ip };
  await transact(deps.db, tx =>
    appendAudit(tx, actor, now, 'session.create', user?.id ?? null, 'refused', data),
  );
}
