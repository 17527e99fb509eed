/**
 * A request in the words of the Responses API. Its cache needs no marks, only a beginning that stays the same, so
 * keys are written in a fixed order and arguments with sorted keys.
 */
import { canonicalJson, type JsonObject } from '../../base/json.ts';
import type { ContentPart, ModelMessage, ModelRequest } from '../../features/models/port.ts';

export function openAiBody(request: ModelRequest): JsonObject {
  const { tools, tool_choice: choice } = request;
  return {
    model: request.model,
    ...(request.system === '' ? {} : { instructions: request.system }),
    ...(tools.length === 0
      ? {}
      : {
          tools: tools.map(tool => ({
            type: 'function',
            name: tool.name,
            description: tool.description,
            parameters: tool.input_schema,
            strict: false, // strict is the default here, and refuses schemas with optional properties
          })),
          tool_choice: typeof choice === 'string' ? choice : { type: 'function', name: choice.name },
        }),
    input: request.messages.flatMap(itemsOf),
    max_output_tokens: request.max_output_tokens,
    ...(request.temperature === undefined ? {} : { temperature: request.temperature }),
    store: false,
    stream: true,
    ...(reasons(request.model) ? { include: ['reasoning.encrypted_content'] } : {}),
  };
}

/** Models that don't reason answer 400 when encrypted reasoning is asked for; all that came after them reason. */
function reasons(model: string): boolean {
  return !/^(ft:)?(gpt-3\.5|gpt-4|chatgpt-4o|gpt-5(\.\d+)?-chat)/.test(model);
}

function itemsOf(message: ModelMessage): JsonObject[] {
  switch (message.role) {
    case 'user': {
      const content = message.content.map(part => ({ type: 'input_text', text: part.text }));
      return content.length === 0 ? [] : [{ type: 'message', role: 'user', content }];
    }
    case 'tool':
      return message.content.map(result => ({
        type: 'function_call_output',
        call_id: result.tool_call_id,
        output: result.is_error ? `Error: ${result.content}` : result.content,
      }));
    case 'assistant':
      return assistantItems(message.content);
  }
}

/**
 * Two things travel as opaque parts: whole reasoning items, which are sent as they came but refused when nothing
 * follows them, and the phase of the message that follows (`{type: 'message', phase}`), which newer models want back.
 */
function assistantItems(parts: ContentPart[]): JsonObject[] {
  const items: JsonObject[] = [];
  let phase: JsonObject = {};
  for (const part of parts) {
    if (part.type === 'text') {
      const content = [{ type: 'output_text', text: part.text }];
      if (part.text !== '') items.push({ type: 'message', role: 'assistant', content, ...phase });
      phase = {};
    } else if (part.type === 'tool_call') {
      const { id, name } = part;
      items.push({ type: 'function_call', call_id: id, name, arguments: canonicalJson(part.arguments) });
    } else if (part.provider === 'openai' && part.data.type === 'reasoning') {
      items.push(part.data);
    } else if (part.provider === 'openai' && part.data.type === 'message') {
      phase = part.data.phase === undefined ? {} : { phase: part.data.phase };
    }
  }
  while (items.at(-1)?.type === 'reasoning') items.pop();
  return items;
}
