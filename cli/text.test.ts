import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dollars, duration, oneLine, plain, table } from './text.ts';

test('text of agents cannot move the cursor, change colours or reorder a line', () => {
  assert.equal(plain('a\u001b[2Jb\u001b]0;title\u0007c\rd\u009be\u202ef\tg\nh'), 'ab]0;titlecdef\tg\nh');
  assert.equal(oneLine('a\n\n  b\u001b[1mc', 10), 'a bc');
  assert.equal(oneLine('abcdefghij', 5), 'abcd…');
});

test('amounts and durations', () => {
  assert.equal(dollars(0), '$0.00');
  assert.equal(dollars(12_345), '$0.012345');
  assert.equal(dollars(2_500_000), '$2.50');
  assert.deepEqual([999, 1_500, 61_000, 3_720_000].map(duration), [
    '999 ms',
    '1.5 s',
    '1 min 1 s',
    '1 h 2 min',
  ]);
});

test('tables align, and end where the terminal ends', () => {
  const rows = [
    ['a', 'long text'],
    ['bbb', 'x'],
  ];
  assert.equal(table(['ID', 'TEXT'], rows, null), 'ID   TEXT\na    long text\nbbb  x\n');
  assert.equal(table(['ID', 'TEXT'], rows, 8), 'ID   TE…\na    lo…\nbbb  x\n');
});
