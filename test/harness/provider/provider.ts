/**
 * A model provider on this machine: a real HTTP server that speaks Anthropic's Messages, OpenAI's chat completions
 * and Responses, and `/v1/models`, as scripted. It checks requests by the providers' own rules, records what it
 * received, and can fail in every way that providers fail. With it no test needs the network, a key or money.
 *
 *   const provider = await startProvider([{ parts: [{ text: 'Hello.' }] }]);
 *   createAnthropicDriver({ apiKey: 'k', baseUrl: provider.url });
 *   createOpenAiDriver({ apiKey: 'k', baseUrl: `${provider.url}/v1` });
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { performance } from 'node:perf_hooks';
import type { Json, JsonObject } from '../../../src/base/json.ts';
import { isObject, parseJson } from '../../../src/drivers/models/failures.ts';
import { complaint } from './checks.ts';
import type { Reply, Wire } from './script.ts';
import { sendRaw, sendStream } from './sending.ts';
import { wires } from './wire.ts';

export interface Received {
  wire: Wire;
  path: string;
  headers: Record<string, string | string[] | undefined>;
  body: JsonObject;
  /** The body as it came, for byte-wise comparisons. */
  text: string;
  /** The client's port: equal ports, one connection. */
  port: number;
  /** Resolves when the exchange is over: `answered`, or `closed` by the client before that; with the time. */
  over: Promise<{ how: 'answered' | 'closed'; at: number }>;
}

export interface Provider extends AsyncDisposable {
  /** `http://127.0.0.1:<port>`; OpenAI's base URL is this and `/v1`. */
  url: string;
  requests: Received[];
  /** The next request to come, or to have come unnoticed. */
  nextRequest(): Promise<Received>;
  /** Adds to the script. */
  script(...replies: Reply[]): void;
  close(): Promise<void>;
}

export interface ProviderOptions {
  /** When given, other keys are refused with 401. */
  apiKey?: string;
  models?: string[];
}

const wireOfPath: Record<string, Wire> = {
  '/v1/messages': 'anthropic',
  '/v1/chat/completions': 'chat',
  '/v1/responses': 'responses',
};

/** @param replies one for each request, or a function that makes them. */
export async function startProvider(
  replies: Reply[] | ((request: Received) => Reply) = [],
  options: ProviderOptions = {},
): Promise<Provider> {
  const script = typeof replies === 'function' ? [] : [...replies];
  const requests: Received[] = [];
  /** Who waits for which request, by its position. */
  const waiting = new Map<number, (request: Received) => void>();
  let noticed = 0;

  async function answer(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = (incoming.url ?? '').split('?')[0]!;
    if (incoming.method === 'GET' && path === '/v1/models') return sendModels(response, options.models ?? []);
    const wire = incoming.method === 'POST' ? wireOfPath[path] : undefined;
    if (!wire) return sendRaw(response, { status: 404, body: '404 page not found' });
    const over = exchangeEnd(response);
    const text = await bodyOf(incoming);
    const body = parseJson(text);
    const { headers, socket } = incoming;
    const port = socket.remotePort ?? 0;
    const request = { wire, path, headers, body: isObject(body) ? body : {}, text, port, over };
    requests.push(request);
    waiting.get(requests.length - 1)?.(request);
    const wrong = complaint(wire, headers, request.body);
    const refused = options.apiKey !== undefined && keyOf(request) !== options.apiKey;
    if (refused) return sendError(response, wire, { error: 'unauthorized' });
    if (wrong) return sendError(response, wire, { error: 'invalid_request' }, wrong);
    const reply = typeof replies === 'function' ? replies(request) : script.shift();
    if (!reply) return sendError(response, wire, { error: 'invalid_request' }, 'No reply is scripted.');
    if ('error' in reply) sendError(response, wire, reply);
    else if ('status' in reply) sendRaw(response, reply);
    else await sendStream(response, wire, reply, request.body);
  }

  function close(): Promise<void> {
    const closed = new Promise<void>(resolve => server.close(() => resolve()));
    server.closeAllConnections();
    return closed;
  }

  const server = createServer((incoming, response) => {
    answer(incoming, response).catch((error: unknown) => response.destroy(error as Error));
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    nextRequest() {
      const index = noticed++;
      const { promise, resolve } = Promise.withResolvers<Received>();
      const known = requests[index];
      if (known) resolve(known);
      else waiting.set(index, resolve);
      return promise;
    },
    script: (...more) => void script.push(...more),
    close,
    [Symbol.asyncDispose]: close,
  };
}

function sendModels(response: ServerResponse, models: string[]): void {
  const data = models.map(id => ({ id, object: 'model', created: 1_700_000_000, owned_by: 'local' }));
  const body = JSON.stringify({ object: 'list', data });
  sendRaw(response, { status: 200, headers: { 'content-type': 'application/json' }, body });
}

function sendError(
  response: ServerResponse,
  wire: Wire,
  reply: { error: Parameters<(typeof wires)[Wire]['error']>[0]; headers?: Record<string, string> },
  message?: string,
): void {
  const { status, body } = wires[wire].error(reply.error);
  const error = body.error as { [key: string]: Json };
  if (message) error.message = message;
  const headers = { 'content-type': 'application/json', [wires[wire].requestIdHeader]: 'req_local' };
  sendRaw(response, { status, headers: { ...headers, ...reply.headers }, body: JSON.stringify(body) });
}

function keyOf(request: Received): unknown {
  const { headers } = request;
  if (request.wire === 'anthropic' && headers['x-api-key']) return headers['x-api-key'];
  return String(headers.authorization ?? '').replace(/^Bearer /, '');
}

async function bodyOf(incoming: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

function exchangeEnd(response: ServerResponse): Received['over'] {
  return new Promise(resolve => {
    response.once('close', () =>
      resolve({ how: response.writableFinished ? 'answered' : 'closed', at: performance.now() }),
    );
  });
}
