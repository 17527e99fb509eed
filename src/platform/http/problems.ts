/** What leaves the server when something is refused or fails: RFC 9457 problem documents that tell nothing of its inside. */
import type { Socket } from 'node:net';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod';
import { newId } from '../../base/ids.ts';
import { Problem, toProblem } from '../../base/problem.ts';
import { isConnectionLoss, sqlState, uniqueViolation } from '../db/db.ts';
import { problemSchema } from './schemas.ts';

/** A refusal is short, however much is wrong: nobody makes the server write more than they sent. */
const faultsShown = 20;
const faultLength = 300;
const cut = (text: string): string => (text.length > faultLength ? `${text.slice(0, faultLength)}…` : text);

/** Any error that reaches the edge as a Problem. */
export function asProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  if (hasZodFastifySchemaValidationErrors(error)) {
    const fields = error.validation.slice(0, faultsShown).map(issue => ({
      path: cut(`${error.validationContext ?? 'body'}${issue.instancePath.replaceAll('/', '.')}`),
      message: cut(issue.message ?? 'is not valid'),
    }));
    const text = fields.map(f => `${f.path}: ${f.message}`).join('; ');
    const more = error.validation.length - fields.length;
    const rest = more > 0 ? `; and ${more} more` : '';
    return new Problem('invalid', 'request_invalid', `The request is not valid: ${text}${rest}.`, {
      detail: { fields },
    });
  }
  if (isConnectionLoss(error))
    return new Problem(
      'unavailable',
      'database_unavailable',
      'The database cannot be reached just now. Try again; a write under the same Idempotency-Key.',
      { retryAfterSeconds: 1, cause: error },
    );
  if (sqlState(error) === uniqueViolation)
    return new Problem('conflict', 'already_exists', 'Somebody made one of that name at the same moment.', {
      cause: error,
    });
  if (/^(40001|40P01|55P03)$/.test(sqlState(error) ?? ''))
    return new Problem('unavailable', 'busy', 'Others changed the same at this moment. Try again.', {
      retryAfterSeconds: 1,
      cause: error,
    });
  const { statusCode, code } = error as { statusCode?: number; code?: string };
  if (statusCode === 413)
    return new Problem('invalid', 'body_too_large', 'The body of the request is larger than 1 MiB.', {
      status: 413,
    });
  if (statusCode === 415)
    return new Problem('invalid', 'media_type_unsupported', 'Send the body as application/json.', {
      status: 415,
    });
  if (statusCode === 414)
    return new Problem('invalid', 'address_too_long', 'The address of the request is too long.', {
      status: 414,
    });
  if (code === 'FST_ERR_BAD_URL')
    return new Problem('invalid', 'address_malformed', 'The address of the request cannot be read.', {
      status: 400,
    });
  if (statusCode === 400)
    return new Problem(
      'invalid',
      'request_malformed',
      'The request could not be read: is the body valid JSON?',
      { status: 400 },
    );
  if (statusCode && statusCode < 500)
    return new Problem('invalid', (code ?? 'request_refused').toLowerCase(), 'The request was refused.', {
      status: statusCode,
    });
  return toProblem(error);
}

/** RFC 9457: https://www.rfc-editor.org/rfc/rfc9457 */
export function sendProblem(
  problem: Problem,
  request: FastifyRequest,
  reply: FastifyReply,
  error?: unknown,
): void {
  if (problem.kind === 'bug') request.log.error({ err: problem.cause ?? error }, 'request failed');
  else
    request.log.info(
      { code: problem.code, cause: problem.cause ? String(problem.cause) : undefined },
      problem.message,
    );
  if (problem.retryAfterSeconds !== undefined) reply.header('retry-after', String(problem.retryAfterSeconds));
  if (problem.status === 401) reply.header('www-authenticate', 'Bearer realm="guildhall"');
  reply
    .status(problem.status)
    .header('x-request-id', request.id)
    // What is refused before the hooks ran, an address that cannot be read, has no other safe headers.
    .header('x-content-type-options', 'nosniff')
    .type('application/problem+json')
    .serializer((payload: unknown) => JSON.stringify(payload))
    .send(documentOf(problem, request.id));
}

const documentOf = (problem: Problem, requestId: string): unknown =>
  problemSchema.parse({
    type: `urn:guildhall:problem:${problem.code}`,
    title: problem.message,
    status: problem.status,
    code: problem.code,
    request_id: requestId,
    ...(problem.detail ? { detail: problem.detail } : {}),
  });

/** What node itself refuses, before there is a request. */
const unreadable: Record<string, [status: string, code: string, title: string]> = {
  HPE_HEADER_OVERFLOW: [
    '431 Request Header Fields Too Large',
    'header_too_large',
    'The header of the request is larger than 16 KiB.',
  ],
  ERR_HTTP_REQUEST_TIMEOUT: [
    '408 Request Timeout',
    'request_too_slow',
    'The request took too long to arrive.',
  ],
};
const malformed = [
  '400 Bad Request',
  'request_malformed',
  'This is not a request that can be read.',
] as const;

/** Answers what is no request, and closes its connection. */
export function refuseUnreadable(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy();
  const [status, code, title] = unreadable[error.code ?? ''] ?? malformed;
  const problem = new Problem('invalid', code, title, { status: Number.parseInt(status, 10) });
  const requestId = newId('req');
  const body = JSON.stringify(documentOf(problem, requestId));
  const head = [
    `HTTP/1.1 ${status}`,
    'Content-Type: application/problem+json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    `X-Request-Id: ${requestId}`,
    'X-Content-Type-Options: nosniff',
    'Connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
}
