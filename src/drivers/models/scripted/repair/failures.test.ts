/** What test runners print is read back: counts, places, compared values. The samples are what the programs really print. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { readFailures } from './failures.ts';
import { Opaque, readValue } from './printed-value.ts';

const sample = `import assert from 'node:assert/strict';
import test from 'node:test';
test('adds', () => { assert.equal(1 - 2, 3); });
test('lists', () => { assert.deepEqual([{ id: 1, tag: 'n' }], [{ id: 1, tag: 'm' }]); });
test('throws', () => { undefined.x; });
test('fine', () => {});
`;

function output(...args: string[]): string {
  const folder = mkdtempSync(join(tmpdir(), 'failures-'));
  try {
    writeFileSync(join(folder, 'a.test.mjs'), sample);
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    const done = spawnSync(process.execPath, args, { cwd: folder, encoding: 'utf8', env });
    return done.stdout + done.stderr;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

for (const reporter of ['spec', 'tap']) {
  test(`node:test, ${reporter}`, () => {
    const { passing, failing, failures } = readFailures(output('--test', `--test-reporter=${reporter}`));
    assert.deepEqual([passing, failing], [1, 3]);
    assert.deepEqual(
      failures.map(one => [one.test, one.error, one.frames[0]?.line]),
      [
        ['adds', 'AssertionError', 3],
        ['lists', 'AssertionError', 4],
        ['throws', 'TypeError', 5],
      ],
    );
    assert.deepEqual(failures[0]!.compared, { actual: -1, expected: 3 });
    assert.deepEqual(failures[1]!.pairs, [{ actual: 'n', expected: 'm' }]);
    assert.match(failures[2]!.message, /Cannot read properties of undefined/);
  });
}

test('mocha, whose diff is the other way round', () => {
  const text = `  1 passing (3ms)\n  1 failing\n\n  1) sum\n       adds:\n\n      AssertionError [ERR_ASSERTION]: Expected values\n      + expected - actual\n\n      -4\n      +5\n\n      at Context.<anonymous> (test/sum.test.js:7:12)\n`;
  const { passing, failing, failures } = readFailures(text);
  assert.deepEqual([passing, failing], [1, 1]);
  assert.deepEqual(failures[0]!.pairs, [{ actual: 4, expected: 5 }]);
  assert.deepEqual(failures[0]!.frames[0], {
    path: 'test/sum.test.js',
    line: 7,
    column: 12,
  });
});

test('jest', () => {
  const text = `FAIL test/sum.test.js\n  ● adds\n\n    expect(received).toBe(expected) // Object.is equality\n\n    Expected: 5\n    Received: 4\n\n      at Object.<anonymous> (test/sum.test.js:3:20)\n\nTests:       1 failed, 2 passed, 3 total\n`;
  const { passing, failing, failures } = readFailures(text);
  assert.deepEqual([passing, failing], [2, 1]);
  assert.deepEqual(
    failures.map(one => one.compared),
    [{ actual: 4, expected: 5 }],
  );
});

test('unittest', () => {
  const text = `F.\n======\nFAIL: test_add (test_sum.Sums)\n------\nTraceback (most recent call last):\n  File "/workspace/test_sum.py", line 6, in test_add\n    self.assertEqual(add(1, 2), 3)\nAssertionError: -1 != 3\n\n------\nRan 2 tests in 0.001s\n\nFAILED (failures=1)\n`;
  const { passing, failing, failures } = readFailures(text);
  assert.deepEqual([passing, failing], [1, 1]);
  assert.deepEqual(failures[0]!.compared, { actual: -1, expected: 3 });
  assert.equal(failures[0]!.frames[0]!.line, 6);
});

test('printed values are read back, and what is no plain value stays opaque', () => {
  const read = (text: string) => readValue(text)?.value;
  assert.deepEqual(read("{ id: 1, 'a-b': [ 'x', null, undefined, -0.5 ] }"), {
    id: 1,
    'a-b': ['x', null, undefined, -0.5],
  });
  assert.deepEqual(read("[Object: null prototype] { a: 'it\\'s' }"), { a: "it's" });
  assert.deepEqual(read("'one\\n' +\n  'two'"), 'one\ntwo');
  assert.deepEqual(read('Set(2) { 1, 2 }'), [1, 2]);
  assert.ok(Number.isNaN(read('NaN')));
  for (const text of ['[Function: f]', 'Promise { 1 }', '2024-01-01T00:00:00.000Z', '/x/', '1n'])
    assert.ok(read(text) instanceof Opaque, text);
});
