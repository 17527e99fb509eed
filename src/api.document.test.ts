import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import openapiTypescript, { type OpenAPI3 } from 'openapi-typescript';
import { startTestApp } from '../test/harness/app.ts';
import { recordRoutes } from '../test/harness/routes.ts';
import { screens } from './api.ts';

interface Operation {
  summary?: string;
  tags?: string[];
  parameters?: { name: string; in: string; required?: boolean; schema: object }[];
  requestBody?: { content: Record<string, { schema: { $ref?: string; additionalProperties?: unknown } }> };
  security?: object[];
  responses: Record<string, { content?: Record<string, { schema: object }> }>;
}
interface Document {
  openapi: string;
  info: { title: string; version: string };
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, object>; securitySchemes: Record<string, object> };
  security: object[];
}

const routes = recordRoutes();
const guildhall = await startTestApp({ roles: ['api'] });
after(() => guildhall[Symbol.asyncDispose]());
const document = (await guildhall.api<Document>('GET', '/api/v1/openapi.json')).body;
const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({
    name: `${method.toUpperCase()} ${path}`,
    path,
    method,
    operation,
  })),
);

/** Where everybody looks for them, outside of the API. */
const standing = ['/livez', '/readyz', '/version', '/.well-known/jwks.json'];

test('API-01 every route of the API lies under /api/v1; outside are only health, docs and the page', () => {
  const outside = operations.filter(o => !o.path.startsWith('/api/v1/')).map(o => o.path);
  assert.deepEqual(new Set(outside), new Set(standing));
  const hidden = routes.filter(r => !r.url.startsWith('/api/v1/') && !outside.includes(r.url));
  for (const { method, url } of hidden.filter(route => !screens.includes(route.url))) {
    assert.match(method, /^(GET|HEAD)$/, `${method} ${url}`);
    assert.match(url, /^\/docs.*$|\.[a-z]+$/, url);
  }
});

test('API-02 the document is OpenAPI 3.1 that a validator accepts, and one that is not is refused', async () => {
  assert.match(document.openapi, /^3\.1\.\d$/);
  const { version } = JSON.parse(await readFile(join(import.meta.dirname, '../package.json'), 'utf8'));
  assert.deepEqual([document.info.title, document.info.version], ['Guildhall', version]);
  const read = (value: unknown) => openapiTypescript(value as OpenAPI3, { silent: true });
  assert.ok((await read(document)).length > 0);
  const broken = structuredClone(document) as unknown as {
    paths: Record<string, { get: { responses: unknown } }>;
  };
  (broken.paths['/api/v1/tasks'] as { get: { responses: unknown } }).get.responses = 'none';
  await assert.rejects(read(broken));
});

test('API-02 the document and the routes are the same set', () => {
  const documented = new Set(operations.map(o => o.name.replace(/\{(\w+)\}/g, ':$1')));
  const served = new Set(
    routes
      .filter(r => r.method !== 'HEAD' && (r.url.startsWith('/api/v1/') || standing.includes(r.url)))
      .map(r => `${r.method} ${r.url}`)
      .filter(name => name !== 'GET /api/v1/openapi.json'),
  );
  assert.deepEqual(documented, served);
});

test('API-02 every operation says what it does, what it takes and what it answers', () => {
  for (const { name, path, method, operation } of operations) {
    assert.match(operation.summary ?? '', /^[A-Z].{3,}[^.]$/, name);
    assert.equal(operation.tags?.length, 1, name);
    const named = [...path.matchAll(/\{(\w+)\}/g)].map(m => m[1]);
    const inPath = (operation.parameters ?? []).filter(p => p.in === 'path');
    assert.deepEqual(
      inPath.map(p => p.name),
      named,
      name,
    );
    assert.ok(
      inPath.every(p => p.required),
      name,
    );
    const success = operation.responses['200'];
    // Events and exports are streams, and the way back from a provider ends in a redirect.
    const streams = ['/api/v1/events', '/api/v1/ws', '/api/v1/audit/export'];
    const isOther = streams.includes(path) || path.startsWith('/api/v1/auth/callback/');
    assert.ok(success?.content?.['application/json']?.schema || isOther, name);
    if (path.startsWith('/api/v1/')) {
      for (const family of ['4XX', '5XX']) {
        const problem = operation.responses[family] ?? operation.responses[family.toLowerCase()];
        assert.match(JSON.stringify(problem), /Problem/, `${name} ${family}`);
      }
    }
    if (['post', 'put', 'patch'].includes(method) && operation.requestBody) {
      const schema = operation.requestBody.content['application/json']?.schema;
      assert.equal(schema?.additionalProperties, false, `${name}: unknown fields must be refused`);
    }
  }
});

test('API-02 every reference in the document leads somewhere', () => {
  const references = [...JSON.stringify(document).matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g)];
  assert.ok(references.length > 20);
  for (const [, name = ''] of references) assert.ok(name in document.components.schemas, name);
});

test('API-02 the document says how to sign in, and which operations need it', () => {
  assert.deepEqual(Object.keys(document.components.securitySchemes), ['key', 'session']);
  assert.deepEqual(document.security, [{ key: [] }, { session: [] }]);
  const open = operations.filter(o => o.operation.security?.length === 0).map(o => o.name);
  assert.deepEqual(
    new Set(open),
    new Set([
      ...['GET /livez', 'GET /readyz', 'GET /version', 'POST /api/v1/sign-in', 'GET /api/v1/auth/methods'],
      ...['GET /api/v1/auth/callback/{provider}', 'POST /api/v1/auth/provider'],
      ...['POST /api/v1/auth/password', 'POST /api/v1/auth/second-step', 'POST /api/v1/auth/set-password'],
      ...['POST /api/v1/auth/passkey', 'POST /api/v1/auth/passkey/options', 'POST /api/v1/auth/sign-up'],
      ...['POST /api/v1/auth/invitation', 'POST /api/v1/auth/invitation/accept'],
      ...['GET /.well-known/jwks.json', 'GET /api/v1/ws'],
    ]),
  );
});

test('API-02 the documentation is served, to whoever is signed in', async () => {
  const open = (headers: Record<string, string>) => fetch(`${guildhall.app.url}/docs/`, { headers });
  const page = await open({ authorization: `Bearer ${guildhall.key}` });
  assert.equal(page.status, 200);
  assert.match(await page.text(), /swagger-ui/);
  assert.equal((await open({})).status, 401);
});

test('API-02 an answer holds nothing that its schema does not name', async () => {
  // The columns of keys, hash included, are read; only what the schema lists is shown.
  const { body } = await guildhall.api<{ items: object[] }>('GET', '/api/v1/api-keys');
  assert.deepEqual(
    new Set(Object.keys(body.items[0] ?? {})),
    new Set([
      ...['id', 'name', 'prefix', 'scopes', 'created_at', 'expires_at', 'revoked_at', 'last_used_at'],
      ...['member_id', 'service_account_id', 'project_ids', 'replaced_by'],
    ]),
  );
});
