/**
 * The stream of the Responses API. Deltas only serve for live text; the content is taken from the finished items
 * (`response.output_item.done`), and the usage from the closing event: `response.completed` or
 * `response.incomplete`, or `response.failed`, which is an error with usage.
 */
import type { Json, JsonObject } from '../../base/json.ts';
import type { ContentPart, ModelFailure } from '../../features/models/port.ts';
import { fail, isObject, providerErrorOf, reportedFailure } from './failures.ts';
import {
  assemble,
  type Finished,
  failed,
  more,
  type RawCall,
  type ReadStep,
  type StreamReader,
} from './stream.ts';
import { count, disjointUsage, objectAt, type ReportedUsage } from './usage.ts';

export class OpenAiReader implements StreamReader {
  readonly complete = false;
  outputBytes = 0;
  model: string | null = null;
  readonly #items = new Map<number, JsonObject>();
  #response: JsonObject = {};

  read(event: JsonObject): ReadStep {
    switch (event.type) {
      case 'response.output_text.delta':
      case 'response.refusal.delta':
        return this.#grow(event.delta, true);
      case 'response.output_item.added':
        return { is: 'token' };
      case 'response.output_item.done':
        return this.#endItem(event);
      case 'response.completed':
      case 'response.incomplete':
        this.#see(event.response);
        return { is: 'done' };
      case 'response.failed':
        this.#see(event.response);
        return this.#error(this.#response);
      case 'error':
        return this.#error(event);
      default:
        if (typeof event.type === 'string' && event.type.endsWith('.delta'))
          return this.#grow(event.delta, false);
        this.#see(event.response);
        return more;
    }
  }

  #grow(piece: Json | undefined, shown: boolean): ReadStep {
    if (typeof piece !== 'string') return { is: 'token' };
    this.outputBytes += Buffer.byteLength(piece);
    return shown ? { is: 'token', text: piece } : { is: 'token' };
  }

  #endItem(event: JsonObject): ReadStep {
    const index = count(event.output_index);
    if (index === undefined || !isObject(event.item))
      return failed(fail('malformed', 'openai sent an output item without its index or content.'));
    this.#items.set(index, event.item);
    return { is: 'token' };
  }

  #see(response: Json | undefined): void {
    if (!isObject(response)) return;
    this.#response = response;
    if (typeof response.model === 'string') this.model = response.model;
  }

  #error(holder: JsonObject): ReadStep {
    return failed(
      reportedFailure('openai', providerErrorOf(holder) ?? { words: [], message: '', status: 0 }),
    );
  }

  usage(): ReportedUsage | null {
    const counts = objectAt(this.#response, 'usage');
    const input = count(counts.input_tokens);
    const output = count(counts.output_tokens);
    if (input === undefined || output === undefined) return null;
    const inputDetails = objectAt(counts, 'input_tokens_details');
    const usage = disjointUsage({
      input,
      cachedRead: count(inputDetails.cached_tokens) ?? 0,
      cachedWrite: count(inputDetails.cache_write_tokens) ?? 0,
      output,
      reasoning: count(objectAt(counts, 'output_tokens_details').reasoning_tokens) ?? 0,
    });
    return { usage, final: true };
  }

  finish(): Finished | ModelFailure {
    const items = this.#allItems();
    const refused = items.some(item => partsIn(item).some(part => part.type === 'refusal'));
    const parts = items.flatMap(partsOf);
    if (this.#response.status === 'completed') return assemble(parts, refused ? 'refusal' : 'end');
    const reason = objectAt(this.#response, 'incomplete_details').reason;
    if (reason === 'max_output_tokens') return assemble(parts, 'max_tokens');
    if (reason === 'content_filter') return assemble(parts, 'refusal');
    return fail(
      'malformed',
      `openai left its answer incomplete for the unknown reason "${String(reason)}".`,
      {
        retryable: false,
      },
    );
  }

  /** Items of which no end was streamed are taken from the closing event. */
  #allItems(): JsonObject[] {
    const { output } = this.#response;
    if (Array.isArray(output))
      for (const [i, item] of output.entries())
        if (!this.#items.has(i) && isObject(item)) this.#items.set(i, item);
    return [...this.#items].sort(([a], [b]) => a - b).map(([, item]) => item);
  }
}

function partsOf(item: JsonObject): (ContentPart | RawCall)[] {
  if (item.type === 'function_call')
    return [
      { id: String(item.call_id ?? ''), name: String(item.name ?? ''), text: String(item.arguments ?? '') },
    ];
  if (item.type === 'reasoning') return reasoningPart(item);
  const texts = partsIn(item)
    .map(part => (part.type === 'refusal' ? part.refusal : part.text))
    .filter(text => typeof text === 'string' && text !== '');
  const parts: ContentPart[] = texts.map(text => ({ type: 'text', text: String(text) }));
  if (typeof item.phase === 'string' && parts.length > 0)
    parts.unshift({ type: 'opaque', provider: 'openai', data: { type: 'message', phase: item.phase } });
  return parts;
}

function partsIn(item: JsonObject): JsonObject[] {
  return item.type === 'message' && Array.isArray(item.content) ? item.content.filter(isObject) : [];
}

/**
 * The id is left out: it names a stored item, nothing is stored, and the provider would look it up in vain. Without
 * encrypted content there is nothing to hand back.
 */
function reasoningPart({ id: _id, status, ...data }: JsonObject): ContentPart[] {
  const usable = typeof data.encrypted_content === 'string' && status !== 'incomplete';
  return usable ? [{ type: 'opaque', provider: 'openai', data }] : [];
}
