/**
 * The one implementation of `call` behind all drivers that speak HTTP: it sends, reads the stream through the
 * dialect's reader, and turns every way in which that can end into an outcome. It never rejects.
 *
 * Usage of a failed call: zero when nothing was generated (refused by status, or never sent), what was reported
 * when the stream broke, null when the provider may have worked without telling.
 */
import { performance } from 'node:perf_hooks';
import type { Dispatcher } from 'undici';
import { messageOf, Problem } from '../../base/problem.ts';
import { type Clock, systemClock } from '../../base/time.ts';
import {
  type ModelCallOptions,
  type ModelDriver,
  type ModelFailed,
  type ModelFailure,
  type ModelOutcome,
  type ModelRequest,
  type ModelUsage,
  noUsage,
} from '../../features/models/port.ts';
import { Answer } from './answer.ts';
import { cleanMessage, fail } from './failures.ts';
import { type Attempt, type Ending, elapsedMs, maxAnswerBytes, newDispatcher, post } from './http.ts';
import type { Dialect } from './stream.ts';
import { interruptedUsage, settledUsage } from './usage.ts';

export interface DriverOptions {
  /** Where connections come from, e.g. a proxy; it stays the caller's to close. */
  dispatcher?: Dispatcher;
  clock?: Clock;
}

/** @param ownKey for calls that bring no key of their organization. */
export function newDriver(dialect: Dialect, ownKey: string | null, options: DriverOptions): ModelDriver {
  const dispatcher = options.dispatcher ?? newDispatcher();
  const attempts = new Set<Attempt>();
  let closed = false;

  async function call(request: ModelRequest, callOptions: ModelCallOptions): Promise<ModelOutcome> {
    const started = performance.now();
    const failedWith = (failure: ModelFailure, usage: ModelUsage | null): ModelFailed => ({
      ok: false,
      failure: {
        ...failure,
        message: cleanMessage(failure.message, [ownKey ?? '', callOptions.api_key ?? '']),
      },
      usage,
      total_ms: elapsedMs(started),
    });
    if (closed) return failedWith(fail('aborted', 'The driver is closed.'), { ...noUsage });
    const fault = faultOf(request);
    if (fault) return failedWith(fail('invalid_request', fault), { ...noUsage });
    try {
      const key = usableKey(callOptions.api_key) ?? ownKey;
      if (key === null && dialect.needsKey)
        return failedWith(fail('unauthorized', noKey(dialect.provider)), { ...noUsage });
      const body = JSON.stringify(dialect.body(request));
      const answer = new Answer(dialect, callOptions, options.clock ?? systemClock, started);
      const ending = await post(
        dispatcher,
        {
          url: dialect.url,
          headers: headersOf(dialect, callOptions, key),
          body,
          signal: callOptions.signal,
          timeouts: callOptions.timeouts,
          maxBytes: maxAnswerBytes,
        },
        answer,
        attempts,
      );
      const result = answer.result(ending);
      if ('kind' in result) return failedWith(result, usageOfFailure(ending, answer, request));
      const { usage, exact } = settledUsage(
        answer.reader.usage(),
        request,
        Buffer.byteLength(body),
        answer.reader.outputBytes,
      );
      return {
        ok: true,
        ...result,
        usage,
        usage_exact: exact,
        model: answer.reader.model ?? request.model,
        provider_request_id: answer.providerRequestId,
        first_token_ms: answer.firstTokenMs ?? elapsedMs(started),
        total_ms: elapsedMs(started),
      };
    } catch (error) {
      const message = `The ${dialect.provider} driver failed: ${messageOf(error)}`;
      return failedWith(fail('malformed', message, { retryable: false }), null);
    }
  }

  return {
    provider: dialect.provider,
    call,
    async close() {
      closed = true;
      for (const attempt of attempts) attempt.abort();
      if (!options.dispatcher) await dispatcher.destroy();
    },
  };
}

function usageOfFailure(ending: Ending, answer: Answer, request: ModelRequest): ModelUsage | null {
  if (!ending.sent) return { ...noUsage };
  const reported = interruptedUsage(answer.reader.usage(), request, answer.reader.outputBytes);
  return reported ?? (answer.declined ? { ...noUsage } : null);
}

/** What no provider would accept, said in the same words for all. */
function faultOf(request: ModelRequest): string | null {
  const { tool_choice: choice, tools } = request;
  if (choice === 'auto') return null;
  if (choice === 'required')
    return tools.length > 0 ? null : 'A tool call is required, but the request has no tools.';
  return tools.some(tool => tool.name === choice.name)
    ? null
    : `The tool "${choice.name}" is required, but the request does not have it.`;
}

const noKey = (provider: string): string =>
  `There is no key for ${provider}: set the secret providers/${provider}/api-key, or give the server one.`;

function headersOf(dialect: Dialect, options: ModelCallOptions, key: string | null): Record<string, string> {
  return {
    'content-type': 'application/json',
    accept: 'text/event-stream',
    'accept-encoding': 'identity',
    'user-agent': 'guildhall',
    ...dialect.headers(options, key),
  };
}

/** An id as a header value: other characters than printable ASCII would make the request invalid. */
export function headerValue(id: string): string {
  return id.replace(/[^\x21-\x7e]/g, '_').slice(0, 200);
}

/** The address of one operation under a base URL, which must be plain: credentials in it would reach the logs. */
export function operationUrl(baseUrl: string, path: string): URL {
  const base = URL.canParse(baseUrl) ? new URL(baseUrl) : null;
  if (!base || !/^https?:$/.test(base.protocol) || base.username || base.password || base.search || base.hash)
    throw new Problem(
      'invalid',
      'model_base_url_invalid',
      'The base URL of a model provider must be http or https, without credentials, query or fragment.',
    );
  return new URL(base.pathname.replace(/\/+$/, '') + path, base.origin);
}

/** The key without the white space that files and shells add. @returns null when there is none. */
export function usableKey(apiKey: string | null | undefined): string | null {
  const key = apiKey?.trim() ?? '';
  if (/[^\x21-\x7e]/.test(key))
    throw new Problem(
      'invalid',
      'model_key_malformed',
      'The API key of a model provider has characters that no key has.',
    );
  return key === '' ? null : key;
}
