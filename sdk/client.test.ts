import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openPeer, problem } from '../cli/testing.ts';
import { createClient, value } from './client.ts';
import { ApiError } from './errors.ts';

const rejection = async (work: Promise<unknown>): Promise<ApiError> => {
  const error = await work.then(
    () => assert.fail('it succeeded'),
    error => error,
  );
  assert.ok(error instanceof ApiError, String(error));
  return error;
};

test('a problem document arrives as an ApiError with the same fields', async () => {
  await using peer = await openPeer(() =>
    problem(422, 'request_invalid', 'Not valid.', { fields: [{ path: 'body' }] }),
  );
  const error = await rejection(value(createClient({ url: peer.url }).GET('/api/v1/me')));
  const { status, code, title, detail, request_id } = error;
  assert.deepEqual(
    { status, code, title, detail, request_id },
    {
      status: 422,
      code: 'request_invalid',
      title: 'Not valid.',
      detail: { fields: [{ path: 'body' }] },
      request_id: 'req_test',
    },
  );
});

test('API-01 a POST whose answer was lost is sent again under the same Idempotency-Key', async () => {
  let times = 0;
  await using peer = await openPeer(() => (++times < 3 ? null : { body: { id: 'task_1' } }));
  const api = createClient({ url: peer.url, key: 'ghk_x' });
  const task = await value(api.POST('/api/v1/tasks', { body: { request: 'x' } }));
  assert.equal(task.id, 'task_1');
  const keys = peer.received.map(one => one.headers['idempotency-key']);
  assert.equal(keys.length, 3);
  assert.equal(new Set(keys).size, 1);
  assert.deepEqual(peer.received[2]?.body, { request: 'x' });
  await value(api.POST('/api/v1/tasks', { body: { request: 'x' } }));
  assert.notEqual(peer.received[3]?.headers['idempotency-key'], keys[0], 'another call is another key');
});

test('a write without a key is not sent twice; no answer at all is server_unreachable', async () => {
  await using peer = await openPeer(() => null);
  const api = createClient({ url: peer.url });
  const error = await rejection(
    value(api.PUT('/api/v1/budgets', { body: { scope: 'task', scope_id: 'x', limit_usd: 1 } })),
  );
  assert.deepEqual([error.status, error.code, error.request_id], [0, 'server_unreachable', null]);
  assert.equal(peer.received.length, 1);
});

test('something else on that address is said to be no Guildhall server', async () => {
  const html = () =>
    Promise.resolve(new Response('<html>', { status: 200, headers: { 'content-type': 'text/html' } }));
  const error = await rejection(
    value(createClient({ url: 'http://127.0.0.1:9', fetch: html }).GET('/api/v1/me')),
  );
  assert.equal(error.code, 'answer_not_understood');
});
