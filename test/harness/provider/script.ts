/** What a test tells the local provider to answer, in words that hold for every wire format. */
import type { JsonObject } from '../../../src/base/json.ts';
import type { ModelUsage } from '../../../src/features/models/port.ts';

export type Wire = 'anthropic' | 'chat' | 'responses';

export type AnswerPart =
  | { text: string }
  /** Reasoning; `sealed` is the signature or the encrypted content that has to be sent back. */
  | { thinking: string; sealed: string }
  /** `arguments` as a string: exactly what the model wrote, valid or not. */
  | { tool: string; id: string; arguments: JsonObject | string }
  | { refusal: string };

export interface Answer {
  parts: AnswerPart[];
  /** Default: `tool_calls` when there are calls, `refusal` when there is a refusal, else `end`. */
  stop?: 'end' | 'tool_calls' | 'max_tokens' | 'refusal';
  /** Disjoint buckets, written in the provider's own way of counting; null leaves usage out. Default: 10 in, 5 out. */
  usage?: Partial<ModelUsage> | null;
  /** Default: the model that was asked for. */
  model?: string;
}

export type ErrorName =
  | 'rate_limited'
  | 'quota'
  | 'overloaded'
  | 'server_error'
  | 'unavailable'
  | 'unauthorized'
  | 'model_not_found'
  | 'context_length'
  | 'invalid_request';

/** `after` counts the events that are sent before it happens. */
export type Fault =
  | { fault: 'hang_before_headers' }
  | { fault: 'hang_before_first_token' }
  | { fault: 'stall' | 'cut' | 'truncate' | 'malformed_json' | 'malformed_sse'; after: number }
  | { fault: 'error_in_band'; after: number; error: ErrorName }
  /** Text without end, a piece each so many milliseconds. */
  | { fault: 'never_ending'; everyMs: number };

export interface StreamReply extends Answer {
  fault?: Fault;
  /** Bytes per write; absent: one write per event. Splits anywhere, also inside characters. */
  chunkBytes?: number;
  lineEnd?: '\n' | '\r\n' | '\r';
  /** A keep-alive (Anthropic's ping, else a comment) before each event. */
  pings?: boolean;
  /** Wait before the headers, the first and each further event. */
  delayMs?: number;
  headers?: Record<string, string>;
}

/** An error as the provider of the route words it. */
export interface ErrorReply {
  error: ErrorName;
  headers?: Record<string, string>;
}

/** Any HTTP answer at all, sent as it stands. */
export interface RawReply {
  status: number;
  headers?: Record<string, string>;
  body: string | Buffer;
  /** Keeps the body open after these bytes. */
  unfinished?: boolean;
}

export type Reply = StreamReply | ErrorReply | RawReply;

export function stopOf(answer: Answer): NonNullable<Answer['stop']> {
  if (answer.stop) return answer.stop;
  if (answer.parts.some(part => 'refusal' in part)) return 'refusal';
  return answer.parts.some(part => 'tool' in part) ? 'tool_calls' : 'end';
}

export function usageOf(answer: Answer): ModelUsage | null {
  if (answer.usage === null) return null;
  const given = answer.usage ?? { input_tokens: 10, output_tokens: 5 };
  return {
    input_tokens: 0,
    cached_read_tokens: 0,
    cached_write_tokens: 0,
    output_tokens: 0,
    reasoning_tokens: 0,
    ...given,
  };
}

/** A text in the pieces in which a model would stream it: words. Joined they are the text again. */
export function piecesOf(text: string): string[] {
  return text.match(/\s*\S+\s*$|\s*\S+|\s+/g) ?? [];
}

export function argumentText(values: JsonObject | string): string {
  return typeof values === 'string' ? values : JSON.stringify(values);
}

/** The arguments of a call in pieces that cut through keys and escapes. */
export function argumentPieces(values: JsonObject | string): string[] {
  return argumentText(values).match(/.{1,7}/gsu) ?? [];
}
