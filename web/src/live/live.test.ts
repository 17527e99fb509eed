import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LiveEvent } from '../api/types.ts';
import { createSseParser } from './sse-parser.ts';
import { batchOf, isStale } from './stale.ts';

const stream =
  'retry: 1000\n\n: keep-alive\n\nid: 5-1\nevent: task.created\ndata: {"a":1}\n\nid: 5-2\ndata: x\ndata: y\n\n';

test('events are read however the stream is cut', () => {
  const whole = createSseParser()(stream);
  assert.deepEqual(whole, [
    { id: '5-1', type: 'task.created', data: '{"a":1}' },
    { id: '5-2', type: 'message', data: 'x\ny' },
  ]);
  for (let size = 1; size < 12; size++) {
    const parse = createSseParser();
    const pieces = stream.match(new RegExp(`[\\s\\S]{1,${size}}`, 'g')) ?? [];
    assert.deepEqual(pieces.flatMap(parse), whole, `pieces of ${size}`);
  }
});

test('lines may end in CRLF, also when cut between the two', () => {
  const parse = createSseParser();
  assert.deepEqual([...parse('data: a\r'), ...parse('\n\r\n')], [{ id: null, type: 'message', data: 'a' }]);
});

const event = (type: string, task: string | null, root = task): LiveEvent => ({
  id: '1-1',
  type,
  task_id: task,
  root_task_id: root,
  run_id: null,
  actor: 'system',
  request_id: null,
  data: {},
  created_at: '2026-01-01T00:00:00.000Z',
});

test('a step touches the task and its root, not the list, the tree or other tasks', () => {
  const batch = batchOf([event('step.finished', 'child', 'root')]);
  assert.equal(isStale(batch, ['task', 'child'], undefined), true);
  assert.equal(
    isStale(batch, ['task', 'sibling'], { root_task_id: 'root' }),
    true,
    'it shows the cost of the tree',
  );
  assert.equal(isStale(batch, ['task', 'other'], { root_task_id: 'other' }), false);
  assert.equal(isStale(batch, ['tasks', 'all'], undefined), false);
  assert.equal(isStale(batch, ['tree', 'root'], undefined), false);
  assert.equal(isStale(batch, ['journal', 'root'], undefined), false, 'journals are appended to instead');
  assert.equal(isStale(batch, ['me'], undefined), false);
});

test('a new state touches the tree, and the list only at the top', () => {
  const child = batchOf([event('task.succeeded', 'child', 'root')]);
  assert.equal(isStale(child, ['tree', 'root'], undefined), true);
  assert.equal(isStale(child, ['tasks', 'open'], undefined), false);
  assert.equal(isStale(batchOf([event('task.queued', 'root')]), ['tasks', 'open'], undefined), true);
});

test('approvals follow their own events and the end of runs, which cancels them', () => {
  assert.equal(
    isStale(batchOf([event('approval.requested', 't')]), ['approvals', 'pending'], undefined),
    true,
  );
  assert.equal(isStale(batchOf([event('run.cancelled', 't')]), ['approvals', 'pending'], undefined), true);
  assert.equal(isStale(batchOf([event('step.finished', 't')]), ['approvals', 'pending'], undefined), false);
});
