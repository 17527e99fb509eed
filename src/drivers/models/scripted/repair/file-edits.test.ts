/** Every edit can be made and taken back with a tool that replaces a text which must occur exactly once. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rankCandidates } from './candidates.ts';
import { readClues } from './clues.ts';
import { describeChange, uniqueChange } from './file-edits.ts';
import { suspicion } from './suspects.ts';

const source = `export function first(list) {
  const total = list.length;
  if (total === 0) return null;
  return list[0];
}

export function last(list) {
  const total = list.length;
  if (total === 0) return null;
  return list[0];
}
`;

const occurrences = (text: string, piece: string) => text.split(piece).length - 1;

test('each candidate is one exact replacement there and one back', () => {
  const suspects = suspicion([], new Map([['list.js', source]]), new Map());
  const candidates = rankCandidates(suspects, readClues(false, [], suspects, new Map()));
  assert.ok(candidates.length > 60);
  for (const { text } of candidates) {
    const { old_text, new_text } = uniqueChange(source, text);
    assert.equal(occurrences(source, old_text), 1);
    assert.equal(occurrences(text, new_text), 1);
    assert.equal(
      source.replace(old_text, () => new_text),
      text,
    );
    assert.equal(
      text.replace(new_text, () => old_text),
      source,
    );
  }
});

test('candidates are distinct, and ranked', () => {
  const suspects = suspicion([], new Map([['list.js', source]]), new Map());
  const candidates = rankCandidates(suspects, readClues(false, [], suspects, new Map()));
  assert.equal(new Set(candidates.map(one => one.text)).size, candidates.length);
  for (const [i, one] of candidates.slice(1).entries()) assert.ok(one.score <= candidates[i]!.score);
  assert.ok(candidates.every(one => one.text !== source));
});

test('a change is told line by line', () => {
  assert.equal(
    describeChange('a.js', 'x\n  return 1;\ny\n', 'x\n  return 2;\ny\n'),
    'a.js, line 2:\n- return 1;\n+ return 2;',
  );
});
