/**
 * Chat completions as spoken by Ollama, vLLM, llama.cpp and many others: what they have in common, with tolerance
 * for where they differ (see the reader). OpenAI's own models are better served by the `openai` driver.
 */
import type { ModelDriver } from '../../features/models/port.ts';
import { type DriverOptions, headerValue, newDriver, operationUrl, usableKey } from './driver.ts';
import { chatBody } from './openai-compatible-request.ts';
import { ChatReader, readCompletion } from './openai-compatible-stream.ts';

export interface OpenAiCompatibleOptions extends DriverOptions {
  /** Local servers need none. */
  apiKey?: string | null;
  /** Up to and with the version, e.g. `http://127.0.0.1:11434/v1`. */
  baseUrl: string;
  /** Name in messages and records. Default `openai-compatible`. */
  provider?: string;
}

export function createOpenAiCompatibleDriver(options: OpenAiCompatibleOptions): ModelDriver {
  const provider = options.provider ?? 'openai-compatible';
  return newDriver(
    {
      provider,
      url: operationUrl(options.baseUrl, '/chat/completions'),
      requestIdHeader: 'x-request-id',
      needsKey: false,
      headers: ({ request_id, idempotency_key }, key) => ({
        ...(key === null ? {} : { authorization: `Bearer ${key}` }),
        'idempotency-key': headerValue(idempotency_key),
        'x-request-id': headerValue(request_id),
      }),
      body: request => chatBody(request, provider),
      reader: ({ idempotency_key }) => new ChatReader(provider, idempotency_key),
      readWhole: readCompletion,
    },
    usableKey(options.apiKey),
    options,
  );
}
