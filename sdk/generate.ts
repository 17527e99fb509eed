/** Makes `sdk/api.d.ts` from the OpenAPI document of the routes in this tree. A test compares the two. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import openapiTypescript, { astToString, type OpenAPI3 } from 'openapi-typescript';
import pino from 'pino';
import { createServer } from '../src/platform/http/server.ts';
import { addRoutes } from '../src/routes.ts';

export const typesFile = join(import.meta.dirname, 'api.d.ts');

/** The document of the routes in this tree. Registering a route touches none of what its handler works with. */
async function readDocument(): Promise<OpenAPI3> {
  const server = await createServer({ log: pino({ level: 'silent' }), version: '0.0.0', https: false });
  addRoutes(server, {} as never);
  await server.ready();
  const document = server.swagger() as unknown as OpenAPI3;
  await server.close();
  return document;
}

/** The text of `api.d.ts`. */
export async function generateTypes(): Promise<string> {
  const header = '/** Made by sdk/generate.ts from the OpenAPI document of the server. Do not edit. */\n';
  return header + astToString(await openapiTypescript(await readDocument()));
}

if (process.argv[1] === import.meta.filename) await writeFile(typesFile, await generateTypes());
