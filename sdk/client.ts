/**
 * A typed client of the HTTP API, for the CLI, the page and programs. Paths, bodies and answers are typed from
 * `api.d.ts`, which `sdk/generate.ts` makes from the server's own OpenAPI document; nothing is typed twice.
 *
 *     const api = createClient({ url: 'http://127.0.0.1:4000', key: 'ghk_…' });
 *     const task = await value(api.GET('/api/v1/tasks/{id}', { params: { path: { id } } }));
 *
 * Every POST carries an Idempotency-Key, so that a request whose answer was lost can be sent again.
 */
import createOpenApiClient, { type Client } from 'openapi-fetch';
import type { components, paths } from './api.d.ts';
import { errorOf, networkReason, unreachable } from './errors.ts';

export type Schemas = components['schemas'];
export type Api = Client<paths, 'application/json'>;

export interface ClientOptions {
  /** Where the server is, e.g. `http://127.0.0.1:4000`. */
  url: string;
  /** An API key. Browsers leave it out: they send their session cookie. */
  key?: string | null;
  /** Headers of every request, asked for each time: the page's CSRF token. */
  headers?: () => Record<string, string>;
  fetch?: typeof globalThis.fetch;
}

const attempts = 3;
const pauseMs = 250;

export function createClient(options: ClientOptions): Api {
  const api: Api = createOpenApiClient<paths, 'application/json'>({
    baseUrl: options.url.replace(/\/+$/, ''),
    fetch: request => send(options.fetch ?? globalThis.fetch, request),
  });
  api.use({
    onRequest({ request }) {
      for (const [name, text] of Object.entries(headersOf(options))) request.headers.set(name, text);
      if (request.method === 'POST' && !request.headers.has('idempotency-key'))
        request.headers.set('idempotency-key', crypto.randomUUID());
      return request;
    },
  });
  return api;
}

export function headersOf(options: ClientOptions): Record<string, string> {
  return {
    ...(options.key ? { authorization: `Bearer ${options.key}` } : {}),
    ...options.headers?.(),
  };
}

/** Sends again when the connection broke and the server would recognise the repetition. */
async function send(fetch: typeof globalThis.fetch, request: Request): Promise<Response> {
  const repeatable = request.method === 'GET' || request.headers.has('idempotency-key');
  for (let attempt = 1; ; attempt++) {
    try {
      return await fetch(request.clone());
    } catch (error) {
      if (request.signal.aborted) throw error;
      const refused = networkReason(error) === 'ECONNREFUSED';
      if (!repeatable || refused || attempt === attempts) throw unreachable(request.url, error);
      await new Promise(resolve => setTimeout(resolve, pauseMs * attempt));
    }
  }
}

/** What a call answered. @throws ApiError when it was refused or failed. */
export async function value<T>(
  call: Promise<{ data?: T; error?: unknown; response: Response }>,
): Promise<NonNullable<T>> {
  let answer: Awaited<typeof call>;
  try {
    answer = await call;
  } catch (error) {
    // openapi-fetch parses every success as JSON; what is none comes from something else on that address.
    if (error instanceof SyntaxError) throw errorOf(new Response(null, { status: 502 }), null);
    throw error;
  }
  if (!answer.response.ok || answer.data === undefined || answer.data === null)
    throw errorOf(answer.response, answer.error);
  return answer.data;
}
