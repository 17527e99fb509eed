/**
 * A call that must use some tool, in a conversation that is not a task. A provider's model always fills such a
 * call in; this program fills in what the schema requires, with the words that it was given, and no more.
 */
import type { Json, JsonObject } from '../../../base/json.ts';
import type { ModelRequest } from '../../../features/models/port.ts';
import type { Answer } from './answer.ts';

export function answerForced(request: ModelRequest, words: string): Answer {
  const wanted = typeof request.tool_choice === 'object' ? request.tool_choice.name : null;
  const tool = wanted === null ? request.tools[0] : request.tools.find(({ name }) => name === wanted);
  if (!tool) return { text: '', calls: [] };
  const value = smallest(tool.input_schema, words);
  return { text: '', calls: [{ name: tool.name, arguments: isObject(value) ? value : {} }] };
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The smallest value that a JSON Schema admits; covers what tool schemas use, not all of JSON Schema. */
function smallest(schema: Json | undefined, words: string): Json {
  if (!isObject(schema)) return words;
  if (schema.default !== undefined) return schema.default;
  if (schema.const !== undefined) return schema.const;
  if (Array.isArray(schema.enum)) return schema.enum[0] ?? null;
  const union = schema.anyOf ?? schema.oneOf;
  if (Array.isArray(union)) return smallest(union[0], words);
  const type = Array.isArray(schema.type) ? schema.type[0] : schema.type;
  if (type === 'object') {
    const properties = isObject(schema.properties) ? schema.properties : {};
    const required = Array.isArray(schema.required)
      ? schema.required.filter(name => typeof name === 'string')
      : [];
    return Object.fromEntries(required.map(name => [name, smallest(properties[name], words)]));
  }
  if (type === 'array') {
    const length = typeof schema.minItems === 'number' ? schema.minItems : 0;
    return Array.from({ length }, () => smallest(schema.items, words));
  }
  if (type === 'number' || type === 'integer') return smallestNumber(schema);
  if (type === 'boolean') return false;
  if (type === 'null') return null;
  const longest = typeof schema.maxLength === 'number' ? schema.maxLength : 1_000;
  return words.slice(0, longest) || '-';
}

function smallestNumber(schema: JsonObject): number {
  if (typeof schema.minimum === 'number') return schema.minimum;
  if (typeof schema.exclusiveMinimum === 'number') return schema.exclusiveMinimum + 1;
  return 0;
}
