import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RouteOptions } from 'fastify';
import pino from 'pino';
import { z } from 'zod';
import { createServer } from './platform/http/server.ts';
import { addRoutes } from './routes.ts';

/** Every route of the tree with its schemas; registering touches none of what the handlers work with. */
async function readRoutes(): Promise<RouteOptions[]> {
  const server = await createServer({ log: pino({ level: 'silent' }), version: '0.0.0', https: false });
  const routes: RouteOptions[] = [];
  server.addHook('onRoute', route => void routes.push(route));
  addRoutes(server, {} as never);
  await server.close();
  return routes.filter(({ method }) => method !== 'HEAD');
}

/** Objects in a schema that let unknown fields through, as paths. */
function lax(schema: unknown, path: string): string[] {
  if (!(schema instanceof z.ZodType)) return [];
  const def = schema.def as unknown as Record<string, unknown> & { type: string };
  const inner = (name: string) => lax(def[name], path);
  switch (def.type) {
    case 'object': {
      const { shape, catchall } = def as { shape?: Record<string, z.ZodType>; catchall?: z.ZodType };
      const closed = catchall?.def.type === 'never';
      const below = Object.entries(shape ?? {}).flatMap(([name, field]) => lax(field, `${path}.${name}`));
      return closed ? below : [path, ...below];
    }
    case 'array':
      return lax(def.element, `${path}[]`);
    case 'union':
      return (def.options as unknown[]).flatMap(option => lax(option, path));
    case 'pipe':
      return [...inner('in'), ...inner('out')];
    case 'record':
      return lax(def.valueType, `${path}.*`);
    default:
      return inner('innerType');
  }
}

/** What is open on purpose, each for a reason. */
const openOnPurpose = [
  // Providers add fields of their own to the address that they send the browser back to.
  /^GET \/api\/v1\/auth\/callback\/:provider querystring$/,
  // What a device signs is the browser's format, checked as a whole by who verifies it.
  /^POST \/api\/v1\/(auth\/passkey|account\/passkeys) body\.(response|answer|credential)/,
];

test('VAL-01 every body, query and path of every route refuses fields that it does not know, at any depth', async () => {
  const routes = await readRoutes();
  assert.ok(routes.length > 60, `only ${routes.length} routes`);
  const found = routes.flatMap(({ method, url, schema }) =>
    (['body', 'querystring', 'params'] as const).flatMap(part =>
      lax((schema as Record<string, unknown> | undefined)?.[part], part).map(
        path => `${method} ${url} ${path}`,
      ),
    ),
  );
  assert.deepEqual(
    found.filter(each => !openOnPurpose.some(pattern => pattern.test(each))),
    [],
  );
  assert.deepEqual(lax(z.strictObject({ a: z.array(z.object({})).optional() }), 'body'), ['body.a[]']);
});
