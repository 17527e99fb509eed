/**
 * ETags on what is read: the same body has the same tag, and a client that has it is answered 304 without the body.
 * Weak, since the same facts may be encoded differently on the way (compression by a proxy).
 * RFC 9110: https://www.rfc-editor.org/rfc/rfc9110#field.etag
 */
import { createHash } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';

/** An `onSend` hook. */
export async function tagBody(
  request: FastifyRequest,
  reply: FastifyReply,
  payload: unknown,
): Promise<unknown> {
  if (request.method !== 'GET' || reply.statusCode !== 200 || typeof payload !== 'string') return payload;
  if (!String(reply.getHeader('content-type')).startsWith('application/json')) return payload;
  const tag = `W/"${createHash('sha256').update(payload).digest('base64url').slice(0, 22)}"`;
  reply.header('etag', tag);
  // Kept, but asked about each time: what is shown is never older than the answer.
  if (!reply.hasHeader('cache-control')) reply.header('cache-control', 'private, no-cache');
  if (!matches(request.headers['if-none-match'], tag)) return payload;
  reply.status(304).removeHeader('content-type').removeHeader('content-length');
  return null;
}

/** Weak comparison, as If-None-Match asks for. */
function matches(header: string | undefined, tag: string): boolean {
  if (header === undefined) return false;
  const opaque = (text: string) => text.trim().replace(/^W\//, '');
  return header.trim() === '*' || header.split(',').some(given => opaque(given) === opaque(tag));
}
