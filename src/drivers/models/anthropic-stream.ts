/**
 * Anthropic's stream: message_start → (content_block_start → delta* → stop)* → message_delta → message_stop, with
 * `ping` anywhere and `error` in place of the rest.
 *
 * Usage: message_start has the input side, message_delta the totals so far (they replace, they don't add). The
 * input count excludes what was read from or written to the cache; the output count includes reasoning.
 */
import type { JsonObject } from '../../base/json.ts';
import type { ContentPart, ModelFailure, ModelSuccess } from '../../features/models/port.ts';
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
import { count, objectAt, type ReportedUsage } from './usage.ts';

interface Block {
  /** The block as it started; `thinking` and `signature` grow in it. */
  start: JsonObject;
  /** Text, or the arguments of a tool call. */
  text: string;
}

const stops: Record<string, ModelSuccess['stop']> = {
  end_turn: 'end',
  stop_sequence: 'end',
  tool_use: 'tool_calls',
  max_tokens: 'max_tokens',
  model_context_window_exceeded: 'max_tokens',
  refusal: 'refusal',
};

export class AnthropicReader implements StreamReader {
  readonly complete = false;
  outputBytes = 0;
  model: string | null = null;
  readonly #blocks = new Map<number, Block>();
  #stop: string | null = null;
  #counts: JsonObject = {};
  #countsFinal = false;

  read(event: JsonObject): ReadStep {
    switch (event.type) {
      case 'message_start':
        return this.#start(objectAt(event, 'message'));
      case 'content_block_start':
        return this.#startBlock(event);
      case 'content_block_delta':
        return this.#grow(event);
      case 'message_delta':
        return this.#end(event);
      case 'message_stop':
        return { is: 'done' };
      case 'error':
        return failed(
          reportedFailure('anthropic', providerErrorOf(event) ?? { words: [], message: '', status: 0 }),
        );
      default:
        return more; // ping, content_block_stop, and events that are still to be invented
    }
  }

  #start(message: JsonObject): ReadStep {
    if (typeof message.model === 'string') this.model = message.model;
    this.#count(objectAt(message, 'usage'));
    return more;
  }

  #startBlock(event: JsonObject): ReadStep {
    const index = count(event.index);
    const start = event.content_block;
    if (index === undefined || !isObject(start))
      return failed(fail('malformed', 'anthropic sent a content block without its index or content.'));
    this.#blocks.set(index, { start: { ...start }, text: '' });
    if (start.type === 'text') return this.#append(this.#blocks.get(index)!, start.text, true);
    if (start.type === 'tool_use' || start.type === 'redacted_thinking')
      this.outputBytes += Buffer.byteLength(JSON.stringify(start));
    return { is: 'token' };
  }

  #grow(event: JsonObject): ReadStep {
    const block = this.#blocks.get(count(event.index) ?? -1);
    const delta = objectAt(event, 'delta');
    if (!block)
      return failed(fail('malformed', 'anthropic continued a content block that it had not started.'));
    switch (delta.type) {
      case 'text_delta':
        return this.#append(block, delta.text, true);
      case 'input_json_delta':
        return this.#append(block, delta.partial_json, false);
      case 'thinking_delta':
        return this.#appendTo(block, 'thinking', delta.thinking);
      case 'signature_delta':
        return this.#appendTo(block, 'signature', delta.signature);
      default:
        return { is: 'token' };
    }
  }

  #append(block: Block, piece: unknown, shown: boolean): ReadStep {
    if (typeof piece !== 'string' || piece === '') return { is: 'token' };
    block.text += piece;
    this.outputBytes += Buffer.byteLength(piece);
    return shown ? { is: 'token', text: piece } : { is: 'token' };
  }

  #appendTo(block: Block, field: 'thinking' | 'signature', piece: unknown): ReadStep {
    if (typeof piece !== 'string') return { is: 'token' };
    const sofar = block.start[field];
    block.start[field] = (typeof sofar === 'string' ? sofar : '') + piece;
    this.outputBytes += Buffer.byteLength(piece);
    return { is: 'token' };
  }

  #end(event: JsonObject): ReadStep {
    const reason = objectAt(event, 'delta').stop_reason;
    if (typeof reason === 'string') this.#stop = reason;
    const counts = objectAt(event, 'usage');
    this.#count(counts);
    if (count(counts.output_tokens) !== undefined) this.#countsFinal = true;
    return more;
  }

  /** Later counts replace earlier ones; absent and null ones leave them. */
  #count(counts: JsonObject): void {
    for (const [name, value] of Object.entries(counts)) if (value !== null) this.#counts[name] = value;
  }

  usage(): ReportedUsage | null {
    const input = count(this.#counts.input_tokens);
    if (input === undefined) return null;
    const output = count(this.#counts.output_tokens) ?? 0;
    const thinking = count(objectAt(this.#counts, 'output_tokens_details').thinking_tokens) ?? 0;
    const reasoning = Math.min(thinking, output);
    return {
      usage: {
        input_tokens: input,
        cached_read_tokens: count(this.#counts.cache_read_input_tokens) ?? 0,
        cached_write_tokens: count(this.#counts.cache_creation_input_tokens) ?? 0,
        output_tokens: output - reasoning,
        reasoning_tokens: reasoning,
      },
      final: this.#countsFinal,
    };
  }

  finish(): Finished | ModelFailure {
    const stop = this.#stop === null ? undefined : stops[this.#stop];
    if (!stop)
      return fail('malformed', `anthropic gave the unknown stop reason "${this.#stop}".`, {
        retryable: false,
      });
    const blocks = [...this.#blocks].sort(([a], [b]) => a - b);
    return assemble(
      blocks.flatMap(([, block]) => partsOf(block)),
      stop,
    );
  }
}

function partsOf({ start, text }: Block): (ContentPart | RawCall)[] {
  switch (start.type) {
    case 'text':
      return text === '' ? [] : [{ type: 'text', text }];
    case 'tool_use':
      return [
        { id: String(start.id ?? ''), name: String(start.name ?? ''), text: text || startInput(start) },
      ];
    case 'thinking':
      // Without its signature (the output limit cut it) the block would be refused when sent back.
      return start.signature ? [{ type: 'opaque', provider: 'anthropic', data: start }] : [];
    case 'redacted_thinking':
      return [{ type: 'opaque', provider: 'anthropic', data: start }];
    default:
      return [];
  }
}

/** The input is in the deltas; only when there were none may it stand in the start. */
function startInput(start: JsonObject): string {
  return isObject(start.input) && Object.keys(start.input).length > 0 ? JSON.stringify(start.input) : '';
}
