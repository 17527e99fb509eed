/** Answers and errors as chat completions. Usage comes late, after the finish reason, and only when asked for. */
import type { JsonObject } from '../../../src/base/json.ts';
import { isObject } from '../../../src/drivers/models/failures.ts';
import { openAiError } from './openai-errors.ts';
import { type Answer, argumentPieces, piecesOf, stopOf, usageOf } from './script.ts';
import type { WireFormat } from './wire.ts';

const stops = { end: 'stop', tool_calls: 'tool_calls', max_tokens: 'length', refusal: 'content_filter' };

export const chatWire: WireFormat = {
  keepAlive: ': keep-alive\n\n',
  openingEvents: 1,
  requestIdHeader: 'x-request-id',
  events,
  errorEvent: name => frame(openAiError(name).body),
  error: openAiError,
  endlessEvent: n => frame(chunk('gpt-local', { content: `${n} ` }, null)),
};

function frame(value: JsonObject): string {
  return `data: ${JSON.stringify(value)}\n\n`;
}

function chunk(model: string, delta: JsonObject, finishReason: string | null): JsonObject {
  return {
    id: 'chatcmpl-local',
    object: 'chat.completion.chunk',
    created: 1_700_000_000,
    model,
    choices: [{ index: 0, delta, finish_reason: finishReason, logprobs: null }],
  };
}

function events(answer: Answer, asked: JsonObject): string[] {
  const model = answer.model ?? String(asked.model);
  const usage = usageJson(answer);
  const wanted = isObject(asked.stream_options) && asked.stream_options.include_usage === true;
  const withNull = (value: JsonObject): JsonObject => (wanted ? { ...value, usage: null } : value);
  return [
    ...deltasOf(answer).map(delta => frame(withNull(chunk(model, delta, null)))),
    frame(withNull(chunk(model, {}, stops[stopOf(answer)]))),
    ...(usage && wanted ? [frame({ ...chunk(model, {}, null), choices: [], usage })] : []),
    'data: [DONE]\n\n',
  ];
}

function deltasOf(answer: Answer): JsonObject[] {
  const deltas: JsonObject[] = [{ role: 'assistant', content: '' }];
  let calls = 0;
  for (const part of answer.parts) {
    if ('text' in part) deltas.push(...piecesOf(part.text).map(content => ({ content })));
    else if ('thinking' in part)
      deltas.push(...piecesOf(part.thinking).map(piece => ({ reasoning_content: piece })));
    else if ('refusal' in part) deltas.push(...piecesOf(part.refusal).map(refusal => ({ refusal })));
    else {
      const index = calls++;
      const start = { index, id: part.id, type: 'function', function: { name: part.tool, arguments: '' } };
      const pieces = argumentPieces(part.arguments);
      deltas.push({ tool_calls: [start] });
      deltas.push(...pieces.map(piece => ({ tool_calls: [{ index, function: { arguments: piece } }] })));
    }
  }
  return deltas;
}

/** Here the prompt contains what was cached, and the completion contains the reasoning. */
function usageJson(answer: Answer): JsonObject | null {
  const usage = usageOf(answer);
  if (!usage) return null;
  const prompt = usage.input_tokens + usage.cached_read_tokens + usage.cached_write_tokens;
  const completion = usage.output_tokens + usage.reasoning_tokens;
  return {
    prompt_tokens: prompt,
    completion_tokens: completion,
    total_tokens: prompt + completion,
    prompt_tokens_details: {
      cached_tokens: usage.cached_read_tokens,
      cache_write_tokens: usage.cached_write_tokens,
    },
    completion_tokens_details: { reasoning_tokens: usage.reasoning_tokens },
  };
}
