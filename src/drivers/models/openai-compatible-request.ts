/** A request as a chat completion, in the plainest form: strings for content, and no field that can be left out. */
import { canonicalJson, type JsonObject } from '../../base/json.ts';
import type { ContentPart, ModelMessage, ModelRequest } from '../../features/models/port.ts';

export function chatBody(request: ModelRequest, provider: string): JsonObject {
  const { tools, tool_choice: choice } = request;
  return {
    model: request.model,
    messages: [
      ...(request.system === '' ? [] : [{ role: 'system', content: request.system }]),
      ...request.messages.flatMap(message => messagesOf(message, provider)),
    ],
    ...(tools.length === 0
      ? {}
      : {
          tools: tools.map(tool => ({
            type: 'function',
            function: { name: tool.name, description: tool.description, parameters: tool.input_schema },
          })),
        }),
    // `auto` is the default; some servers refuse the field in any form.
    ...(tools.length === 0 || choice === 'auto'
      ? {}
      : {
          tool_choice: choice === 'required' ? choice : { type: 'function', function: { name: choice.name } },
        }),
    max_tokens: request.max_output_tokens,
    ...(request.temperature === undefined ? {} : { temperature: request.temperature }),
    stream: true,
    stream_options: { include_usage: true },
  };
}

function messagesOf(message: ModelMessage, provider: string): JsonObject[] {
  switch (message.role) {
    case 'user':
      return [{ role: 'user', content: textOf(message.content) }];
    case 'tool':
      return message.content.map(result => ({
        role: 'tool',
        tool_call_id: result.tool_call_id,
        content: result.is_error ? `Error: ${result.content}` : result.content,
      }));
    case 'assistant':
      return assistantMessage(message.content, provider);
  }
}

function assistantMessage(parts: ContentPart[], provider: string): JsonObject[] {
  const text = textOf(parts);
  const calls = parts.flatMap((part): JsonObject[] => {
    if (part.type !== 'tool_call') return [];
    const { id, name } = part;
    return [{ id, type: 'function', function: { name, arguments: canonicalJson(part.arguments) } }];
  });
  if (text === '' && calls.length === 0) return [];
  // Reasoning goes back under the name it came with; models that reason between tool calls want it.
  const reasoning = parts.flatMap(part =>
    part.type === 'opaque' && part.provider === provider ? Object.entries(part.data) : [],
  );
  return [
    {
      role: 'assistant',
      content: text === '' ? null : text,
      ...Object.fromEntries(reasoning),
      ...(calls.length > 0 ? { tool_calls: calls } : {}),
    },
  ];
}

function textOf(parts: ContentPart[]): string {
  return parts.flatMap(part => (part.type === 'text' ? [part.text] : [])).join('\n\n');
}
