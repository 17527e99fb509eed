/**
 * What went wrong, as a kind: from a status, or from an error object in the provider's own words, which may also
 * come in the midst of a stream. Providers disagree on statuses (an empty account is 400, 402 or 429; a prompt
 * that is too long 400 or 413), so words are looked at before the status.
 */
import type { Json } from '../../base/json.ts';
import type { ModelFailure, ModelFailureKind } from '../../features/models/port.ts';

const retryableKinds: ReadonlySet<ModelFailureKind> = new Set([
  'timeout_connect',
  'timeout_first_token',
  'timeout_idle',
  'timeout_total',
  'network',
  'truncated',
  'malformed',
  'rate_limited',
  'overloaded',
]);

export function fail(
  kind: ModelFailureKind,
  message: string,
  more: Partial<ModelFailure> = {},
): ModelFailure {
  return { kind, retryable: retryableKinds.has(kind), ...more, message };
}

/** An error object of any of the providers, reduced to what they have in common. */
export interface ProviderError {
  /** Its codes and its type, those that are there, in lower case, the most exact one first. */
  words: string[];
  message: string;
  /** The status that a router puts into `code` when the error comes inside a stream. */
  status: number;
}

/**
 * Reads `{error: {type, code, message}}`, `{error: "…"}`, `{type: "error", code, message}`, `{object: "error", …}`
 * and `{detail: …}`; null when the value is none of these.
 */
export function providerErrorOf(value: Json): ProviderError | null {
  if (!isObject(value)) return null;
  const nested = value.error ?? value.detail;
  if (typeof nested === 'string') return { words: [], message: nested, status: 0 };
  if (Array.isArray(nested)) return { words: [], message: JSON.stringify(nested), status: 0 };
  const error = isObject(nested) ? nested : value.type === 'error' || value.object === 'error' ? value : null;
  if (!error) return null;
  const details = isObject(error.details) ? error.details : {};
  const words = [details.error_code, error.code, error.type].filter(
    v => typeof v === 'string' && v !== 'error',
  );
  const message = typeof error.message === 'string' ? error.message : '';
  const status = typeof error.code === 'number' && error.code >= 400 && error.code < 600 ? error.code : 0;
  return { words: words.map(v => String(v).toLowerCase()), message, status };
}

/** The kind of an error that has a status (0 when it came inside a stream). */
export function kindOf(httpStatus: number, error: ProviderError | null): ModelFailureKind {
  const status = httpStatus || (error?.status ?? 0);
  const words = error?.words ?? [];
  const message = error?.message ?? '';
  const said = kindOfWords(words) ?? (status < 500 ? kindOfMessage(message) : null);
  if (said) return said;
  if (status === 401 || status === 403) return 'unauthorized';
  if (status === 402) return 'quota';
  if (status === 404) return /model/i.test(message) ? 'model_not_found' : 'invalid_request';
  if (status === 413) return 'context_length';
  if (status === 429) return 'rate_limited';
  if (status === 0 && words.includes('invalid_request_error')) return 'invalid_request';
  if (status === 0 || status === 408 || status === 409 || status >= 500) return 'overloaded';
  return 'invalid_request';
}

function kindOfWords(words: string[]): ModelFailureKind | null {
  for (const word of words) {
    const kind = kindsByWord[word];
    if (kind) return kind;
    if (word.endsWith('spend_limit_reached')) return 'quota';
    if (word.endsWith('_policy') || word.includes('policy_violation')) return 'refused';
  }
  return null;
}

/**
 * Exact words only. `invalid_request_error` and the like are absent, since providers use them for an empty account
 * and for a prompt that is too long as well: there the message decides. So are `api_error` and `server_error`, which
 * come with any status.
 */
const kindsByWord: Record<string, ModelFailureKind> = {
  insufficient_quota: 'quota',
  billing_error: 'quota',
  billing_hard_limit_reached: 'quota',
  billing_not_active: 'quota',
  context_length_exceeded: 'context_length',
  exceed_context_size_error: 'context_length',
  request_too_large: 'context_length',
  string_above_max_length: 'context_length',
  model_not_found: 'model_not_found',
  authentication_error: 'unauthorized',
  permission_error: 'unauthorized',
  invalid_api_key: 'unauthorized',
  rate_limit_error: 'rate_limited',
  rate_limit_exceeded: 'rate_limited',
  overloaded_error: 'overloaded',
  content_filter: 'refused',
  invalid_prompt: 'refused',
};

function kindOfMessage(message: string): ModelFailureKind | null {
  if (/credit balance is too low|usage limits?\b.*regain access|exceeded your current quota/i.test(message))
    return 'quota';
  if (
    /prompt is too long|exceeds? (the |your )?(available )?context|context (length|window|size|limit)/i.test(
      message,
    )
  )
    return 'context_length';
  if (/model\b.*(not found|does not exist)/i.test(message)) return 'model_not_found';
  return null;
}

/** An error that came inside a stream, as a failure. */
export function reportedFailure(provider: string, error: ProviderError): ModelFailure {
  return fail(kindOf(0, error), errorMessage(provider, 0, error));
}

/** The sentence for an error that the provider itself reported, with or without a status. */
export function errorMessage(provider: string, status: number, error: ProviderError | null): string {
  const said = error?.message || error?.words.join(' ') || 'no explanation';
  return status > 0 ? `${provider} answered ${status}: ${said}` : `${provider} reported: ${said}`;
}

/** A message fit for people and logs: secrets cut out by value, control characters gone, at most 500 characters. */
export function cleanMessage(message: string, secrets: readonly string[]): string {
  let text = message;
  for (const secret of secrets) {
    if (secret.length < 4) continue; // a placeholder for a local server, not a secret
    for (const form of [secret, encodeURIComponent(secret), Buffer.from(secret).toString('base64')])
      text = text.replaceAll(form, '[key]');
  }
  text = text.replace(/[\u0000-\u001f\u007f]+/g, ' ').trim();
  return text.length <= 500 ? text : `${text.slice(0, 499)}…`;
}

export function isObject(value: unknown): value is { [key: string]: Json } {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}

/** The JSON value of a text; undefined when it is not JSON. */
export function parseJson(text: string): Json | undefined {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
}
