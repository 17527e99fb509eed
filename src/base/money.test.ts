import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatMicros, tokenCost } from './money.ts';

test('CST-02 a price times tokens is exact, and a part of a micro-dollar counts as one', () => {
  assert.equal(tokenCost(1_000_000, 3_000_000), 3_000_000);
  assert.equal(tokenCost(1, 3_000_000), 3);
  assert.equal(tokenCost(1, 50_000), 1);
  assert.equal(tokenCost(20, 50_000), 1);
  assert.equal(tokenCost(21, 50_000), 2);
  assert.equal(tokenCost(0, 25_000_000), 0);
  assert.equal(tokenCost(123_456_789, 0), 0);
});

test('CST-02 no charge is below its cost, none a whole micro-dollar above it', () => {
  fc.assert(
    fc.property(fc.nat(10_000_000), fc.nat(100_000_000), (tokens, price) => {
      const charged = BigInt(tokenCost(tokens, price)) * 1_000_000n;
      const exact = BigInt(tokens) * BigInt(price);
      assert.ok(charged >= exact && charged - exact < 1_000_000n);
    }),
  );
});

test('an amount is shown with as many places as it needs, two at least', () => {
  const shown = [0, 1, 10, 10_000, 1_000_000, 1_500_000, 12_345_678, 1_234_567_000_000].map(formatMicros);
  assert.deepEqual(shown, [
    '$0.00',
    '$0.000001',
    '$0.00001',
    '$0.01',
    '$1.00',
    '$1.50',
    '$12.345678',
    '$1234567.00',
  ]);
});
