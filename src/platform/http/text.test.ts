import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isStorable } from './text.ts';

test('VAL-01 a NUL or half of a surrogate pair is found however deep it lies', () => {
  const wrong = fc.constantFrom('\0', 'a\0b', '\ud800', 'x\udfff', '\udc00\ud800');
  fc.assert(
    fc.property(wrong, fc.array(fc.nat(1), { maxLength: 20 }), (text, path) => {
      const value = path.reduce<unknown>(
        (inner, kind) => (kind ? [1, inner, null] : { a: true, b: inner }),
        text,
      );
      assert.equal(isStorable(value), false);
    }),
  );
});

test('VAL-01 any other text passes, also beyond the basic plane', () => {
  assert.ok(isStorable({ a: ['', '漢字 🦊', '\u0001\u202e\ufffd\uffff', 3, null, undefined, true] }));
  const text = fc.string({ unit: 'binary' }).filter(s => !s.includes('\0'));
  fc.assert(fc.property(fc.array(fc.dictionary(text, text), { maxLength: 5 }), isStorable), { numRuns: 50 });
});

test('VAL-06 depth is no danger', () => {
  let value: unknown = 'end';
  for (let i = 0; i < 1_000_000; i++) value = [value];
  assert.equal(isStorable(value), true);
});
