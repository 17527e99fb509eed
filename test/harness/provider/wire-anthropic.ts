/** Answers and errors as Anthropic's Messages API writes them. */
import type { JsonObject } from '../../../src/base/json.ts';
import {
  type Answer,
  type AnswerPart,
  argumentPieces,
  type ErrorName,
  piecesOf,
  stopOf,
  usageOf,
} from './script.ts';
import type { WireFormat } from './wire.ts';

const stops = { end: 'end_turn', tool_calls: 'tool_use', max_tokens: 'max_tokens', refusal: 'refusal' };

const errors: Record<ErrorName, [number, string, string]> = {
  rate_limited: [429, 'rate_limit_error', "This request would exceed your organization's rate limit."],
  quota: [400, 'invalid_request_error', 'Your credit balance is too low to access the Anthropic API.'],
  overloaded: [529, 'overloaded_error', 'Overloaded'],
  server_error: [500, 'api_error', 'Internal server error'],
  unavailable: [503, 'api_error', 'Service unavailable'],
  unauthorized: [401, 'authentication_error', 'invalid x-api-key'],
  model_not_found: [404, 'not_found_error', 'model: claude-none'],
  context_length: [400, 'invalid_request_error', 'prompt is too long: 208310 tokens > 200000 maximum'],
  invalid_request: [400, 'invalid_request_error', 'messages.0: all messages must have non-empty content'],
};

export const anthropicWire: WireFormat = {
  keepAlive: 'event: ping\ndata: {"type": "ping"}\n\n',
  openingEvents: 1,
  requestIdHeader: 'request-id',
  events,
  errorEvent(name) {
    const [, type, message] = errors[name];
    return frame({ type: 'error', error: { type, message } });
  },
  error(name) {
    const [status, type, message] = errors[name];
    return { status, body: { type: 'error', error: { type, message }, request_id: 'req_local' } };
  },
  endlessEvent: n =>
    frame({ type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: `${n} ` } }),
};

function frame(event: JsonObject): string {
  return `event: ${String(event.type)}\ndata: ${JSON.stringify(event)}\n\n`;
}

function events(answer: Answer, asked: JsonObject): string[] {
  const usage = usageOf(answer);
  const input = usage && {
    input_tokens: usage.input_tokens,
    cache_creation_input_tokens: usage.cached_write_tokens,
    cache_read_input_tokens: usage.cached_read_tokens,
    cache_creation: { ephemeral_5m_input_tokens: usage.cached_write_tokens, ephemeral_1h_input_tokens: 0 },
  };
  const message = {
    id: 'msg_local',
    type: 'message',
    role: 'assistant',
    model: answer.model ?? asked.model ?? '',
    content: [],
    stop_reason: null,
    stop_sequence: null,
    ...(input ? { usage: { ...input, output_tokens: 1, service_tier: 'standard' } } : {}),
  };
  // Totals so far: they take the place of those in message_start.
  const totals = usage && {
    output_tokens: usage.output_tokens + usage.reasoning_tokens,
    ...(usage.reasoning_tokens > 0
      ? { output_tokens_details: { thinking_tokens: usage.reasoning_tokens } }
      : {}),
  };
  return [
    frame({ type: 'message_start', message }),
    ...answer.parts.flatMap((part, index) => block(part, index)),
    frame({
      type: 'message_delta',
      delta: { stop_reason: stops[stopOf(answer)], stop_sequence: null },
      ...(totals ? { usage: totals } : {}),
    }),
    frame({ type: 'message_stop' }),
  ];
}

function block(part: AnswerPart, index: number): string[] {
  const delta = (value: JsonObject): string => frame({ type: 'content_block_delta', index, delta: value });
  const [start, deltas] = blockOf(part);
  return [
    frame({ type: 'content_block_start', index, content_block: start }),
    ...deltas.map(delta),
    frame({ type: 'content_block_stop', index }),
  ];
}

function blockOf(part: AnswerPart): [start: JsonObject, deltas: JsonObject[]] {
  if ('tool' in part) {
    const pieces = ['', ...argumentPieces(part.arguments)]; // the first delta is empty on the real wire too
    return [
      { type: 'tool_use', id: part.id, name: part.tool, input: {} },
      pieces.map(partial_json => ({ type: 'input_json_delta', partial_json })),
    ];
  }
  if ('thinking' in part)
    return [
      { type: 'thinking', thinking: '', signature: '' },
      [
        ...piecesOf(part.thinking).map(thinking => ({ type: 'thinking_delta', thinking })),
        { type: 'signature_delta', signature: part.sealed },
      ],
    ];
  const text = 'text' in part ? part.text : part.refusal;
  return [{ type: 'text', text: '' }, piecesOf(text).map(piece => ({ type: 'text_delta', text: piece }))];
}
