import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { qrMatrix } from './qr.ts';

/** Codes that a scanner (zbar) read back as what went in, one of each version and level M; then their hashes. */
const scanned: [text: string, size: number, hash: string][] = [
  [
    'otpauth://totp/Guildhall:ann%40example.com?secret=IFSWG5DYHBHDSNRYMJZUKV2XOZ4HUWTPIY2DK2KDG5HDAQJYIRBA&issuer=Guildhall&digits=6&period=30',
    49,
    '923a1c2743ff5dfe',
  ],
  ['hi', 21, '714c7e3c49846a9d'],
  ...(
    [
      [14, 21, '6dc97c1730cce422'],
      [26, 25, '9e4fb3b0bc8caaf1'],
      [42, 29, 'ab7a73a26c1ce8dc'],
      [62, 33, '2b594f62ad9a20da'],
      [84, 37, 'ed79cb4f69c901f7'],
      [106, 41, '964259b0ea1a243c'],
      [122, 45, 'f56742f4cccbc15b'],
      [152, 49, 'cdc6bb497e472ef0'],
      [180, 53, '0579c94eab0151fb'],
      [213, 57, '539cd652ec89d594'],
    ] as const
  ).map(([length, size, hash]): [string, number, string] => ['x1Y'.repeat(100).slice(0, length), size, hash]),
];

test('codes are the ones that a scanner has read, up to the longest text of each version', () => {
  for (const [text, size, hash] of scanned) {
    const matrix = qrMatrix(text);
    assert.equal(matrix.length, size, text);
    const found = createHash('sha256').update(JSON.stringify(matrix)).digest('hex').slice(0, 16);
    assert.equal(found, hash, text);
  }
});

test('a text that is too long is refused', () => {
  assert.throws(() => qrMatrix('x'.repeat(214)), /214 bytes are too many/);
});
