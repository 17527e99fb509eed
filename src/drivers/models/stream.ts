/** What a driver needs to know about a provider: how to ask, and how to read the stream that answers. */
import type { JsonObject } from '../../base/json.ts';
import type {
  ContentPart,
  ModelCallOptions,
  ModelFailure,
  ModelRequest,
  ModelSuccess,
} from '../../features/models/port.ts';
import { fail, isObject, parseJson } from './failures.ts';
import type { ReportedUsage } from './usage.ts';

export interface Dialect {
  provider: string;
  url: URL;
  /** Header in which the provider gives its own id of the request. */
  requestIdHeader: string;
  /** Whether no call can be made without a key; a server of one's own may need none. */
  needsKey: boolean;
  headers(options: ModelCallOptions, key: string | null): Record<string, string>;
  body(request: ModelRequest): JsonObject;
  reader(options: ModelCallOptions): StreamReader;
  /** Reads an answer that came as one JSON document although a stream was asked for; false when it is none. */
  readWhole?(reader: StreamReader, body: JsonObject, onText: (text: string) => void): boolean;
}

export type ReadStep =
  /** `token`: the model has produced something, perhaps text to show. `more`: a sign of life only. */
  { is: 'more' } | { is: 'token'; text?: string } | { is: 'done' } | { is: 'failed'; failure: ModelFailure };

/** Collects one answer. It is told every event once, in order, until it says `done` or `failed`. */
export interface StreamReader {
  read(event: JsonObject): ReadStep;
  /** The text `[DONE]`, which is not JSON. Absent where the provider does not use it. */
  readDone?(): ReadStep;
  /** True when the answer is complete though its closing event is missing. */
  readonly complete: boolean;
  /** Bytes of everything generated so far, shown or not. */
  readonly outputBytes: number;
  readonly model: string | null;
  usage(): ReportedUsage | null;
  finish(): Finished | ModelFailure;
}

export interface Finished {
  content: ContentPart[];
  stop: ModelSuccess['stop'];
}

export const more: ReadStep = { is: 'more' };

export function failed(failure: ModelFailure): ReadStep {
  return { is: 'failed', failure };
}

export interface RawCall {
  id: string;
  name: string;
  /** The arguments as the model wrote them; empty text means none. */
  text: string;
}

/**
 * The parts of a finished answer. Calls are valid only when all of them can be read: a model that wrote broken JSON
 * has to answer anew. When the output limit cut the answer, the cut call is dropped, since half a call means nothing;
 * a refused answer has no calls.
 */
export function assemble(
  parts: (ContentPart | RawCall)[],
  stop: ModelSuccess['stop'],
): Finished | ModelFailure {
  const content: ContentPart[] = [];
  for (const part of parts) {
    if ('type' in part) {
      content.push(part);
      continue;
    }
    if (stop === 'refusal' || (stop === 'max_tokens' && part.text.trim() === '')) continue;
    const values = readArguments(part.text);
    if (values && part.name !== '')
      content.push({ type: 'tool_call', id: part.id, name: part.name, arguments: values });
    else if (stop !== 'max_tokens')
      return fail(
        'malformed',
        `The model wrote a call of tool "${part.name}" whose arguments are not a JSON object.`,
      );
  }
  if (stop === 'max_tokens' || stop === 'refusal') return { content, stop };
  const calls = content.some(part => part.type === 'tool_call');
  if (stop === 'tool_calls' && !calls)
    return fail('malformed', 'The model announced tool calls but made none.');
  return { content, stop: calls ? 'tool_calls' : 'end' };
}

/** Small models write the object as a JSON string now and then, and servers send `null` for none. */
function readArguments(text: string): JsonObject | null {
  if (text.trim() === '') return {};
  let value = parseJson(text);
  if (typeof value === 'string') value = value.trim() === '' ? {} : parseJson(value);
  if (value === null) return {};
  return isObject(value) ? value : null;
}
