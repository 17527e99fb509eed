/**
 * The page's way to the server: the SDK's client with the session's cookie and, for writes, its CSRF token. Every
 * refusal is an `ApiError` with the server's own sentence, also when no answer came at all.
 */
import { createClient, value } from '../../../sdk/client.ts';
import { ApiError } from '../../../sdk/errors.ts';
import type { Health, Me } from './types.ts';

export { value } from '../../../sdk/client.ts';
export { ApiError } from '../../../sdk/errors.ts';

// Over plain http from another machine there is no randomUUID, which the client makes keys of requests with.
crypto.randomUUID ??= () =>
  '10000000-1000-4000-8000-100000000000'.replace(/[018]/g, digit =>
    (
      Number(digit) ^
      ((crypto.getRandomValues(new Uint8Array(1))[0] as number) & (15 >> (Number(digit) / 4)))
    ).toString(16),
  ) as ReturnType<typeof crypto.randomUUID>;

let csrfToken: string | null = null;

export const api = createClient({
  url: location.origin,
  headers: () => (csrfToken ? { 'x-csrf-token': csrfToken } : ({} as Record<string, string>)),
});

export async function getMe(signal?: AbortSignal): Promise<Me> {
  const me = await value(api.GET('/api/v1/me', { signal }));
  csrfToken = me.csrf_token;
  return me;
}

/** A write. When another tab has signed in anew, the token is fetched and the write sent once more. */
export async function write<T>(
  call: () => Promise<{ data?: T; error?: unknown; response: Response }>,
): Promise<NonNullable<T>> {
  try {
    return await value(call());
  } catch (error) {
    if (!(error instanceof ApiError && error.code === 'csrf_token_missing')) throw error;
    await getMe();
    return value(call());
  }
}

/** Readiness answers 503 in the same shape when something required is missing: an answer, not a fault. */
export async function getHealth(signal: AbortSignal): Promise<Health> {
  const answer = await api.GET('/readyz', { signal });
  if (answer.error && answer.response.status === 503) return answer.error;
  return value(Promise.resolve(answer));
}
