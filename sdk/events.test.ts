import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { ApiError } from './errors.ts';
import { followEvents, type LiveEvent } from './events.ts';

interface Stream extends AsyncDisposable {
  url: string;
  requests: IncomingMessage[];
}

/** A server whose nth connection is handled by the nth function. */
async function serve(...handlers: ((response: ServerResponse) => void)[]): Promise<Stream> {
  const requests: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    requests.push(request);
    handlers[Math.min(requests.length, handlers.length) - 1]?.(response);
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise(resolve => server.close(resolve));
    },
  };
}

const block = (id: string, type: string): string =>
  `id: ${id}\nevent: ${type}\ndata: ${JSON.stringify({ id, type })}\n\n`;
const begin = (response: ServerResponse) => response.writeHead(200, { 'content-type': 'text/event-stream' });

async function take(events: AsyncGenerator<LiveEvent>, count: number): Promise<string[]> {
  const ids: string[] = [];
  for await (const event of events) {
    ids.push(event.id);
    if (ids.length === count) break;
  }
  return ids;
}

test('a broken stream is opened again after the last event that was seen', async () => {
  await using stream = await serve(
    response => {
      begin(response).write(`retry: 1\n\n: hello\n\n${block('1-1', 'a')}`);
      setTimeout(() => response.destroy(), 20);
    },
    response => void begin(response).end(block('1-2', 'b')),
    response => void begin(response).write(block('1-3', 'c')),
  );
  const breaks: string[] = [];
  const events = followEvents(
    { url: stream.url, key: 'ghk_x' },
    { taskId: 'task_1', onBreak: reason => breaks.push(reason) },
  );
  assert.deepEqual(await take(events, 3), ['1-1', '1-2', '1-3']);
  assert.deepEqual(
    stream.requests.map(r => r.headers['last-event-id']),
    [undefined, '1-1', '1-2'],
  );
  assert.deepEqual(new Set(stream.requests.map(r => r.url)), new Set(['/api/v1/events?task_id=task_1']));
  assert.equal(stream.requests[0]?.headers.authorization, 'Bearer ghk_x');
  assert.equal(breaks.length, 2);
});

test('events that arrive in pieces, with any line ends, are whole', async () => {
  const bytes = Buffer.from(block('1-1', 'ä').replaceAll('\n', '\r\n') + block('1-2', 'b'));
  await using stream = await serve(response => {
    begin(response);
    let at = 0;
    const timer = setInterval(() => {
      response.write(bytes.subarray(at, at + 1));
      at += 1;
      if (at >= bytes.length) clearInterval(timer);
    }, 1);
  });
  assert.deepEqual(await take(followEvents({ url: stream.url }), 2), ['1-1', '1-2']);
});

test('a refusal is thrown, not tried again', async () => {
  await using stream = await serve(response => {
    response.writeHead(404, { 'content-type': 'application/problem+json' });
    response.end(
      JSON.stringify({ title: 'There is no such task.', code: 'task_missing', status: 404, request_id: 'r' }),
    );
  });
  await assert.rejects(
    take(followEvents({ url: stream.url }), 1),
    (error: unknown) => error instanceof ApiError && error.code === 'task_missing',
  );
  assert.equal(stream.requests.length, 1);
});

test('stopping ends the stream at once, also while it waits to reconnect', async () => {
  await using stream = await serve(response => void begin(response).write(block('1-1', 'a')));
  const stop = new AbortController();
  const seen: string[] = [];
  for await (const event of followEvents({ url: stream.url }, { signal: stop.signal })) {
    seen.push(event.id);
    stop.abort();
  }
  assert.deepEqual(seen, ['1-1']);
  await using gone = await serve(response => void response.destroy());
  const other = new AbortController();
  const events = followEvents({ url: gone.url }, { signal: other.signal, onBreak: () => other.abort() });
  assert.deepEqual(await take(events, 1), []);
});
