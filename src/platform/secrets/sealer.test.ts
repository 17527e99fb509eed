import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { Problem } from '../../base/problem.ts';
import { type KeyRing, newMasterKey, parseMasterKey, showMasterKey } from './master-key.ts';
import { createSealer } from './sealer.ts';

const root = randomBytes(32);
const ringOf = (current = newMasterKey(), ...others: KeyRing['others']): KeyRing => ({ current, others });
const codeOf = (code: string) => (error: unknown) => error instanceof Problem && error.code === code;

test('SEC-02 what was sealed opens again, as bytes, under its own context only', () => {
  const sealer = createSealer(ringOf(), root);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 3_000 }), fc.string(), (bytes, context) => {
      const sealed = sealer.seal(Buffer.from(bytes), context);
      assert.deepEqual(sealer.open(sealed, context), Buffer.from(bytes));
      assert.throws(() => sealer.open(sealed, `${context}x`), codeOf('sealed_value_damaged'));
    }),
    { numRuns: 50 },
  );
  assert.equal(sealer.open(sealer.seal('grün 🔑', 'a'), 'a').toString(), 'grün 🔑');
});

test('SEC-02 no two sealed values are the same, and none contains what it seals', () => {
  const sealer = createSealer(ringOf(), root);
  const all = new Set(Array.from({ length: 100 }, () => sealer.seal('the same secret', 'a')));
  assert.equal(all.size, 100);
  for (const sealed of all) assert.ok(!Buffer.from(sealed, 'base64url').includes('secret'));
});

test('SEC-02 a value with any character changed does not open', () => {
  const sealer = createSealer(ringOf(), root);
  const sealed = sealer.seal('a secret', 'a');
  for (let at = 0; at < sealed.length; at++) {
    // Not the next letter: the last one of a group may hold bits that mean nothing.
    const other = sealed[at] === 'A' ? 'z' : 'A';
    assert.throws(() => sealer.open(sealed.slice(0, at) + other + sealed.slice(at + 1), 'a'), Problem);
  }
  for (const wrong of ['', 'gs1', 'a secret', sealed.slice(0, -10), `${sealed}.x`])
    assert.throws(() => sealer.open(wrong, 'a'), codeOf('sealed_value_damaged'));
});

test('SEC-03 after a change of the key old values open with the old one and ask to be sealed anew', () => {
  const ring = ringOf();
  const first = ring.current;
  const sealer = createSealer(ring, root);
  const sealed = sealer.seal('kept', 'a');
  assert.ok(!sealer.needsResealing(sealed));
  ring.others = [first];
  ring.current = newMasterKey();
  assert.ok(sealer.needsResealing(sealed));
  assert.equal(sealer.open(sealed, 'a').toString(), 'kept');
  const again = sealer.seal(sealer.open(sealed, 'a'), 'a');
  assert.ok(!sealer.needsResealing(again));
  ring.others = [];
  assert.equal(sealer.open(again, 'a').toString(), 'kept');
  assert.throws(() => sealer.open(sealed, 'a'), codeOf('master_key_unknown'));
});

test('SEC-03 derived bytes differ by purpose and outlive the master key unless asked of one key', () => {
  const [one, other] = [newMasterKey(), newMasterKey()];
  const before = createSealer(ringOf(one), root);
  const after = createSealer(ringOf(other, one), root);
  assert.equal(before.derive('csrf').length, 32);
  assert.deepEqual(before.derive('csrf'), after.derive('csrf'));
  assert.notDeepEqual(before.derive('csrf'), before.derive('sign-in'));
  assert.deepEqual(before.derive('csrf', one.id), after.derive('csrf', one.id));
  assert.notDeepEqual(after.derive('csrf', one.id), after.derive('csrf', other.id));
  assert.throws(() => before.derive('csrf', other.id), codeOf('master_key_unknown'));
});

test('SEC-05 a master key is 32 random bytes: short, repeated and typed ones are refused', () => {
  const key = newMasterKey();
  assert.deepEqual(parseMasterKey(` ${showMasterKey(key)}\n`, 'X'), key);
  assert.deepEqual(parseMasterKey(key.bytes.toString('base64url'), 'X'), key);
  const weak = [
    '',
    'password',
    randomBytes(31).toString('base64'),
    randomBytes(33).toString('base64'),
    Buffer.alloc(32).toString('base64'),
    Buffer.from('0123456789abcdef0123456789abcdef').toString('base64'),
    Buffer.from('correct-horse-battery-staple-okay').subarray(0, 32).toString('base64'),
    '!'.repeat(44),
  ];
  for (const text of weak) assert.throws(() => parseMasterKey(text, 'X'), codeOf('master_key_invalid'), text);
});
