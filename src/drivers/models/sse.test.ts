/** The event stream parser, cut at every byte. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type SseEvent, SseParser } from './sse.ts';

const text = [
  ': a comment',
  'event: greeting',
  'data: {"text":"Grüße 🎉"}',
  '',
  'data:no space',
  'data:  two spaces',
  'id: 7',
  'retry: 10',
  'unknown: field',
  '',
  'event: without data',
  '',
  'data',
  '',
  'data: [DONE]',
  '',
  '',
].join('\n');

const expected: SseEvent[] = [
  { event: 'greeting', data: '{"text":"Grüße 🎉"}' },
  { event: '', data: 'no space\n two spaces' },
  { event: '', data: '' },
  { event: '', data: '[DONE]' },
];

function parse(chunks: Uint8Array[]): SseEvent[] {
  const parser = new SseParser();
  return [...chunks.flatMap(chunk => parser.push(chunk)), ...parser.end()];
}

for (const [name, lineEnd] of [
  ['LF', '\n'],
  ['CR LF', '\r\n'],
  ['CR', '\r'],
] as const)
  test(`lines that end in ${name}, cut at every byte`, () => {
    const bytes = Buffer.from(text.replaceAll('\n', lineEnd));
    assert.deepEqual(parse([bytes]), expected);
    for (let cut = 1; cut < bytes.length; cut++)
      assert.deepEqual(parse([bytes.subarray(0, cut), bytes.subarray(cut)]), expected, `cut at ${cut}`);
    assert.deepEqual(parse([...bytes].map(byte => Uint8Array.of(byte))), expected);
  });

test('an event is given when its blank line comes, not later', () => {
  const parser = new SseParser();
  assert.deepEqual(parser.push(Buffer.from('data: 1\n')), []);
  assert.deepEqual(parser.push(Buffer.from('\n')), [{ event: '', data: '1' }]);
  assert.deepEqual(parser.push(Buffer.from('data: 2\r\n\r')), [{ event: '', data: '2' }]);
  assert.deepEqual(parser.push(Buffer.from('\ndata: 3\r\n\r\n')), [{ event: '', data: '3' }]);
});

test('a missing blank line at the end loses nothing', () => {
  assert.deepEqual(parse([Buffer.from('data: 1\n\ndata: 2')]), [
    { event: '', data: '1' },
    { event: '', data: '2' },
  ]);
});

test('a byte order mark is no part of the first field', () => {
  assert.deepEqual(parse([Buffer.from('\ufeffdata: 1\n\n')]), [{ event: '', data: '1' }]);
});
