/**
 * The stream of chat completions: role → content and tool call deltas → finish_reason → usage (with no choices) →
 * `[DONE]`. Servers that differ, and what is made of it:
 *
 *   no `[DONE]`                     complete once there was a finish_reason and the body ended cleanly
 *   usage missing, or on each chunk the last one counts; missing is estimated
 *   `finish_reason: stop` with calls the calls count
 *   calls without index or id       see openai-compatible-calls.ts
 *   reasoning_content / reasoning   kept as an opaque part, sent back under the same name
 *   no stream at all                one JSON document is read as one big delta
 */
import type { Json, JsonObject } from '../../base/json.ts';
import type { ContentPart, ModelFailure, ModelSuccess } from '../../features/models/port.ts';
import { fail, isObject, providerErrorOf, reportedFailure } from './failures.ts';
import { ToolCalls } from './openai-compatible-calls.ts';
import { assemble, type Finished, failed, more, type ReadStep, type StreamReader } from './stream.ts';
import { count, disjointUsage, objectAt, type ReportedUsage } from './usage.ts';

const stops: Record<string, ModelSuccess['stop']> = {
  stop: 'end',
  eos: 'end',
  end_turn: 'end',
  stop_sequence: 'end',
  tool_calls: 'tool_calls',
  function_call: 'tool_calls',
  length: 'max_tokens',
  max_tokens: 'max_tokens',
  content_filter: 'refusal',
};

/** Finish reasons that are failures of the server, not ends of an answer. */
const brokenStops: ReadonlySet<string> = new Set(['error', 'abort', 'insufficient_system_resource']);

const reasoningFields = ['reasoning_content', 'reasoning'] as const;

export class ChatReader implements StreamReader {
  outputBytes = 0;
  model: string | null = null;
  readonly #provider: string;
  readonly #calls: ToolCalls;
  #text = '';
  #refusal = '';
  #reasoning: { [field: string]: string } = {};
  #finishReason: string | null = null;
  #usage: ReportedUsage | null = null;

  /** @param callSeed makes the ids of calls that came without one. */
  constructor(provider: string, callSeed: string) {
    this.#provider = provider;
    this.#calls = new ToolCalls(callSeed);
  }

  get complete(): boolean {
    return this.#finishReason !== null;
  }

  readDone(): ReadStep {
    if (this.complete) return { is: 'done' };
    return failed(fail('truncated', `${this.#provider} ended its stream without a finish reason.`));
  }

  read(chunk: JsonObject): ReadStep {
    const error = providerErrorOf(chunk);
    if (error) return failed(reportedFailure(this.#provider, error));
    if (typeof chunk.model === 'string' && chunk.model !== '') this.model = chunk.model;
    const choices = Array.isArray(chunk.choices) ? chunk.choices.filter(isObject) : [];
    const choice = choices.find(c => (c.index ?? 0) === 0);
    if (choice && typeof choice.finish_reason === 'string' && choice.finish_reason !== '')
      this.#finishReason = choice.finish_reason;
    if (isObject(chunk.usage)) this.#usage = usageOf(chunk.usage, this.complete) ?? this.#usage;
    return choice ? this.#grow(objectAt(choice, 'delta')) : more;
  }

  #grow(delta: JsonObject): ReadStep {
    const before = this.outputBytes;
    for (const field of reasoningFields) {
      const piece = delta[field];
      if (typeof piece !== 'string' || piece === '') continue;
      this.#reasoning[field] = (this.#reasoning[field] ?? '') + piece;
      this.outputBytes += Buffer.byteLength(piece);
    }
    if (Array.isArray(delta.tool_calls))
      for (const call of delta.tool_calls) if (isObject(call)) this.outputBytes += this.#calls.add(call);
    const text = textOf(delta.content);
    const refusal = textOf(delta.refusal);
    this.#text += text;
    this.#refusal += refusal;
    this.outputBytes += Buffer.byteLength(text) + Buffer.byteLength(refusal);
    return this.outputBytes > before ? { is: 'token', text: text + refusal } : more;
  }

  usage(): ReportedUsage | null {
    return this.#usage && { ...this.#usage, final: this.complete };
  }

  finish(): Finished | ModelFailure {
    const reason = this.#finishReason ?? '';
    if (brokenStops.has(reason)) return fail('overloaded', `${this.#provider} gave up midway (${reason}).`);
    const stop = this.#refusal === '' ? stops[reason] : 'refusal';
    if (!stop)
      return fail('malformed', `${this.#provider} gave the unknown finish reason "${reason}".`, {
        retryable: false,
      });
    const text = this.#text + this.#refusal;
    const parts: ContentPart[] = [];
    if (Object.keys(this.#reasoning).length > 0)
      parts.push({ type: 'opaque', provider: this.#provider, data: this.#reasoning });
    if (text !== '') parts.push({ type: 'text', text });
    return assemble([...parts, ...this.#calls.all()], stop);
  }
}

/** A completion that was not streamed; false when it is none. */
export function readCompletion(
  reader: { read(chunk: JsonObject): ReadStep; readonly complete: boolean },
  body: JsonObject,
  onText: (text: string) => void,
): boolean {
  if (!Array.isArray(body.choices)) return false;
  const choices = body.choices.filter(isObject).map(choice => ({ ...choice, delta: choice.message ?? null }));
  const step = reader.read({ ...body, choices });
  if (step.is === 'token' && step.text) onText(step.text);
  return reader.complete;
}

/** A string, or Mistral's list of parts. */
function textOf(content: Json | undefined): string {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return '';
  return content.map(part => (isObject(part) && typeof part.text === 'string' ? part.text : '')).join('');
}

function usageOf(counts: JsonObject, final: boolean): ReportedUsage | null {
  const input = count(counts.prompt_tokens);
  const completion = count(counts.completion_tokens);
  if (input === undefined || completion === undefined) return null;
  const inputDetails = objectAt(counts, 'prompt_tokens_details');
  const reasoning = count(objectAt(counts, 'completion_tokens_details').reasoning_tokens) ?? 0;
  // Most count reasoning within the completion, some beside it; then the total tells.
  const beside = reasoning > 0 && count(counts.total_tokens) === input + completion + reasoning;
  const usage = disjointUsage({
    input,
    cachedRead: count(inputDetails.cached_tokens) ?? count(counts.prompt_cache_hit_tokens) ?? 0,
    cachedWrite: count(inputDetails.cache_write_tokens) ?? 0,
    output: beside ? completion + reasoning : completion,
    reasoning,
  });
  return { usage, final };
}
