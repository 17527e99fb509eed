/**
 * One way to the server. Every refusal is a `ProblemError` made from its problem document (RFC 9457), also when no
 * answer came at all. Writes carry the CSRF token of the session; when another tab has signed in anew it is fetched
 * once more.
 */
import type { Me } from './types.ts';

export interface FieldFault {
  path: string;
  message: string;
}

export class ProblemError extends Error {
  override readonly name = 'ProblemError';
  readonly status: number;
  readonly code: string;
  readonly requestId: string | null;
  readonly fields: readonly FieldFault[];

  constructor(
    title: string,
    status: number,
    code: string,
    requestId: string | null,
    fields: FieldFault[] = [],
  ) {
    super(title);
    this.status = status;
    this.code = code;
    this.requestId = requestId;
    this.fields = fields;
  }
}

let csrfToken: string | null = null;

export interface RequestOptions {
  query?: Record<string, string | number | null | undefined>;
  body?: unknown;
  signal?: AbortSignal;
  headers?: Record<string, string>;
}

export async function getMe(signal?: AbortSignal): Promise<Me> {
  const me = await send<Me>('GET', '/api/v1/me', { signal });
  csrfToken = me.csrf_token;
  return me;
}

export const get = <T>(path: string, options: Omit<RequestOptions, 'body'> = {}): Promise<T> =>
  send<T>('GET', path, options);

export async function write<T>(
  method: 'POST' | 'PUT' | 'PATCH' | 'DELETE',
  path: string,
  options: RequestOptions = {},
): Promise<T> {
  try {
    return await send<T>(method, path, options);
  } catch (error) {
    if (!(error instanceof ProblemError && error.code === 'csrf_token_missing')) throw error;
    await getMe();
    return send<T>(method, path, options);
  }
}

/** Readiness answers 503 with the same shape when something required is missing: that is an answer, not a fault. */
export async function getAnyStatus<T>(path: string, signal?: AbortSignal): Promise<T> {
  const response = await reach(path, { signal });
  if (response.status !== 200 && response.status !== 503) throw await problemOf(response);
  return (await response.json()) as T;
}

async function send<T>(method: string, path: string, options: RequestOptions): Promise<T> {
  const headers: Record<string, string> = { accept: 'application/json', ...options.headers };
  if (options.body !== undefined) headers['content-type'] = 'application/json';
  if (method !== 'GET' && csrfToken) headers['x-csrf-token'] = csrfToken;
  const response = await reach(path + queryString(options.query), {
    method,
    headers,
    body: options.body === undefined ? undefined : JSON.stringify(options.body),
    signal: options.signal,
  });
  if (!response.ok) throw await problemOf(response);
  return (await response.json()) as T;
}

async function reach(path: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(path, { credentials: 'same-origin', ...init });
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new ProblemError('The server does not answer. Is it running?', 0, 'server_unreachable', null);
  }
}

export async function problemOf(response: Response): Promise<ProblemError> {
  const requestId = response.headers.get('x-request-id');
  try {
    const document = (await response.json()) as {
      title?: string;
      code?: string;
      detail?: { fields?: FieldFault[] };
    };
    return new ProblemError(
      document.title ?? `The server answered ${response.status}.`,
      response.status,
      document.code ?? 'unknown',
      requestId,
      document.detail?.fields,
    );
  } catch {
    return new ProblemError(`The server answered ${response.status}.`, response.status, 'unknown', requestId);
  }
}

function queryString(query: RequestOptions['query']): string {
  const given = Object.entries(query ?? {}).filter(([, value]) => value !== null && value !== undefined);
  if (given.length === 0) return '';
  return `?${new URLSearchParams(given.map(([key, value]) => [key, String(value)]))}`;
}

/** A key that makes a repeated write harmless. */
export function newIdempotencyKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), byte =>
    byte.toString(16).padStart(2, '0'),
  ).join('');
}
