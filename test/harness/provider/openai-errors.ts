/** The errors of OpenAI's APIs: status, type, code, message. */
import type { JsonObject } from '../../../src/base/json.ts';
import type { ErrorName } from './script.ts';

const errors: Record<ErrorName, [number, string, string | null, string]> = {
  rate_limited: [
    429,
    'requests',
    'rate_limit_exceeded',
    'Rate limit reached for gpt-local on requests per min.',
  ],
  quota: [
    429,
    'insufficient_quota',
    'insufficient_quota',
    'You exceeded your current quota, please check your plan and billing details.',
  ],
  overloaded: [
    503,
    'server_error',
    'server_error',
    'The engine is currently overloaded, please try again later.',
  ],
  server_error: [500, 'server_error', null, 'The server had an error while processing your request.'],
  unavailable: [503, 'server_error', null, 'Service unavailable.'],
  unauthorized: [401, 'invalid_request_error', 'invalid_api_key', 'Incorrect API key provided.'],
  model_not_found: [404, 'invalid_request_error', 'model_not_found', 'The model `gpt-none` does not exist.'],
  context_length: [
    400,
    'invalid_request_error',
    'context_length_exceeded',
    'Your input exceeds the context window of this model.',
  ],
  invalid_request: [400, 'invalid_request_error', null, "Invalid type for 'input[0].content'."],
};

export function openAiError(name: ErrorName): { status: number; body: JsonObject } {
  const [status, type, code, message] = errors[name];
  return { status, body: { error: { message, type, param: null, code } } };
}

/** The same as it stands in `response.failed` and in the `error` event, which know no type. */
export function openAiStreamError(name: ErrorName): { code: string; message: string } {
  const [, type, code, message] = errors[name];
  return { code: code ?? type, message };
}
