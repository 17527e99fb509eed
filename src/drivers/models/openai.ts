/**
 * OpenAI's Responses API (https://platform.openai.com/docs/api-reference/responses), always as a stream and always
 * stateless: nothing is stored there, and reasoning comes back encrypted, to be handed in with the next request.
 */
import type { ModelDriver } from '../../features/models/port.ts';
import { type DriverOptions, headerValue, newDriver, operationUrl, usableKey } from './driver.ts';
import { openAiBody } from './openai-request.ts';
import { OpenAiReader } from './openai-stream.ts';

export interface OpenAiOptions extends DriverOptions {
  /** Null: every call brings the key of its organization. */
  apiKey: string | null;
  /** Default `https://api.openai.com/v1`. */
  baseUrl?: string;
  organization?: string;
  project?: string;
}

export function createOpenAiDriver(options: OpenAiOptions): ModelDriver {
  return newDriver(
    {
      provider: 'openai',
      url: operationUrl(options.baseUrl ?? 'https://api.openai.com/v1', '/responses'),
      requestIdHeader: 'x-request-id',
      needsKey: true,
      headers: ({ request_id, idempotency_key }, key) => ({
        authorization: `Bearer ${key}`,
        ...(options.organization ? { 'openai-organization': options.organization } : {}),
        ...(options.project ? { 'openai-project': options.project } : {}),
        'idempotency-key': headerValue(idempotency_key),
        'x-client-request-id': headerValue(request_id),
      }),
      body: openAiBody,
      reader: () => new OpenAiReader(),
    },
    usableKey(options.apiKey),
    options,
  );
}
