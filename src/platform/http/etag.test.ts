import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import pino from 'pino';
import { z } from 'zod';
import { createServer } from './server.ts';

const server = await createServer({ log: pino({ level: 'silent' }), version: '0.0.0', https: false });
after(() => server.close());
let count = 0;
const response = { 200: z.object({ count: z.number() }) };
server.get('/count', { schema: { response } }, async () => ({ count }));
server.get('/text', async (_request, reply) => reply.type('text/plain').send('text'));
server.get('/none', async (_request, reply) => reply.status(204).send());
server.post('/count', { schema: { response } }, async () => ({ count: ++count }));

const get = (url: string, headers: Record<string, string> = {}) =>
  server.inject({ method: 'GET', url, headers });

test('API-04 what is read has a tag, equal as long as the body is equal', async () => {
  const [first, second] = [await get('/count'), await get('/count')];
  assert.match(String(first.headers.etag), /^W\/"[A-Za-z0-9_-]{22}"$/);
  assert.equal(first.headers.etag, second.headers.etag);
  assert.equal(first.headers['cache-control'], 'private, no-cache');
  await server.inject({ method: 'POST', url: '/count' });
  assert.notEqual((await get('/count')).headers.etag, first.headers.etag);
});

test('API-04 a client that has the body is answered 304 without it', async () => {
  const { headers, body } = await get('/count');
  const tag = String(headers.etag);
  for (const given of [tag, tag.slice(2), `"other", ${tag}`, `${tag},W/"x"`, '*']) {
    const again = await get('/count', { 'if-none-match': given });
    assert.equal(again.statusCode, 304, given);
    assert.equal(again.body, '');
    assert.equal(again.headers.etag, tag);
    assert.ok(again.headers['x-request-id']);
    assert.equal(again.headers['content-type'], undefined);
  }
  for (const given of ['', '"other"', 'W/"other"', tag.slice(0, -2)]) {
    const again = await get('/count', { 'if-none-match': given });
    assert.deepEqual([again.statusCode, again.body], [200, body], given);
  }
});

test('API-04 only JSON that was read is tagged: no write, no refusal, no other content', async () => {
  const others = [
    await server.inject({ method: 'POST', url: '/count' }),
    await get('/text'),
    await get('/none'),
    await get('/nowhere', { 'if-none-match': '*' }),
  ];
  for (const answer of others) assert.equal(answer.headers.etag, undefined);
  assert.deepEqual(
    others.map(answer => answer.statusCode),
    [200, 200, 204, 404],
  );
});
