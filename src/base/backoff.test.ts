import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { backoffMs } from './backoff.ts';

const options = { baseMs: 1_000, capMs: 60_000 };

test('a delay lies in the upper half of its ceiling, which doubles up to the cap', () => {
  assert.deepEqual(
    [1, 2, 3, 6, 7, 40].map(attempt => [
      backoffMs(attempt, options, 0),
      backoffMs(attempt, options, 0.999999),
    ]),
    [
      [500, 1_000],
      [1_000, 2_000],
      [2_000, 4_000],
      [16_000, 32_000],
      [30_000, 60_000],
      [30_000, 60_000],
    ],
  );
});

test('whatever the attempt and chance are, a delay is finite, above zero and not above the cap', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 5_000 }),
      fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
      (n, r) => {
        const delay = backoffMs(n, options, r);
        assert.ok(delay >= 500 && delay <= 60_000);
      },
    ),
  );
});
