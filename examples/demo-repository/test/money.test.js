import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allocate, formatAmount, percentOf, roundHalfUp, sum } from '../src/money.js';

test('rounds half away from zero', () => {
  assert.equal(roundHalfUp(2.5), 3);
  assert.equal(roundHalfUp(-2.5), -3);
  assert.equal(roundHalfUp(2.4), 2);
});

test('takes a percentage in whole cents', () => {
  assert.equal(percentOf(1999, 20), 400);
  assert.equal(percentOf(0, 20), 0);
});

test('adds amounts', () => {
  assert.equal(sum([1, 2, 3]), 6);
  assert.equal(sum([]), 0);
});

test('allocates every cent, the first parts get the odd ones', () => {
  assert.deepEqual(allocate(10000, 3), [3334, 3333, 3333]);
  assert.deepEqual(allocate(10001, 3), [3334, 3334, 3333]);
  assert.deepEqual(allocate(900, 3), [300, 300, 300]);
});

test('refuses to allocate to no parts', () => {
  assert.throws(() => allocate(100, 0), RangeError);
});

test('formats amounts', () => {
  assert.equal(formatAmount(123456789), '1,234,567.89');
  assert.equal(formatAmount(-5), '-0.05');
});
