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
  /** UTF-8 bytes of all that is sent, tools aside: what token estimates are made from. */
  bytes: number;
}

export function readTranscript(steps: readonly Step[]): Transcript {
  const messages: ModelMessage[] = [];
  let system = '';
  let pending: ToolCall[] = [];
  let idle = false;
  let idleTurns = 0;
  for (const step of steps) {
    if (step.kind === 'notice') {
      if (typeof step.data.system === 'string') system = step.data.system;
      messages.push({ role: 'user', content: [{ type: 'text', text: String(step.data.text) }] });
      idle = false;
    } else if (step.kind === 'model') {
      const content = step.data.content as unknown as ContentPart[];
      messages.push({ role: 'assistant', content });
      pending = content
        .filter(part => part.type === 'tool_call')
        .map(({ id, name, arguments: args }) => ({ id, name, arguments: args }));
      idle = pending.length === 0;
      idleTurns = idle ? idleTurns + 1 : 0;
    } else {
      const result: ToolResultPart = {
        type: 'tool_result',
        tool_call_id: step.call_id ?? '',
        content: String(step.data.content),
        is_error: step.data.is_error === true,
      };
      const last = messages.at(-1);
      if (last?.role === 'tool') last.content.push(result);
      else messages.push({ role: 'tool', content: [result] });
      pending = pending.filter(call => call.id !== step.call_id);
    }
  }
  const bytes =
    Buffer.byteLength(system) +
    messages.reduce((sum, message) => sum + Buffer.byteLength(JSON.stringify(message.content)), 0);
  return { system, messages, pending, idle, idleTurns, bytes };
}
