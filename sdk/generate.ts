/**
 * Makes `sdk/api.d.ts` from the server's OpenAPI document: from the routes in this tree, or with an argument from a
 * running server (`node sdk/generate.ts http://127.0.0.1:4000`). With `--check` nothing is written: it exits with 1
 * when the file is not what the routes say.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import openapiTypescript, { astToString, type OpenAPI3 } from 'openapi-typescript';
import pino from 'pino';
import { agentRoutes } from '../src/features/agents/routes.ts';
import { approvalRoutes } from '../src/features/approvals/routes.ts';
import { budgetRoutes } from '../src/features/budgets/routes.ts';
import { healthRoutes } from '../src/features/health/routes.ts';
import { identityRoutes } from '../src/features/identity/routes.ts';
import { runRoutes } from '../src/features/runs/routes.ts';
import { taskRoutes } from '../src/features/tasks/routes.ts';
import { createServer } from '../src/platform/http/server.ts';

export const typesFile = join(import.meta.dirname, 'api.d.ts');

/** The document of the routes in this tree. Registering a route touches none of what its handler works with. */
async function readDocument(): Promise<OpenAPI3> {
  const server = await createServer({ log: pino({ level: 'silent' }), version: '0.0.0', https: false });
  const unused = {} as never;
  const features = [
    identityRoutes,
    approvalRoutes,
    budgetRoutes,
    agentRoutes,
    taskRoutes,
    runRoutes,
    healthRoutes,
  ];
  for (const addRoutes of features) addRoutes(server, unused);
  await server.ready();
  const document = server.swagger() as unknown as OpenAPI3;
  await server.close();
  return document;
}

/** The text of `api.d.ts`. */
export async function generateTypes(url?: string): Promise<string> {
  const source = url ? new URL('/api/v1/openapi.json', url) : await readDocument();
  const header = '/** Made by sdk/generate.ts from the OpenAPI document of the server. Do not edit. */\n';
  return header + astToString(await openapiTypescript(source));
}

if (process.argv[1] === import.meta.filename) {
  const [argument] = process.argv.slice(2);
  const text = await generateTypes(argument === '--check' ? undefined : argument);
  if (argument !== '--check') await writeFile(typesFile, text);
  else if ((await readFile(typesFile, 'utf8')) !== text) {
    process.stderr.write('sdk/api.d.ts is not what the routes say: run node sdk/generate.ts.\n');
    process.exitCode = 1;
  }
}
