/**
 * The rules by which real providers refuse a request, so that a driver which breaks one fails here as it would there.
 * Each check returns the provider's complaint, or null.
 */
import type { Json, JsonObject } from '../../../src/base/json.ts';
import { isObject } from '../../../src/drivers/models/failures.ts';
import type { Wire } from './script.ts';

export function complaint(wire: Wire, headers: Record<string, unknown>, body: JsonObject): string | null {
  const unknown = Object.keys(body).find(key => !fields[wire].includes(key));
  if (unknown) return `${unknown}: Extra inputs are not permitted`;
  if (typeof body.model !== 'string' || body.model === '') return 'model: Field required';
  if (headers['content-type'] !== 'application/json') return 'content-type must be application/json';
  if (body.stream !== true) return 'stream: this provider only streams';
  if (wire === 'anthropic') return anthropicComplaint(headers, body);
  return wire === 'chat' ? chatComplaint(body) : responsesComplaint(body);
}

const fields: Record<Wire, string[]> = {
  anthropic:
    words(`model messages max_tokens system metadata stop_sequences stream temperature top_k top_p tools
    tool_choice thinking service_tier container context_management output_config`),
  chat: words(`model messages tools tool_choice max_tokens max_completion_tokens temperature top_p stream stream_options
    stop n seed user metadata store reasoning_effort response_format parallel_tool_calls logprobs service_tier`),
  responses:
    words(`model instructions tools tool_choice input max_output_tokens temperature top_p store stream include
    metadata parallel_tool_calls previous_response_id reasoning text truncation service_tier prompt_cache_key user`),
};

function words(text: string): string[] {
  return text.split(/\s+/);
}

function anthropicComplaint(headers: Record<string, unknown>, body: JsonObject): string | null {
  const version = String(headers['anthropic-version']);
  if (!['2023-06-01', '2026-10-21'].includes(version)) return 'anthropic-version: header is required';
  if (version !== '2023-06-01' && body.temperature !== undefined)
    return 'temperature: Extra inputs are not permitted';
  if (typeof body.max_tokens !== 'number') return 'max_tokens: Field required';
  const marks = JSON.stringify(body).split('"cache_control"').length - 1;
  if (marks > 4) return `A maximum of 4 blocks with cache_control may be provided. Found ${marks}.`;
  const messages = list(body.messages);
  if (messages.length === 0) return 'messages: at least one message is required';
  for (const [i, message] of messages.entries()) {
    if (message.role !== (i % 2 === 0 ? 'user' : 'assistant')) return `messages.${i}: roles must alternate`;
    const found = blocksComplaint(i, blocks(message.content), blocks(messages[i - 1]?.content));
    if (found) return found;
  }
  const open = blocks(messages.at(-1)?.content).find(block => block.type === 'tool_use');
  return open ? 'tool_use ids were found without tool_result blocks immediately after' : null;
}

function blocksComplaint(i: number, own: JsonObject[], before: JsonObject[]): string | null {
  if (own.length === 0) return `messages.${i}: all messages must have non-empty content`;
  const asked = before.filter(block => block.type === 'tool_use').map(block => block.id);
  const answered = own.filter(block => block.type === 'tool_result').map(block => block.tool_use_id);
  if (asked.some(id => !answered.includes(id))) return `messages.${i}: tool_use ids without tool_result`;
  if (answered.some(id => !asked.includes(id))) return `messages.${i}: unexpected tool_use_id in tool_result`;
  for (const block of own) {
    if (block.type === 'text' && String(block.text).trim() === '')
      return `messages.${i}: text content blocks must contain non-whitespace text`;
    if (block.type === 'tool_use' && !isObject(block.input))
      return `messages.${i}: tool_use.input: not a dictionary`;
    if (block.type === 'thinking' && !block.signature)
      return `messages.${i}: thinking.signature: Field required`;
    if (block.type === 'thinking' && block.cache_control)
      return `messages.${i}: thinking: cache_control not permitted`;
  }
  return null;
}

function blocks(content: Json | undefined): JsonObject[] {
  return typeof content === 'string' ? [{ type: 'text', text: content }] : list(content);
}

function chatComplaint(body: JsonObject): string | null {
  const messages = list(body.messages);
  if (messages.length === 0) return "Invalid 'messages': empty array.";
  let open: unknown[] = [];
  for (const message of messages) {
    if (message.role === 'tool') {
      if (!open.includes(message.tool_call_id))
        return "messages with role 'tool' must be a response to a preceeding message with 'tool_calls'.";
      open = open.filter(id => id !== message.tool_call_id);
      continue;
    }
    if (open.length > 0) return 'tool_call_ids did not have response messages.';
    if (message.role === 'assistant') {
      const calls = list(message.tool_calls);
      if (message.content === null && calls.length === 0) return "Invalid value for 'content': null.";
      if (calls.some(call => !isObject(call.function) || typeof call.function.arguments !== 'string'))
        return "Invalid type for 'arguments': expected a string.";
      open = calls.map(call => call.id);
    }
  }
  return open.length > 0 ? 'tool_call_ids did not have response messages.' : null;
}

function responsesComplaint(body: JsonObject): string | null {
  const items = typeof body.input === 'string' ? [{ role: 'user', content: body.input }] : list(body.input);
  if (items.length === 0) return "Invalid 'input': empty array.";
  if (list(body.tools).some(tool => tool.type !== 'function' || typeof tool.name !== 'string'))
    return "Missing required parameter: 'tools[0].name'.";
  if (Array.isArray(body.include) && /^gpt-4/.test(String(body.model)))
    return 'Encrypted content is not supported with this model.';
  const calls = items.filter(item => item.type === 'function_call').map(item => item.call_id);
  const outputs = items.filter(item => item.type === 'function_call_output').map(item => item.call_id);
  const open = calls.find(id => !outputs.includes(id));
  if (open !== undefined) return `No tool output found for function call ${String(open)}.`;
  const stray = outputs.find(id => !calls.includes(id));
  if (stray !== undefined)
    return `No tool call found for function call output with call_id ${String(stray)}.`;
  for (const [i, item] of items.entries()) {
    if (item.type !== 'reasoning') continue;
    if (item.id !== undefined)
      return `Item with id '${String(item.id)}' not found. Items are not persisted when \`store\` is set to false.`;
    if (typeof item.encrypted_content !== 'string') return 'reasoning item without encrypted_content.';
    const next = items[i + 1];
    if (!next || next.role === 'user' || next.type === 'function_call_output')
      return "Item of type 'reasoning' was provided without its required following item.";
  }
  return null;
}

function list(value: Json | undefined): JsonObject[] {
  return Array.isArray(value) ? value.filter(isObject) : [];
}
