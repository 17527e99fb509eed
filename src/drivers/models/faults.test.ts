/** Every way in which a provider can fail, against every driver: what comes out, and what it says about money. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  type DriverKind,
  driverKinds,
  newTestDriver,
  sampleRequest,
  testKey,
} from '../../../test/harness/provider/drivers.ts';
import { startProvider } from '../../../test/harness/provider/provider.ts';
import type { Reply } from '../../../test/harness/provider/script.ts';
import { callOptions, failedOf, succeeded } from '../../features/models/conformance.ts';
import { type ModelFailure, type ModelTimeouts, noUsage } from '../../features/models/port.ts';

const parts = [{ text: 'one two three four five six' }];
const timeouts: ModelTimeouts = { connect: 1_000, first_token: 80, idle: 80, total: 300 };

interface Fault {
  title: string;
  reply: Reply | ((kind: DriverKind) => Reply);
  expect: Partial<ModelFailure>;
  /** Default: `unknown`, that is null, or a bound where the provider had reported the input. */
  usage?: 'zero' | 'unknown';
}

const json = { 'content-type': 'application/json' };
const stream = { 'content-type': 'text/event-stream' };

const faults: Fault[] = [
  {
    title: 'LLM-01 hang before the headers',
    reply: { parts, fault: { fault: 'hang_before_headers' } },
    expect: { kind: 'timeout_first_token', retryable: true },
  },
  {
    title: 'LLM-01 hang before the first token',
    reply: { parts, fault: { fault: 'hang_before_first_token' } },
    expect: { kind: 'timeout_first_token', retryable: true },
  },
  {
    title: 'LLM-01 stall in the midst of the stream',
    reply: { parts, fault: { fault: 'stall', after: 5 } },
    expect: { kind: 'timeout_idle', retryable: true },
  },
  {
    title: 'LLM-01 a stream without end',
    reply: { parts, fault: { fault: 'never_ending', everyMs: 5 } },
    expect: { kind: 'timeout_total', retryable: true },
  },
  {
    title: 'LLM-01 a body that stalls after an error status is still that error',
    reply: { status: 503, headers: json, body: '{"error":', unfinished: true },
    expect: { kind: 'overloaded', retryable: true, status: 503 },
  },
  {
    title: 'the socket is cut in the midst of the stream',
    reply: { parts, fault: { fault: 'cut', after: 5 } },
    expect: { kind: 'truncated', retryable: true },
  },
  {
    title: 'the socket is cut after the headers',
    reply: { parts, fault: { fault: 'cut', after: 0 } },
    expect: { kind: 'truncated', retryable: true },
  },
  {
    title: 'the stream ends cleanly without its closing event',
    reply: { parts, fault: { fault: 'truncate', after: 5 } },
    expect: { kind: 'truncated', retryable: true },
  },
  {
    title: 'the stream ends cleanly without any event',
    reply: { parts, fault: { fault: 'truncate', after: 0 } },
    expect: { kind: 'truncated', retryable: true },
  },
  {
    title: 'an overload error within the stream',
    reply: { parts, fault: { fault: 'error_in_band', after: 5, error: 'overloaded' } },
    expect: { kind: 'overloaded', retryable: true },
  },
  {
    title: 'an overload error as the first event of the stream',
    reply: { parts, fault: { fault: 'error_in_band', after: 0, error: 'overloaded' } },
    expect: { kind: 'overloaded', retryable: true },
    usage: 'zero',
  },
  {
    title: 'a rate limit error within the stream',
    reply: { parts, fault: { fault: 'error_in_band', after: 5, error: 'rate_limited' } },
    expect: { kind: 'rate_limited', retryable: true },
  },
  {
    title: 'an event that is half a JSON object',
    reply: { parts, fault: { fault: 'malformed_json', after: 3 } },
    expect: { kind: 'malformed', retryable: true },
  },
  {
    title: 'a stream that is no event stream',
    reply: { parts, fault: { fault: 'malformed_sse', after: 3 } },
    expect: { kind: 'truncated', retryable: true },
  },
  {
    title: 'an event that is JSON but no object',
    reply: { status: 200, headers: stream, body: 'data: [1,2]\n\n' },
    expect: { kind: 'malformed', retryable: true },
  },
  {
    title: 'status 200 with a page in HTML',
    reply: { status: 200, headers: { 'content-type': 'text/html' }, body: '<html>Sign in</html>' },
    expect: { kind: 'malformed', retryable: true },
  },
  {
    title: 'status 200 with half a JSON document',
    reply: { status: 200, headers: json, body: '{"id":"x","cho' },
    expect: { kind: 'malformed', retryable: true },
  },
  {
    title: 'status 200 with an error document',
    reply: { status: 200, headers: json, body: '{"error":{"type":"overloaded_error","message":"Busy"}}' },
    expect: { kind: 'overloaded', retryable: true },
    usage: 'zero',
  },
  {
    title: 'status 200 with a compressed stream nobody asked for',
    reply: { status: 200, headers: { ...stream, 'content-encoding': 'gzip' }, body: 'x' },
    expect: { kind: 'malformed', retryable: true },
  },
  {
    title: 'status 204 without content',
    reply: { status: 204, body: '' },
    expect: { kind: 'malformed', retryable: true },
  },
  {
    title: 'a redirect is not followed',
    reply: { status: 307, headers: { location: '/v1/elsewhere' }, body: '' },
    expect: { kind: 'malformed', retryable: false, status: 307 },
  },
  {
    title: '429 with Retry-After in seconds',
    reply: { error: 'rate_limited', headers: { 'retry-after': '7' } },
    expect: { kind: 'rate_limited', retryable: true, status: 429, retry_after_ms: 7_000 },
    usage: 'zero',
  },
  {
    title: '429 with Retry-After as a date that has passed',
    reply: { error: 'rate_limited', headers: { 'retry-after': 'Wed, 21 Oct 2015 07:28:00 GMT' } },
    expect: { kind: 'rate_limited', retryable: true, status: 429, retry_after_ms: 0 },
    usage: 'zero',
  },
  {
    title: '429 that says not to retry',
    reply: { error: 'rate_limited', headers: { 'x-should-retry': 'false', 'retry-after': '7' } },
    expect: { kind: 'rate_limited', retryable: false, status: 429 },
    usage: 'zero',
  },
  {
    title: 'no money left',
    reply: { error: 'quota' },
    expect: { kind: 'quota', retryable: false },
    usage: 'zero',
  },
  {
    title: '529 overloaded, in words',
    reply: {
      status: 529,
      headers: json,
      body: '{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}',
    },
    expect: { kind: 'overloaded', retryable: true, status: 529 },
    usage: 'zero',
  },
  {
    title: '500 in the words of the provider',
    reply: { error: 'server_error' },
    expect: { kind: 'overloaded', retryable: true, status: 500 },
    usage: 'zero',
  },
  {
    title: '503 with Retry-After',
    reply: { error: 'unavailable', headers: { 'retry-after': '2' } },
    expect: { kind: 'overloaded', retryable: true, status: 503, retry_after_ms: 2_000 },
    usage: 'zero',
  },
  {
    title: '502 from a proxy, which may have given up on a call that was answered',
    reply: { status: 502, headers: { 'content-type': 'text/html' }, body: '<html>Bad gateway</html>' },
    expect: { kind: 'overloaded', retryable: true, status: 502 },
    usage: 'unknown',
  },
  {
    title: '401',
    reply: { error: 'unauthorized' },
    expect: { kind: 'unauthorized', retryable: false, status: 401 },
    usage: 'zero',
  },
  {
    title: '404 for the model',
    reply: { error: 'model_not_found' },
    expect: { kind: 'model_not_found', retryable: false, status: 404 },
    usage: 'zero',
  },
  {
    title: '404 for a wrong base URL',
    reply: { status: 404, headers: { 'content-type': 'text/plain' }, body: '404 page not found' },
    expect: { kind: 'invalid_request', retryable: false, status: 404 },
    usage: 'zero',
  },
  {
    title: '400 for a context that is too long',
    reply: { error: 'context_length' },
    expect: { kind: 'context_length', retryable: false, status: 400 },
    usage: 'zero',
  },
  {
    title: '413 without words',
    reply: { status: 413, body: '' },
    expect: { kind: 'context_length', retryable: false, status: 413 },
    usage: 'zero',
  },
  {
    title: '400 for another reason',
    reply: { error: 'invalid_request' },
    expect: { kind: 'invalid_request', retryable: false, status: 400 },
    usage: 'zero',
  },
  {
    title: '400 with an error object that is cut',
    reply: { status: 400, headers: json, body: '{"error":{"mess' },
    expect: { kind: 'invalid_request', retryable: false, status: 400 },
    usage: 'zero',
  },
  {
    title: 'a stop reason nobody knows is not taken for an end',
    reply: kind => ({ status: 200, headers: stream, body: unknownStop[kind] }),
    expect: { kind: 'malformed', retryable: false },
  },
];

const unknownStop: Record<DriverKind, string> = {
  anthropic:
    'data: {"type":"message_start","message":{"model":"m"}}\n\n' +
    'data: {"type":"message_delta","delta":{"stop_reason":"tired"}}\n\n' +
    'data: {"type":"message_stop"}\n\n',
  openai:
    'data: {"type":"response.incomplete","response":{"status":"incomplete","incomplete_details":{"reason":"tired"}}}\n\n',
  'openai-compatible':
    'data: {"choices":[{"delta":{"content":"x"},"finish_reason":"tired"}]}\n\ndata: [DONE]\n\n',
};

for (const kind of driverKinds)
  describe(`${kind} driver`, () => {
    for (const { title, reply, expect, usage = 'unknown' } of faults)
      test(title, async () => {
        await using provider = await startProvider([typeof reply === 'function' ? reply(kind) : reply]);
        await using driver = newTestDriver(kind, provider.url);
        const failed = failedOf(await driver.call(sampleRequest(), callOptions({ timeouts })));
        const { message, ...failure } = failed.failure;
        assert.deepEqual(
          failure,
          'status' in failure ? { status: failure.status, ...expect } : expect,
          message,
        );
        assert.doesNotMatch(message, new RegExp(testKey));
        if (usage === 'zero') assert.deepEqual(failed.usage, noUsage);
        else assert.notDeepEqual(failed.usage, noUsage, 'a call that may have been answered is not free');
        assert.equal(provider.requests.length, 1, 'a driver makes one attempt');
      });

    test('no server at all', async () => {
      await using provider = await startProvider();
      await provider.close();
      await using driver = newTestDriver(kind, provider.url);
      const { failure, usage } = failedOf(await driver.call(sampleRequest(), callOptions()));
      assert.equal(failure.kind, 'network');
      assert.match(failure.message, /ECONNREFUSED/);
      assert.deepEqual(usage, noUsage);
    });

    test('after a failure the next call works', async () => {
      await using provider = await startProvider([
        { parts, fault: { fault: 'cut', after: 3 } },
        { parts, fault: { fault: 'stall', after: 3 } },
        { error: 'overloaded' },
        { parts },
      ]);
      await using driver = newTestDriver(kind, provider.url);
      for (let i = 0; i < 3; i++) failedOf(await driver.call(sampleRequest(), callOptions({ timeouts })));
      succeeded(await driver.call(sampleRequest(), callOptions({ timeouts })));
    });
  });
