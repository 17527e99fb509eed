/**
 * A team behind a wire: a local server for OpenAI's chat completions that answers as a function of the request, the
 * same function that `programmedModel` takes. It keeps every call with its Idempotency-Key, and a test can hold
 * calls back in order to kill whoever waits for them.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Json, JsonObject } from '../../src/base/json.ts';
import type { ContentPart, ModelMessage, ModelRequest } from '../../src/features/models/port.ts';
import type { Turn } from './model.ts';
import { complaint } from './provider/checks.ts';
import type { AnswerPart } from './provider/script.ts';
import { sendRaw, sendStream } from './provider/sending.ts';

export interface WireCall {
  /** The header Idempotency-Key. */
  key: string;
  requestId: string;
  /** The body as it came. */
  text: string;
  request: ModelRequest;
}

export interface Hold {
  /** The first call that is held. */
  reached: Promise<WireCall>;
  /** How many calls are held now. */
  count(): number;
  /** Answers them, and holds no more. */
  release(): void;
}

export interface WireTeam extends AsyncDisposable {
  /** For OPENAI_BASE_URL. */
  url: string;
  calls: WireCall[];
  /** Holds back the answers of all calls from now on for which `which` is true. */
  hold(which: (call: WireCall) => boolean): Hold;
}

interface Holding {
  which: (call: WireCall) => boolean;
  reached: (call: WireCall) => void;
  released: Promise<void>;
  held: number;
}

export async function startWireTeam(answer: (request: ModelRequest) => Turn): Promise<WireTeam> {
  const calls: WireCall[] = [];
  const holds = new Set<Holding>();

  async function respond(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const text = await textOf(incoming);
    const body = JSON.parse(text) as JsonObject;
    const wrong =
      incoming.url === '/v1/chat/completions' ? complaint('chat', incoming.headers, body) : 'unknown path';
    if (wrong) return sendRaw(response, { status: 400, body: JSON.stringify({ error: { message: wrong } }) });
    const request = toRequest(body);
    const call: WireCall = {
      key: String(incoming.headers['idempotency-key']),
      requestId: String(incoming.headers['x-request-id']),
      text,
      request,
    };
    calls.push(call);
    for (const holding of [...holds].filter(h => h.which(call))) {
      holding.held += 1;
      holding.reached(call);
      await holding.released;
      holding.held -= 1;
    }
    const turn = request.messages.filter(message => message.role === 'assistant').length;
    const made = answer(request);
    const parts: AnswerPart[] = [
      ...(made.text ? [{ text: made.text }] : []),
      ...(made.calls ?? []).map((c, i) => ({
        tool: c.name,
        id: `call_${turn}_${i}`,
        arguments: c.arguments,
      })),
    ];
    const usage = {
      input_tokens: Math.ceil(text.length / 4),
      output_tokens: Math.ceil(JSON.stringify(parts).length / 4),
    };
    await sendStream(response, 'chat', { parts, usage }, body);
  }

  const server = createServer((incoming, response) => {
    respond(incoming, response).catch(error => response.destroy(error as Error));
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    calls,
    hold(which) {
      const reached = Promise.withResolvers<WireCall>();
      const released = Promise.withResolvers<void>();
      const holding: Holding = { which, reached: reached.resolve, released: released.promise, held: 0 };
      holds.add(holding);
      return {
        reached: reached.promise,
        count: () => holding.held,
        release() {
          holds.delete(holding);
          released.resolve();
        },
      };
    },
    async [Symbol.asyncDispose]() {
      const closed = new Promise(resolve => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

async function textOf(incoming: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

/** What the driver was asked for, read back from what it sent. */
function toRequest(body: JsonObject): ModelRequest {
  const sent = body.messages as JsonObject[];
  const tools = (body.tools ?? []) as { function: JsonObject }[];
  const choice = body.tool_choice as { function: { name: string } } | 'required' | undefined;
  return {
    model: String(body.model),
    system: String(sent.find(message => message.role === 'system')?.content ?? ''),
    messages: sent.filter(message => message.role !== 'system').reduce(addMessage, [] as ModelMessage[]),
    tools: tools.map(({ function: f }) => ({
      name: String(f.name),
      description: String(f.description),
      input_schema: f.parameters as JsonObject,
    })),
    tool_choice: typeof choice === 'object' ? { name: choice.function.name } : (choice ?? 'auto'),
    max_output_tokens: Number(body.max_tokens),
  };
}

function addMessage(messages: ModelMessage[], sent: JsonObject): ModelMessage[] {
  const text = String(sent.content ?? '');
  if (sent.role === 'user') return [...messages, { role: 'user', content: [{ type: 'text', text }] }];
  if (sent.role === 'assistant') return [...messages, { role: 'assistant', content: partsOf(text, sent) }];
  const isError = text.startsWith('Error: ');
  const result = {
    type: 'tool_result' as const,
    tool_call_id: String(sent.tool_call_id),
    content: isError ? text.slice('Error: '.length) : text,
    is_error: isError,
  };
  const last = messages.at(-1);
  if (last?.role !== 'tool') return [...messages, { role: 'tool', content: [result] }];
  last.content.push(result);
  return messages;
}

function partsOf(text: string, sent: JsonObject): ContentPart[] {
  const calls = (sent.tool_calls ?? []) as { id: string; function: { name: string; arguments: string } }[];
  return [
    ...(text === '' ? [] : [{ type: 'text' as const, text }]),
    ...calls.map(({ id, function: f }) => ({
      type: 'tool_call' as const,
      id,
      name: f.name,
      arguments: JSON.parse(f.arguments) as JsonObject & Json,
    })),
  ];
}
