/** A model for tests, at the port: a function from the request to the answer. It counts tokens as bytes / 4. */
import type { JsonObject } from '../../src/base/json.ts';
import {
  type ContentPart,
  type ModelDriver,
  type ModelOutcome,
  type ModelRequest,
  noUsage,
} from '../../src/features/models/port.ts';

export interface Turn {
  text?: string;
  calls?: { name: string; arguments: JsonObject }[];
}

export interface ProgrammedModel extends ModelDriver {
  requests: { request: ModelRequest; key: string }[];
}

/** @param answer gets the request and how many answers the transcript has already; a thrown value fails the call. */
export function programmedModel(
  answer: (request: ModelRequest, turn: number) => Turn | ModelOutcome | Promise<Turn | ModelOutcome>,
  provider = 'programmed',
): ProgrammedModel {
  const requests: ProgrammedModel['requests'] = [];
  return {
    provider,
    requests,
    close: async () => {},
    call: async (request, options) => {
      requests.push({
        request: { ...request, messages: [...request.messages] },
        key: options.idempotency_key,
      });
      const turn = request.messages.filter(m => m.role === 'assistant').length;
      const made = await answer(request, turn);
      if ('ok' in made) return made;
      const content: ContentPart[] = [
        ...(made.text ? [{ type: 'text' as const, text: made.text }] : []),
        ...(made.calls ?? []).map((call, i) => ({
          type: 'tool_call' as const,
          id: `call_${turn}_${i}`,
          ...call,
        })),
      ];
      const usage = {
        ...noUsage,
        input_tokens: Math.ceil(Buffer.byteLength(JSON.stringify(request.messages)) / 4),
        output_tokens: Math.ceil(Buffer.byteLength(JSON.stringify(content)) / 4),
      };
      return {
        ok: true,
        content,
        stop: made.calls?.length ? 'tool_calls' : 'end',
        usage,
        usage_exact: true,
        model: request.model,
        provider_request_id: null,
        first_token_ms: 0,
        total_ms: 0,
      };
    },
  };
}

/** The role that the system prompt of a request names. */
export const roleOf = (request: ModelRequest): string => /^Role: (.+)$/m.exec(request.system)?.[1] ?? '';

/** Content of the last tool result in the transcript. */
export function lastResult(request: ModelRequest): string {
  const tool = request.messages.findLast(m => m.role === 'tool');
  return tool?.role === 'tool' ? (tool.content.at(-1)?.content ?? '') : '';
}

export const call = (name: string, args: JsonObject = {}): { name: string; arguments: JsonObject } => ({
  name,
  arguments: args,
});
