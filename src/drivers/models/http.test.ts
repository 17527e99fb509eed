/** What happens on the connection: phases, aborts as the server sees them, limits, reuse, and secrets. */
import assert from 'node:assert/strict';
import { connect, createServer, type Socket } from 'node:net';
import { performance } from 'node:perf_hooks';
import { describe, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { Agent } from 'undici';
import {
  driverKinds,
  newTestDriver,
  sampleRequest,
  testKey,
} from '../../../test/harness/provider/drivers.ts';
import { type Received, startProvider } from '../../../test/harness/provider/provider.ts';
import { callOptions, failedOf, succeeded } from '../../features/models/conformance.ts';
import { defaultModelTimeouts, noUsage } from '../../features/models/port.ts';
import { createAnthropicDriver } from './anthropic.ts';
import { maxAnswerBytes, newDispatcher } from './http.ts';
import { createOpenAiDriver } from './openai.ts';
import { createOpenAiCompatibleDriver } from './openai-compatible.ts';

const parts = [{ text: 'one two three four five six' }];

for (const kind of driverKinds)
  describe(`${kind} driver`, () => {
    test('LLM-01 an abort closes the socket at the provider within 100 ms, in each phase', async () => {
      for (const fault of [
        { fault: 'hang_before_headers' },
        { fault: 'hang_before_first_token' },
        { fault: 'stall', after: 5 },
        { fault: 'never_ending', everyMs: 2 },
      ] as const) {
        await using provider = await startProvider([{ parts, fault }]);
        await using driver = newTestDriver(kind, provider.url);
        const controller = new AbortController();
        const running = driver.call(sampleRequest(), callOptions({ signal: controller.signal }));
        const request = await provider.nextRequest();
        await wait(20);
        const aborted = performance.now();
        controller.abort();
        assert.equal(failedOf(await running).failure.kind, 'aborted');
        const { how, at } = await endOf(request);
        assert.equal(how, 'closed');
        assert.ok(at - aborted < 100, `${fault.fault}: ${at - aborted} ms`);
      }
    });

    test('LLM-01 a time-out closes the socket at the provider too', async () => {
      await using provider = await startProvider([{ parts, fault: { fault: 'stall', after: 5 } }]);
      await using driver = newTestDriver(kind, provider.url);
      const timeouts = { ...defaultModelTimeouts, idle: 50 };
      const started = performance.now();
      failedOf(await driver.call(sampleRequest(), callOptions({ timeouts })));
      const { how, at } = await endOf(await provider.nextRequest());
      assert.equal(how, 'closed');
      assert.ok(at - started < 50 + 100 + 100, `${at - started} ms`);
    });

    test('LLM-01 a live but slow stream is not idle', async () => {
      await using provider = await startProvider([{ parts, delayMs: 25 }]);
      await using driver = newTestDriver(kind, provider.url);
      const timeouts = { connect: 1_000, first_token: 1_000, idle: 150, total: 5_000 };
      const success = succeeded(await driver.call(sampleRequest(), callOptions({ timeouts })));
      assert.ok(success.total_ms > 150, `${success.total_ms} ms`);
      assert.ok(success.first_token_ms >= 45 && success.first_token_ms < success.total_ms);
    });

    test('LLM-01 keep-alives do not stand in for the first token', async () => {
      await using provider = await startProvider([
        { parts, pings: true, delayMs: 40, fault: { fault: 'hang_before_first_token' } },
      ]);
      await using driver = newTestDriver(kind, provider.url);
      const timeouts = { connect: 1_000, first_token: 200, idle: 20, total: 1_000 };
      const { failure } = failedOf(await driver.call(sampleRequest(), callOptions({ timeouts })));
      assert.equal(failure.kind, 'timeout_first_token');
    });

    test('single bytes, CR LF and keep-alives make no difference', async () => {
      const text = 'Grüße 🎉 from "far away"\r\n';
      const expected = [{ type: 'text', text }];
      for (const lineEnd of ['\n', '\r\n', '\r'] as const) {
        await using provider = await startProvider([
          { parts: [{ text }], chunkBytes: 3, lineEnd, pings: true },
        ]);
        await using driver = newTestDriver(kind, provider.url);
        assert.deepEqual(succeeded(await driver.call(sampleRequest(), callOptions())).content, expected);
      }
    });

    test('one huge event is read', async () => {
      const text = 'x'.repeat(2 * 1024 * 1024);
      await using provider = await startProvider([{ parts: [{ text }] }]);
      await using driver = newTestDriver(kind, provider.url);
      const [part] = succeeded(await driver.call(sampleRequest(), callOptions())).content;
      assert.equal(part?.type === 'text' && part.text.length, text.length);
    });

    test('an answer beyond the limit is cut off', async () => {
      const comments = Buffer.alloc(maxAnswerBytes + 1, ': nothing\n\n');
      const headers = { 'content-type': 'text/event-stream' };
      await using provider = await startProvider([
        { status: 200, headers, body: comments, unfinished: true },
      ]);
      await using driver = newTestDriver(kind, provider.url);
      const timeouts = { ...defaultModelTimeouts, total: 2_000 };
      const { failure } = failedOf(await driver.call(sampleRequest(), callOptions({ timeouts })));
      assert.equal(failure.kind, 'malformed');
      assert.equal(failure.retryable, false);
      assert.match(failure.message, /more than/);
      assert.equal((await endOf(await provider.nextRequest())).how, 'closed');
    });

    test('a finished call leaves its connection for the next', async () => {
      await using provider = await startProvider([{ parts }, { parts }, { parts }]);
      const dispatcher = newDispatcher();
      await using driver = newTestDriver(kind, provider.url, { dispatcher });
      for (let i = 0; i < 3; i++) {
        succeeded(await driver.call(sampleRequest(), callOptions()));
        // The last bytes are read after the outcome.
        for (let ms = 0; ms < 900 && !isFree(dispatcher, provider.url); ms++) await wait(1);
      }
      assert.equal(new Set(provider.requests.map(request => request.port)).size, 1);
      await dispatcher.close();
    });

    test('the key is in no message, not even when the provider repeats it', async () => {
      const forms = [testKey, encodeURIComponent(testKey), Buffer.from(testKey).toString('base64')];
      const message = `${forms.join(' ')} ${'and so on '.repeat(100)}\u0000\n`;
      await using provider = await startProvider([
        {
          status: 401,
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ error: { message } }),
        },
      ]);
      await using driver = newTestDriver(kind, provider.url);
      const { failure } = failedOf(await driver.call(sampleRequest(), callOptions()));
      for (const form of forms) assert.ok(!failure.message.includes(form), failure.message);
      assert.match(failure.message, /\[key\]/);
    });

    test('ids with other characters than ASCII do not break the request', async () => {
      await using provider = await startProvider([{ parts }]);
      await using driver = newTestDriver(kind, provider.url);
      const options = callOptions({ request_id: 'req ü\r\nx-evil: 1', idempotency_key: 'k\u0000🎉' });
      succeeded(await driver.call(sampleRequest(), options));
      assert.equal(provider.requests[0]!.headers['x-evil'], undefined);
    });
  });

test('LLM-01 a TLS handshake that hangs is a connect time-out, and nothing is charged', async () => {
  const sockets: Socket[] = [];
  const server = createServer(socket => void sockets.push(socket));
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  assert.ok(address && typeof address === 'object');
  await using driver = newTestDriver('openai', `https://127.0.0.1:${address.port}`);
  const timeouts = { ...defaultModelTimeouts, connect: 60 };
  const failed = failedOf(await driver.call(sampleRequest(), callOptions({ timeouts })));
  assert.equal(failed.failure.kind, 'timeout_connect');
  assert.equal(failed.failure.retryable, true);
  assert.deepEqual(failed.usage, noUsage);
  const controller = new AbortController();
  setTimeout(() => controller.abort(), 30);
  const aborted = failedOf(await driver.call(sampleRequest(), callOptions({ signal: controller.signal })));
  assert.equal(aborted.failure.kind, 'aborted');
  assert.deepEqual(aborted.usage, noUsage);
  await driver.close();
  for (const socket of sockets) socket.destroy();
  server.close();
});

test("LLM-01 a connect time-out of the caller's dispatcher is one too", async () => {
  const timedOut = Object.assign(new Error('Connect Timeout Error'), { code: 'UND_ERR_CONNECT_TIMEOUT' });
  const dispatcher = new Agent({ connect: (_options, callback) => callback(timedOut, null) });
  const driver = createOpenAiDriver({ apiKey: 'k', dispatcher });
  assert.equal(failedOf(await driver.call(sampleRequest(), callOptions())).failure.kind, 'timeout_connect');
  await driver.close();
  await dispatcher.close();
});

test('TST-06 the default addresses are the real ones, and answered here without any network', async () => {
  await using provider = await startProvider(() => ({ parts }));
  const { hostname, port } = new URL(provider.url);
  const asked: string[] = [];
  const dispatcher = new Agent({
    allowH2: false,
    connect({ protocol, hostname: host }, callback) {
      asked.push(`${protocol}//${host}`);
      const socket = connect(Number(port), hostname, () => callback(null, socket));
    },
  });
  const drivers = [
    createAnthropicDriver({ apiKey: testKey, dispatcher }),
    createOpenAiDriver({ apiKey: testKey, dispatcher }),
  ];
  for (const driver of drivers) {
    succeeded(await driver.call(sampleRequest(), callOptions()));
    await driver.close();
  }
  assert.deepEqual(asked, ['https://api.anthropic.com', 'https://api.openai.com']);
  assert.deepEqual(
    provider.requests.map(request => request.path),
    ['/v1/messages', '/v1/responses'],
  );
  await dispatcher.close();
  await provider.close();
});

/** The end of an exchange as the provider sees it, which may not keep the test waiting. */
async function endOf(request: Received): Promise<{ how: string; at: number }> {
  const late = wait(2_000, { how: 'still open', at: Number.POSITIVE_INFINITY }, { ref: false });
  return await Promise.race([request.over, late]);
}

function isFree(dispatcher: Agent, origin: string): boolean {
  const stats = dispatcher.stats[origin];
  return stats !== undefined && 'free' in stats && stats.free === 1;
}

describe('options', () => {
  test('base URLs may end in a slash, and Anthropic’s in /v1', async () => {
    await using provider = await startProvider(() => ({ parts }));
    for (const driver of [
      createAnthropicDriver({ apiKey: 'k', baseUrl: `${provider.url}/` }),
      createAnthropicDriver({ apiKey: 'k', baseUrl: `${provider.url}/v1/` }),
      createOpenAiDriver({ apiKey: 'k', baseUrl: `${provider.url}/v1/` }),
      createOpenAiCompatibleDriver({ baseUrl: `${provider.url}/v1/` }),
    ]) {
      succeeded(await driver.call(sampleRequest(), callOptions()));
      await driver.close();
    }
    await provider.close();
  });

  test('a base URL that is none, or holds credentials, is refused at once', () => {
    for (const baseUrl of [
      'localhost:80',
      'ftp://host',
      'http://user:pass@host/v1',
      'http://host/v1?key=1',
      '',
    ])
      assert.throws(
        () => createOpenAiCompatibleDriver({ baseUrl }),
        { code: 'model_base_url_invalid' },
        baseUrl,
      );
  });

  test('white space around a key is no part of it, and a key that is none is refused', async () => {
    await using provider = await startProvider(() => ({ parts }), { apiKey: testKey });
    await using driver = newTestDriver('openai', provider.url, { apiKey: ` ${testKey}\n` });
    succeeded(await driver.call(sampleRequest(), callOptions()));
    assert.throws(() => newTestDriver('openai', 'http://host', { apiKey: 'sk-1\nsk-2' }), {
      code: 'model_key_malformed',
    });
  });
});
