/**
 * Sessions of people in browsers. The table is the one truth for all replicas: a session holds while its row is there
 * and not past its end, so deleting the row ends it everywhere at once. The cookie holds a random token of which the
 * database has only the hash; the CSRF token is computed from it, so that it belongs to this very session.
 */
import { createHmac } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { newId } from '../../base/ids.ts';
import { Problem } from '../../base/problem.ts';
import { hours } from '../../base/time.ts';
import type { Reader, Tx } from '../../platform/db/db.ts';
import type { Row } from '../../platform/db/schema.ts';
import { type Actor, appendAudit } from '../../platform/journal/facts.ts';
import { hashOf, newToken } from './credentials.ts';

export const sessionLifeMs = hours(24 * 14);

const cookieName = 'guildhall_session';
/** Browsers take a cookie of this name only over https, for this host alone and for all of its paths. */
const secureCookieName = `__Host-${cookieName}`;

/** Requests of a server behind https carry the one cookie, all others the other one. */
const isSecure = (request: FastifyRequest): boolean => request.server.behindHttps === true;
declare module 'fastify' {
  interface FastifyInstance {
    /** Whether people reach this server by https. */
    behindHttps?: boolean;
  }
}

/** The token in the session cookie of a request. */
export function sessionTokenOf(request: FastifyRequest): string | null {
  return request.cookies[isSecure(request) ? secureCookieName : cookieName] ?? null;
}

export function setSessionCookie(request: FastifyRequest, reply: FastifyReply, session: OpenedSession): void {
  const secure = isSecure(request);
  reply.setCookie(secure ? secureCookieName : cookieName, session.token, {
    path: '/',
    httpOnly: true,
    sameSite: 'strict',
    secure,
    expires: session.expiresAt,
  });
}

export function clearSessionCookie(request: FastifyRequest, reply: FastifyReply): void {
  const secure = isSecure(request);
  reply.clearCookie(secure ? secureCookieName : cookieName, {
    path: '/',
    secure,
    httpOnly: true,
    sameSite: 'strict',
  });
}

/** A new session's token is known here once; afterwards only to the browser. */
export const newSessionToken = (): { token: string; hash: string } => {
  const token = newToken('ghs');
  return { token, hash: hashOf(token) };
};

const csrfTokenOf = (token: string): string =>
  createHmac('sha256', token).update('guildhall csrf token').digest('base64url');

export interface OpenedSession {
  token: string;
  expiresAt: Date;
}

export interface Session {
  id: string;
  userId: string;
  memberId: string | null;
  organizationId: string | null;
  csrfToken: string;
}

/** The session that a request's cookie belongs to, with the membership that it is for; null when there is none. */
export async function findSession(db: Reader, now: Date, request: FastifyRequest): Promise<Session | null> {
  const token = sessionTokenOf(request);
  return token ? findSessionByToken(db, now, token) : null;
}

export async function findSessionByToken(db: Reader, now: Date, token: string): Promise<Session | null> {
  const row = await db
    .selectFrom('sessions as s')
    .leftJoinLateral(
      eb =>
        eb
          .selectFrom('members as m')
          .whereRef('m.user_id', '=', 's.user_id')
          .where('m.deactivated_at', 'is', null)
          .select(['m.id', 'm.organization_id'])
          .orderBy(
            sort => sort('m.id', '=', sort.ref('s.member_id')),
            sort => sort.desc().nullsLast(),
          )
          .orderBy(sort => sort('m.role', '<>', 'none'), 'desc')
          .orderBy('m.created_at')
          .limit(1)
          .as('m'),
      join => join.onTrue(),
    )
    .where('s.token_hash', '=', hashOf(token))
    .where('s.expires_at', '>', now)
    .select(['s.id', 's.user_id', 'm.id as member_id', 'm.organization_id'])
    .executeTakeFirst();
  if (!row) return null;
  return {
    id: row.id,
    userId: row.user_id,
    memberId: row.member_id,
    organizationId: row.organization_id,
    csrfToken: csrfTokenOf(token),
  };
}

/** Where a session came from, for the person who looks at the list of theirs. */
export interface SessionOrigin {
  method: string;
  address: string;
  userAgent: string;
}

export const originOf = (request: FastifyRequest, method: string): SessionOrigin => ({
  method,
  address: request.ip,
  userAgent: (request.headers['user-agent'] ?? '').slice(0, 300),
});

/** Opens a session of a user, for one membership. The caller appends the audit record of how it came about. */
export async function openSession(
  tx: Tx,
  now: Date,
  of: { userId: string; memberId: string | null },
  origin: SessionOrigin,
): Promise<OpenedSession & { id: string }> {
  const { token, hash } = newSessionToken();
  const id = newId('ses');
  const expiresAt = new Date(now.getTime() + sessionLifeMs);
  await tx
    .insertInto('sessions')
    .values({
      id,
      user_id: of.userId,
      member_id: of.memberId,
      token_hash: hash,
      method: origin.method,
      ip_address: origin.address,
      user_agent: origin.userAgent,
      created_at: now,
      updated_at: now,
      expires_at: expiresAt,
    })
    .execute();
  return { id, token, expiresAt };
}

/** A person's sessions that hold, newest first. */
export function listSessions(db: Reader, now: Date, userId: string): Promise<Row<'sessions'>[]> {
  return db
    .selectFrom('sessions')
    .selectAll()
    .where('user_id', '=', userId)
    .where('expires_at', '>', now)
    .orderBy('created_at', 'desc')
    .orderBy('id', 'desc')
    .limit(200)
    .execute();
}

/** Ends one session of a person. @throws Problem `session_missing`. */
export async function endSession(
  tx: Tx,
  actor: Actor,
  now: Date,
  of: { userId: string; sessionId: string },
): Promise<void> {
  const ended = await tx
    .deleteFrom('sessions')
    .where('id', '=', of.sessionId)
    .where('user_id', '=', of.userId)
    .returning('id')
    .executeTakeFirst();
  if (!ended) throw new Problem('missing', 'session_missing', 'There is no such session; it may have ended.');
  await appendAudit(tx, actor, now, 'session.revoke', of.sessionId, 'ok', { user: of.userId });
}

/** Ends all sessions of a person, except perhaps one. @returns how many. */
export async function endSessions(
  tx: Tx,
  actor: Actor,
  now: Date,
  of: { userId: string; except?: string },
): Promise<number> {
  let query = tx.deleteFrom('sessions').where('user_id', '=', of.userId);
  if (of.except) query = query.where('id', '<>', of.except);
  const ended = await query.returning('id').execute();
  await appendAudit(tx, actor, now, 'session.revoke_all', of.userId, 'ok', {
    count: ended.length,
    kept: of.except ?? null,
  });
  return ended.length;
}

/** Removes sessions and unfinished sign-ins that are past their end; a bounded number at a time. */
export async function sweepSessions(tx: Tx, now: Date, most: number): Promise<void> {
  for (const table of ['sessions', 'verifications'] as const) {
    const old = tx.selectFrom(table).select('id').where('expires_at', '<=', now).limit(most);
    await tx.deleteFrom(table).where('id', 'in', old).execute();
  }
}
