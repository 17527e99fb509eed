/**
 * What a call can fail with. The server's RFC 9457 problem documents arrive as an ApiError with the same fields; a
 * server that did not answer at all is an ApiError with status 0 and the code `server_unreachable`.
 */
import type { components } from './api.d.ts';

type Problem = components['schemas']['Problem'];

export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly status: number;
  /** Stable snake_case word, e.g. `repository_dirty`. */
  readonly code: string;
  /** A sentence for people. */
  readonly title: string;
  readonly detail: Record<string, unknown> | undefined;
  /** Finds the request in the server's log; null when no server answered. */
  readonly request_id: string | null;

  constructor(
    problem: Omit<Problem, 'type' | 'request_id'> & { request_id: string | null },
    cause?: unknown,
  ) {
    super(problem.title, { cause });
    this.status = problem.status;
    this.code = problem.code;
    this.title = problem.title;
    this.detail = problem.detail;
    this.request_id = problem.request_id;
  }
}

/** The error of an answer that was not a success. @param body what was parsed of it. */
export function errorOf(response: Response, body: unknown): ApiError {
  const given = (typeof body === 'object' && body !== null ? body : {}) as Partial<Problem>;
  const request_id = given.request_id ?? response.headers.get('x-request-id');
  if (typeof given.title === 'string' && typeof given.code === 'string')
    return new ApiError({
      status: response.status,
      code: given.code,
      title: given.title,
      detail: given.detail,
      request_id,
    });
  return new ApiError({
    status: response.status,
    code: 'answer_not_understood',
    title: `The server answered ${response.status} without a problem document: is this a Guildhall server?`,
    request_id,
  });
}

/** The error of a request that got no answer. */
export function unreachable(url: string, cause: unknown): ApiError {
  return new ApiError(
    {
      status: 0,
      code: 'server_unreachable',
      title: `The server at ${new URL(url).origin} does not answer (${networkReason(cause)}).`,
      request_id: null,
    },
    cause,
  );
}

/** `fetch` hides the reason in `cause`, sometimes inside an AggregateError of several addresses. */
export function networkReason(error: unknown): string {
  for (let at = error as { code?: unknown; cause?: unknown; errors?: unknown[] } | undefined; at; ) {
    if (typeof at.code === 'string') return at.code;
    at = (at.cause ?? at.errors?.[0]) as typeof at;
  }
  return error instanceof Error ? error.message : String(error);
}
