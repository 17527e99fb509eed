/** The transcript: the journal of a run as the messages that a model is sent, and what follows from it. Pure. */
import type { JsonObject } from '../../base/json.ts';
import type { Row } from '../../platform/db/schema.ts';
import type { ContentPart, ModelMessage, ToolResultPart } from '../models/port.ts';

export type Step = Pick<Row<'steps'>, 'seq' | 'kind' | 'name' | 'call_id' | 'outcome' | 'data'>;

export interface ToolCall {
  id: string;
  name: string;
  arguments: JsonObject;
}

export interface Transcript {
  system: string;
  messages: ModelMessage[];
  /** Calls of the last turn that have no result yet, in order. */
  pending: ToolCall[];
  /** Whether the last turn called no tool: the agent has to be told to go on. */
  idle: boolean;
  /** Turns in a row without a tool call. */
  idleTurns: number;
  /** The last call with its result, and how often in a row it came: what a loop is recognised by. */
  last: { call: string; times: number };
  /** UTF-8 bytes of all that is sent, tools aside: what token estimates are made from. */
  bytes: number;
}

/** The transcript of a whole journal. */
export function readTranscript(steps: readonly Step[]): Transcript {
  const transcript: Transcript = {
    system: '',
    messages: [],
    pending: [],
    idle: false,
    idleTurns: 0,
    last: { call: '', times: 0 },
    bytes: 0,
  };
  for (const step of steps) appendStep(transcript, step);
  return transcript;
}

/** Takes one more step into a transcript. */
export function appendStep(transcript: Transcript, step: Step): void {
  if (step.kind === 'notice') appendNotice(transcript, step);
  else if (step.kind === 'model') appendTurn(transcript, step);
  else appendResult(transcript, step);
}

function appendNotice(transcript: Transcript, step: Step): void {
  const text = String(step.data.text);
  if (typeof step.data.system === 'string') {
    transcript.system = step.data.system;
    transcript.bytes += Buffer.byteLength(transcript.system);
  }
  transcript.messages.push({ role: 'user', content: [{ type: 'text', text }] });
  transcript.bytes += Buffer.byteLength(text) + messageBytes;
  transcript.idle = false;
}

function appendTurn(transcript: Transcript, step: Step): void {
  const content = step.data.content as unknown as ContentPart[];
  transcript.messages.push({ role: 'assistant', content });
  transcript.bytes += Buffer.byteLength(JSON.stringify(content)) + messageBytes;
  transcript.pending = content
    .filter(part => part.type === 'tool_call')
    .map(({ id, name, arguments: args }) => ({ id, name, arguments: args }));
  transcript.idle = transcript.pending.length === 0;
  transcript.idleTurns = transcript.idle ? transcript.idleTurns + 1 : 0;
}

function appendResult(transcript: Transcript, step: Step): void {
  const result: ToolResultPart = {
    type: 'tool_result',
    tool_call_id: step.call_id ?? '',
    content: String(step.data.content),
    is_error: step.data.is_error === true,
  };
  const last = transcript.messages.at(-1);
  if (last?.role === 'tool') last.content.push(result);
  else transcript.messages.push({ role: 'tool', content: [result] });
  transcript.bytes += Buffer.byteLength(result.content) + messageBytes;
  const call = JSON.stringify([step.name, step.data.arguments ?? null, result.content]);
  const times = call === transcript.last.call ? transcript.last.times + 1 : 1;
  transcript.last = { call, times };
  transcript.pending = transcript.pending.filter(other => other.id !== step.call_id);
}

/** What a provider's format adds to a message, generously. */
const messageBytes = 100;
