import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { canonicalJson } from './json.ts';

/** The same value with the keys of every object in another order. */
function reversed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reversed);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([k, v]) => [k, reversed(v)]),
  );
}

test('canonical JSON does not depend on the order of keys', () => {
  fc.assert(fc.property(fc.jsonValue(), value => canonicalJson(value) === canonicalJson(reversed(value))));
});

test('canonical JSON reads back as the same value', () => {
  fc.assert(
    fc.property(fc.jsonValue(), value =>
      assert.equal(canonicalJson(JSON.parse(canonicalJson(value))), canonicalJson(value)),
    ),
  );
});

test('canonical JSON is sorted, without white space, and leaves out what JSON leaves out', () => {
  assert.equal(
    canonicalJson({ b: 1, a: [undefined, { d: null, c: undefined }] }),
    '{"a":[null,{"d":null}],"b":1}',
  );
  assert.equal(canonicalJson({ ä: 'x', Z: 1, a: 2 }), '{"Z":1,"a":2,"ä":"x"}');
});
