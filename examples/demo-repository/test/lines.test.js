import assert from 'node:assert/strict';
import { test } from 'node:test';
import { netOf, taxByRate, volumeDiscount } from '../src/lines.js';

test('gives a discount from the quantity that earns it', () => {
  assert.equal(volumeDiscount(9), 0);
  assert.equal(volumeDiscount(10), 5);
  assert.equal(volumeDiscount(49), 5);
  assert.equal(volumeDiscount(50), 10);
});

test('takes the discount off the line', () => {
  assert.equal(netOf({ quantity: 1, unitPrice: 999 }), 999);
  assert.equal(netOf({ quantity: 10, unitPrice: 999 }), 9490);
});

test('adds tax by rate, the highest first', () => {
  const lines = [
    { quantity: 1, unitPrice: 1000, taxRate: 10 },
    { quantity: 2, unitPrice: 1000, taxRate: 20 },
    { quantity: 1, unitPrice: 500, taxRate: 10 },
  ];
  assert.deepEqual(taxByRate(lines), [
    { rate: 20, net: 2000, tax: 400 },
    { rate: 10, net: 1500, tax: 150 },
  ]);
});
