/** Answers and errors as OpenAI's Responses API streams them, in its order of events and with sequence numbers. */
import type { JsonObject } from '../../../src/base/json.ts';
import { openAiError, openAiStreamError } from './openai-errors.ts';
import {
  type Answer,
  type AnswerPart,
  argumentPieces,
  argumentText,
  type ErrorName,
  piecesOf,
  stopOf,
  usageOf,
} from './script.ts';
import type { WireFormat } from './wire.ts';

export const responsesWire: WireFormat = {
  keepAlive: ': keep-alive\n\n',
  openingEvents: 2,
  requestIdHeader: 'x-request-id',
  events,
  errorEvent,
  error: openAiError,
  endlessEvent: n =>
    frame({
      type: 'response.output_text.delta',
      item_id: 'msg_0',
      output_index: 0,
      content_index: 0,
      delta: `${n} `,
    }),
};

function frame(event: JsonObject): string {
  return `event: ${String(event.type)}\ndata: ${JSON.stringify(event)}\n\n`;
}

function errorEvent(name: ErrorName): string {
  const response = {
    id: 'resp_local',
    object: 'response',
    status: 'failed',
    error: openAiStreamError(name),
    usage: null,
  };
  return frame({ type: 'response.failed', sequence_number: 99, response });
}

function events(answer: Answer, asked: JsonObject): string[] {
  const stop = stopOf(answer);
  const truncated = stop === 'max_tokens';
  const filtered = stop === 'refusal' && !answer.parts.some(part => 'refusal' in part);
  const items = answer.parts.map((part, i) => itemOf(part, i, truncated && i === answer.parts.length - 1));
  const base = {
    id: 'resp_local',
    object: 'response',
    created_at: 1_700_000_000,
    model: answer.model ?? asked.model ?? '',
    store: asked.store ?? true,
    error: null,
  };
  const opening = { ...base, status: 'in_progress', incomplete_details: null, output: [], usage: null };
  const closing = {
    ...base,
    status: truncated || filtered ? 'incomplete' : 'completed',
    incomplete_details:
      truncated || filtered ? { reason: truncated ? 'max_output_tokens' : 'content_filter' } : null,
    output: items,
    usage: usageJson(answer),
  };
  const all: JsonObject[] = [
    { type: 'response.created', response: opening },
    { type: 'response.in_progress', response: opening },
    ...answer.parts.flatMap((part, i) => itemEvents(part, items[i]!, i)),
    { type: `response.${closing.status}`, response: closing },
  ];
  return all.map((event, sequence_number) => frame({ ...event, sequence_number }));
}

function itemOf(part: AnswerPart, i: number, cut: boolean): JsonObject {
  const status = cut ? 'incomplete' : 'completed';
  if ('tool' in part)
    return {
      id: `fc_${i}`,
      type: 'function_call',
      status,
      call_id: part.id,
      name: part.tool,
      arguments: argumentText(part.arguments),
    };
  if ('thinking' in part) {
    const summary = [{ type: 'summary_text', text: part.thinking }];
    return { id: `rs_${i}`, type: 'reasoning', summary, encrypted_content: part.sealed };
  }
  const content: JsonObject =
    'text' in part
      ? { type: 'output_text', text: part.text, annotations: [] }
      : { type: 'refusal', refusal: part.refusal };
  return { id: `msg_${i}`, type: 'message', status, role: 'assistant', content: [content] };
}

function itemEvents(part: AnswerPart, item: JsonObject, output_index: number): JsonObject[] {
  const at = { item_id: String(item.id), output_index };
  const start = { ...item, status: 'in_progress' };
  return [
    { type: 'response.output_item.added', output_index, item: emptied(start) },
    ...contentEvents(part, at),
    { type: 'response.output_item.done', output_index, item },
  ];
}

function emptied(item: JsonObject): JsonObject {
  if (item.type === 'function_call') return { ...item, arguments: '' };
  if (item.type === 'reasoning') return { ...item, summary: [], encrypted_content: 'incomplete' };
  return { ...item, content: [] };
}

function contentEvents(part: AnswerPart, at: JsonObject): JsonObject[] {
  if ('tool' in part) {
    const type = 'response.function_call_arguments';
    return [
      ...argumentPieces(part.arguments).map(delta => ({ type: `${type}.delta`, ...at, delta })),
      { type: `${type}.done`, ...at, name: part.tool, arguments: argumentText(part.arguments) },
    ];
  }
  if ('thinking' in part) {
    const type = 'response.reasoning_summary';
    const place = { ...at, summary_index: 0 };
    const { thinking } = part;
    return [
      { type: `${type}_part.added`, ...place, part: { type: 'summary_text', text: '' } },
      ...piecesOf(thinking).map(delta => ({ type: `${type}_text.delta`, ...place, delta })),
      { type: `${type}_text.done`, ...place, text: thinking },
      { type: `${type}_part.done`, ...place, part: { type: 'summary_text', text: thinking } },
    ];
  }
  const [name, field, text] =
    'text' in part ? ['output_text', 'text', part.text] : ['refusal', 'refusal', part.refusal];
  const place = { ...at, content_index: 0 };
  const withText = (value: string): JsonObject => ({
    type: name!,
    [field!]: value,
    ...(name === 'output_text' ? { annotations: [] } : {}),
  });
  return [
    { type: 'response.content_part.added', ...place, part: withText('') },
    ...piecesOf(text!).map(delta => ({ type: `response.${name}.delta`, ...place, delta })),
    { type: `response.${name}.done`, ...place, [field!]: text! },
    { type: 'response.content_part.done', ...place, part: withText(text!) },
  ];
}

/** Here the input contains what was cached, and the output contains the reasoning. */
function usageJson(answer: Answer): JsonObject | null {
  const usage = usageOf(answer);
  if (!usage) return null;
  const input = usage.input_tokens + usage.cached_read_tokens + usage.cached_write_tokens;
  const output = usage.output_tokens + usage.reasoning_tokens;
  return {
    input_tokens: input,
    input_tokens_details: {
      cached_tokens: usage.cached_read_tokens,
      cache_write_tokens: usage.cached_write_tokens,
    },
    output_tokens: output,
    output_tokens_details: { reasoning_tokens: usage.reasoning_tokens },
    total_tokens: input + output,
  };
}
