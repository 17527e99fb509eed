import assert from 'node:assert/strict';
import { test } from 'node:test';
import { subtreeOf } from './task/subtree.ts';
import { flatten } from './tree.ts';

const items = [
  { id: 'a', parent_task_id: null },
  { id: 'b', parent_task_id: 'a' },
  { id: 'c', parent_task_id: 'a' },
  { id: 'd', parent_task_id: 'b' },
];
const flat = (list: typeof items) =>
  flatten(
    list,
    i => i.id,
    i => i.parent_task_id,
  );

test('parents stand before children, with guides where a sibling follows', () => {
  assert.deepEqual(
    flat(items).map(row => [row.item.id, row.depth, row.guides.slice(1)]),
    [
      ['a', 0, []],
      ['b', 1, [true]],
      ['d', 2, [true, false]],
      ['c', 1, [false]],
    ],
  );
});

test('nothing is lost: neither what has an unknown parent, nor a circle', () => {
  assert.deepEqual(
    flat([{ id: 'x', parent_task_id: 'unknown' }]).map(row => row.depth),
    [0],
  );
  const circle = [
    { id: 'p', parent_task_id: 'q' },
    { id: 'q', parent_task_id: 'p' },
  ];
  assert.deepEqual(
    flat(circle as typeof items).map(row => row.item.id),
    ['p', 'q'],
  );
});

test('a subtree is a task and all below it', () => {
  assert.deepEqual(
    subtreeOf(items, 'b').map(i => i.id),
    ['b', 'd'],
  );
});
