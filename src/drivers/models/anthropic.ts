/** Anthropic's Messages API (https://docs.anthropic.com/en/api/messages), always as a stream. */
import type { ModelDriver } from '../../features/models/port.ts';
import { anthropicBody } from './anthropic-request.ts';
import { AnthropicReader } from './anthropic-stream.ts';
import { type DriverOptions, headerValue, newDriver, operationUrl, usableKey } from './driver.ts';

export interface AnthropicOptions extends DriverOptions {
  /** Null: every call brings the key of its organization. */
  apiKey: string | null;
  /** With or without `/v1` at its end. Default `https://api.anthropic.com`. */
  baseUrl?: string;
}

export function createAnthropicDriver(options: AnthropicOptions): ModelDriver {
  const baseUrl = (options.baseUrl ?? 'https://api.anthropic.com').replace(/\/v1\/*$/, '');
  return newDriver(
    {
      provider: 'anthropic',
      url: operationUrl(baseUrl, '/v1/messages'),
      requestIdHeader: 'request-id',
      // Of the two versions in service the one that every compatible endpoint knows. For what is sent here they
      // differ in nothing but the temperature, which the newer one has removed.
      // There is no idempotency key in this API: a call that is sent again is generated and charged again.
      needsKey: true,
      headers: ({ request_id }, key) => ({
        'x-api-key': key ?? '',
        'anthropic-version': '2023-06-01',
        'x-request-id': headerValue(request_id),
      }),
      body: anthropicBody,
      reader: () => new AnthropicReader(),
    },
    usableKey(options.apiKey),
    options,
  );
}
