/** The operations of the OpenAPI document that a server serves, with their schemas resolved. */
import type { JsonSchema } from './values.ts';

export interface Parameter {
  name: string;
  in: 'path' | 'query' | 'header' | 'cookie';
  required: boolean;
  schema: JsonSchema;
}

export interface Operation {
  /** As the document has it: `GET /api/v1/tasks/{id}`. */
  name: string;
  method: string;
  path: string;
  parameters: Parameter[];
  /** Null: it takes no body. */
  body: JsonSchema | null;
  /** Whether it answers with an event stream, which does not end. */
  streams: boolean;
  /** Whether it needs no credential. */
  open: boolean;
}

interface Document {
  paths: Record<string, Record<string, RawOperation>>;
  components?: { schemas?: Record<string, JsonSchema> };
}
interface RawOperation {
  parameters?: { name: string; in: Parameter['in']; required?: boolean; schema: JsonSchema }[];
  requestBody?: { content: Record<string, { schema: JsonSchema }> };
  responses: Record<string, { content?: Record<string, unknown> }>;
  security?: object[];
}

/** Every operation of the document of a running server. */
export async function readOperations(url: string, key: string): Promise<Operation[]> {
  const response = await fetch(`${url}/api/v1/openapi.json`, { headers: { authorization: `Bearer ${key}` } });
  if (response.status !== 200) throw new Error(`the document answers ${response.status}`);
  const document = (await response.json()) as Document;
  const resolve = resolver(document.components?.schemas ?? {});
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      name: `${method.toUpperCase()} ${path}`,
      method: method.toUpperCase(),
      path,
      parameters: (operation.parameters ?? []).map(p => ({
        name: p.name,
        in: p.in,
        required: p.required ?? false,
        schema: resolve(p.schema),
      })),
      body: operation.requestBody
        ? resolve(Object.values(operation.requestBody.content)[0]?.schema ?? {})
        : null,
      streams:
        'text/event-stream' in (operation.responses['200']?.content ?? {}) ||
        /\/events$|\/stream$/.test(path),
      open: operation.security?.length === 0,
    })),
  );
}

/** Follows references as far as they go; what refers to itself stays open there. */
function resolver(schemas: Record<string, JsonSchema>): (schema: JsonSchema) => JsonSchema {
  const resolve = (schema: unknown, open: readonly string[]): unknown => {
    if (Array.isArray(schema)) return schema.map(part => resolve(part, open));
    if (schema === null || typeof schema !== 'object') return schema;
    const name = (schema as { $ref?: string }).$ref?.replace('#/components/schemas/', '');
    if (name !== undefined) return open.includes(name) ? {} : resolve(schemas[name] ?? {}, [...open, name]);
    return Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, resolve(value, open)]));
  };
  return schema => resolve(schema, []) as JsonSchema;
}
