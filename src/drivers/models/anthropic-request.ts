/**
 * A request in Anthropic's words, with prompt caching.
 *
 * In an agent's loop each request repeats the one before and adds to its end, so most of it can be read from the
 * cache at a tenth of the price, as long as its beginning stays the same byte for byte: the order of keys is fixed
 * here, and arguments are written with sorted keys because a database may have reordered them. Of the four cache
 * marks allowed, one goes on the tools, one on the system prompt, one on the last message (what the next request
 * will read) and one on the user message before it (what this request reads, however many blocks lie between).
 */
import { canonicalJson, type JsonObject } from '../../base/json.ts';
import type { ContentPart, ModelMessage, ModelRequest } from '../../features/models/port.ts';

type WireMessage = { role: 'user' | 'assistant'; content: JsonObject[] };

const cacheMark = { cache_control: { type: 'ephemeral' } };

export function anthropicBody(request: ModelRequest): JsonObject {
  const { tools } = request;
  return {
    model: request.model,
    max_tokens: request.max_output_tokens,
    stream: true,
    ...(request.temperature === undefined ? {} : { temperature: request.temperature }),
    ...(tools.length === 0
      ? {}
      : {
          tools: tools.map((tool, i) => ({
            name: tool.name,
            description: tool.description,
            input_schema: tool.input_schema,
            ...(i === tools.length - 1 ? cacheMark : {}),
          })),
          tool_choice: toolChoice(request.tool_choice),
        }),
    ...(request.system === '' ? {} : { system: [{ type: 'text', text: request.system, ...cacheMark }] }),
    messages: markForCache(toWire(request.messages)),
  };
}

function toolChoice(choice: ModelRequest['tool_choice']): JsonObject {
  if (choice === 'auto') return { type: 'auto' };
  if (choice === 'required') return { type: 'any' };
  return { type: 'tool', name: choice.name };
}

/** Roles must alternate, and all results of one turn belong into one message, so neighbours are joined. */
function toWire(messages: ModelMessage[]): WireMessage[] {
  const wire: WireMessage[] = [];
  for (const message of messages) {
    const role = message.role === 'assistant' ? 'assistant' : 'user';
    const content = blocksOf(message);
    const last = wire.at(-1);
    if (last?.role === role) last.content.push(...content);
    else if (content.length > 0) wire.push({ role, content });
  }
  return wire;
}

function blocksOf(message: ModelMessage): JsonObject[] {
  if (message.role === 'tool')
    return message.content.map(result => ({
      type: 'tool_result',
      tool_use_id: result.tool_call_id,
      content: result.content,
      ...(result.is_error ? { is_error: true } : {}),
    }));
  return message.content.flatMap(blockOf);
}

function blockOf(part: ContentPart): JsonObject[] {
  switch (part.type) {
    case 'text':
      return part.text.trim() === '' ? [] : [{ type: 'text', text: part.text }]; // blank blocks are refused
    case 'tool_call':
      return [{ type: 'tool_use', id: part.id, name: part.name, input: sorted(part.arguments) }];
    case 'opaque':
      return part.provider === 'anthropic' ? [part.data] : [];
  }
}

function sorted(values: JsonObject): JsonObject {
  return JSON.parse(canonicalJson(values)) as JsonObject;
}

function markForCache(messages: WireMessage[]): JsonObject[] {
  const last = messages.length - 1;
  const before = messages.findLastIndex((message, i) => i < last && message.role === 'user');
  return messages.map(({ role, content }, i) => {
    if (i !== last && i !== before) return { role, content };
    // Reasoning blocks cannot carry a mark.
    const at = content.findLastIndex(
      block => block.type !== 'thinking' && block.type !== 'redacted_thinking',
    );
    return { role, content: content.map((block, j) => (j === at ? { ...block, ...cacheMark } : block)) };
  });
}
