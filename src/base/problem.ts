/**
 * The one error type. A problem answers two questions: what may the caller see, and is a retry any use?
 *
 * `title` is a public sentence that says what is wrong and, where there is one, what to do. `detail` values go
 * to the caller too; `cause` and `log` never leave the server. Problems import nothing.
 */

export type ProblemKind =
  | 'invalid'
  | 'unauthenticated'
  | 'forbidden'
  | 'missing'
  | 'conflict'
  | 'exhausted'
  | 'unavailable'
  | 'bug';

/** HTTP status and retry advice of each kind: the only place where the two are decided. */
export const problemKinds: Record<ProblemKind, { status: number; retryable: boolean }> = {
  invalid: { status: 422, retryable: false },
  unauthenticated: { status: 401, retryable: false },
  forbidden: { status: 403, retryable: false },
  missing: { status: 404, retryable: false },
  conflict: { status: 409, retryable: false },
  exhausted: { status: 429, retryable: true },
  unavailable: { status: 503, retryable: true },
  bug: { status: 500, retryable: false },
};

export interface ProblemOptions {
  /** Overrides the HTTP status of the kind, e.g. 400 for malformed JSON, 413 for an oversize body. */
  status?: number;
  /** Public structured facts, e.g. the list of invalid fields. */
  detail?: Record<string, unknown>;
  /** Seconds after which a retry may help. */
  retryAfterSeconds?: number;
  cause?: unknown;
}

export class Problem extends Error {
  override readonly name = 'Problem';
  readonly kind: ProblemKind;
  readonly code: string;
  readonly status: number;
  readonly detail: Record<string, unknown> | undefined;
  readonly retryAfterSeconds: number | undefined;

  /** @param code stable snake_case word, e.g. `repository_dirty`; @param title public sentence. */
  constructor(kind: ProblemKind, code: string, title: string, options: ProblemOptions = {}) {
    super(title, { cause: options.cause });
    this.kind = kind;
    this.code = code;
    this.status = options.status ?? problemKinds[kind].status;
    this.detail = options.detail;
    this.retryAfterSeconds = options.retryAfterSeconds;
  }

  get retryable(): boolean {
    return problemKinds[this.kind].retryable;
  }
}

/** Any thrown value as a Problem; what is not one is a bug whose message stays in the log. */
export function toProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  return new Problem(
    'bug',
    'internal_error',
    'Something went wrong on our side. The request id finds it in the log.',
    {
      cause: error,
    },
  );
}

/** The message of any thrown value, for logs. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
