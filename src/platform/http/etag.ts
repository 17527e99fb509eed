/**
 * ETags on what is read: the same body has the same tag, and a client that has it is answered 304 without the body.
 * Weak, since the same facts may be encoded differently on the way (compression by a proxy).
 * RFC 9110: https://www.rfc-editor.org/rfc/rfc9110#field.etag
 */
import { createHash } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { sql } from 'kysely';
import type { z } from 'zod';
import { Problem } from '../../base/problem.ts';
import type { Tx } from '../db/db.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The handler looks at `If-Match`, with `requireMatch`. */
    conditional?: boolean;
  }
}

const tagOf = (payload: string): string =>
  `W/"${createHash('sha256').update(payload).digest('base64url').slice(0, 22)}"`;

/** An `onSend` hook. */
export async function tagBody(
  request: FastifyRequest,
  reply: FastifyReply,
  payload: unknown,
): Promise<unknown> {
  if (request.method !== 'GET' || reply.statusCode !== 200 || typeof payload !== 'string') return payload;
  if (!String(reply.getHeader('content-type')).startsWith('application/json')) return payload;
  const tag = tagOf(payload);
  reply.header('etag', tag);
  // Kept, but asked about each time: what is shown is never older than the answer.
  if (!reply.hasHeader('cache-control')) reply.header('cache-control', 'private, no-cache');
  if (!matches(request.headers['if-none-match'], tag)) return payload;
  reply.status(304).removeHeader('content-type').removeHeader('content-length');
  return null;
}

/**
 * For a change: with `If-Match` it is made only to what the caller has read. Conditional changes of one address wait
 * for each other, so that of two who have read the same the second is refused. Compared weakly, since what our tags
 * stand for is the content. @throws Problem `changed_meanwhile`.
 */
export async function requireMatch<T extends z.ZodType>(
  tx: Tx,
  request: FastifyRequest,
  schema: T,
  read: () => Promise<z.input<T>>,
): Promise<void> {
  const given = request.headers['if-match'];
  if (given === undefined) return;
  const address = request.url.split('?')[0] as string;
  await sql`select pg_advisory_xact_lock(hashtextextended(${address}, 0))`.execute(tx);
  if (matches(given, tagOf(JSON.stringify(schema.parse(await read()))))) return;
  throw new Problem(
    'conflict',
    'changed_meanwhile',
    'Somebody has changed it since you read it. Read it again, then repeat your change.',
    { status: 412 },
  );
}

/** Weak comparison, as If-None-Match asks for. */
function matches(header: string | undefined, tag: string): boolean {
  if (header === undefined) return false;
  const opaque = (text: string) => text.trim().replace(/^W\//, '');
  return header.trim() === '*' || header.split(',').some(given => opaque(given) === opaque(tag));
}
