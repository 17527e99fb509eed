import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inWords } from '../src/words.js';

test('says amounts below one hundred', () => {
  assert.equal(inWords(0), 'zero');
  assert.equal(inWords(13), 'thirteen');
  assert.equal(inWords(40), 'forty');
  assert.equal(inWords(99), 'ninety-nine');
});

test('says hundreds and thousands', () => {
  assert.equal(inWords(100), 'one hundred');
  assert.equal(inWords(305), 'three hundred and five');
  assert.equal(inWords(1250), 'one thousand two hundred and fifty');
});
