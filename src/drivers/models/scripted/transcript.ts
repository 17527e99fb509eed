/**
 * What has happened so far, read from the messages of a request: every tool call with its result, in order.
 *
 * This is the only memory of the scripted model. Each call starts from here, so the same request always gives
 * the same answer, and a run that was interrupted goes on where its transcript ends.
 */
import type { JsonObject } from '../../../base/json.ts';
import type { ModelMessage } from '../../../features/models/port.ts';

export interface ToolUse {
  name: string;
  arguments: JsonObject;
  /** Null while the call has no result in the transcript. */
  result: { content: string; is_error: boolean } | null;
}

export interface Transcript {
  /** Text of the first user message: the brief of the task. */
  opening: string;
  /** User messages after the first: notices and messages from colleagues. */
  notes: string[];
  uses: ToolUse[];
  /** Number of answers given so far. */
  turns: number;
}

export function readTranscript(messages: ModelMessage[]): Transcript {
  const transcript: Transcript = { opening: '', notes: [], uses: [], turns: 0 };
  const open = new Map<string, ToolUse>();
  let opened = false;
  for (const message of messages) {
    if (message.role === 'user') {
      const text = message.content.map(part => part.text).join('\n');
      if (opened) transcript.notes.push(text);
      else transcript.opening = text;
      opened = true;
    } else if (message.role === 'assistant') {
      transcript.turns += 1;
      for (const part of message.content) {
        if (part.type !== 'tool_call') continue;
        const use: ToolUse = { name: part.name, arguments: part.arguments, result: null };
        transcript.uses.push(use);
        open.set(part.id, use);
      }
    } else {
      for (const part of message.content) {
        const use = open.get(part.tool_call_id);
        if (use) use.result = { content: part.content, is_error: part.is_error };
      }
    }
  }
  return transcript;
}

/** The calls of one tool that have a result, oldest first. */
export function finished(
  transcript: Transcript,
  name: string,
): (ToolUse & { result: { content: string; is_error: boolean } })[] {
  return transcript.uses.filter(
    (use): use is ToolUse & { result: { content: string; is_error: boolean } } =>
      use.name === name && use.result !== null,
  );
}

/** A text argument of a call; empty when it is absent or something else. */
export function textArgument(use: ToolUse, name: string): string {
  const value = use.arguments[name];
  return typeof value === 'string' ? value : '';
}
