import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { idPattern, newId } from './ids.ts';

const latest = 2 ** 48 - 1;

test('an id has its prefix and 26 characters of the ULID alphabet', () => {
  assert.match(newId('task'), /^task_[0-9a-hjkmnp-tv-z]{26}$/);
  assert.match(newId('org', 0, new Uint8Array(10)), /^org_0{26}$/);
  assert.match(newId('org', latest, new Uint8Array(10).fill(255)), /^org_7z{25}$/);
});

test('ids of later times sort after ids of earlier ones, whatever chance adds', () => {
  const time = fc.integer({ min: 0, max: latest });
  const chance = fc.uint8Array({ minLength: 10, maxLength: 10 });
  fc.assert(
    fc.property(time, time, chance, chance, (a, b, x, y) => {
      fc.pre(a < b);
      assert.ok(newId('run', a, x) < newId('run', b, y));
    }),
  );
});

test('equal inputs give equal ids, other chance gives another id', () => {
  const chance = fc.uint8Array({ minLength: 10, maxLength: 10 });
  fc.assert(
    fc.property(chance, chance, (x, y) => {
      const same = Buffer.from(x).equals(Buffer.from(y));
      assert.equal(newId('run', 1, x) === newId('run', 1, y), same);
    }),
  );
});

test('the pattern of a noun takes its ids only', () => {
  const pattern = idPattern('task');
  assert.match(newId('task'), pattern);
  for (const wrong of [
    newId('run'),
    `${newId('task')}x`,
    newId('task').toUpperCase(),
    'task_',
    '',
    '../task_',
  ]) {
    assert.doesNotMatch(wrong, pattern);
  }
});
