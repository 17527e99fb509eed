import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { createCollector, headLength } from './output.ts';

const collect = (maxBytes: number, chunks: string[]) => {
  const collector = createCollector(maxBytes);
  for (const chunk of chunks) collector.push(Buffer.from(chunk));
  const { bytes, dropped } = collector.result();
  return { text: Buffer.from(bytes).toString(), dropped, total: collector.total() };
};

test('SBX-07 output: what fits is kept whole', () => {
  assert.deepEqual(collect(10, []), { text: '', dropped: 0, total: 0 });
  assert.deepEqual(collect(10, ['abc', 'defghij']), { text: 'abcdefghij', dropped: 0, total: 10 });
  assert.deepEqual(collect(5, ['a', 'b', 'c', 'd', 'e']), { text: 'abcde', dropped: 0, total: 5 });
});

test('SBX-07 output: head and tail are kept, the middle is counted, however it is cut into chunks', () => {
  const whole = Array.from({ length: 1000 }, (_, i) => String.fromCharCode(97 + (i % 26))).join('');
  for (const size of [1, 3, 7, 64, 1000]) {
    const chunks = whole.match(new RegExp(`.{1,${size}}`, 'g'))!;
    const max = 101;
    const head = headLength(max);
    assert.deepEqual(collect(max, chunks), {
      text: whole.slice(0, head) + whole.slice(-(max - head)),
      dropped: 1000 - max,
      total: 1000,
    });
  }
  assert.deepEqual(collect(0, ['abc']), { text: '', dropped: 3, total: 3 });
  assert.deepEqual(collect(1, ['abc']), { text: 'a', dropped: 2, total: 3 });
});

/** What is held is the question, not when the collector last came by. */
function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  runInNewContext('gc')();
}

test('SBX-07 output: memory stays bounded', () => {
  const collector = createCollector(1024);
  const chunk = Buffer.alloc(65_536, 'x');
  const before = process.memoryUsage().arrayBuffers;
  for (let i = 0; i < 2000; i++) collector.push(Buffer.from(chunk));
  assert.equal(collector.result().dropped, 2000 * 65_536 - 1024);
  collectGarbage();
  assert.ok(process.memoryUsage().arrayBuffers - before < 64 * 1024 * 1024);
});
