import assert from 'node:assert/strict';
import { test } from 'node:test';
import { endedBadly, outcomeOf, readResult, showArguments, subjectOf } from './tool-words.ts';

test('facts end where raw text begins', () => {
  const { facts, rest } = readResult('path: a.js\nlines: 1-2 of 2\n---\nkey: not a fact\n');
  assert.deepEqual(
    [...facts],
    [
      ['path', 'a.js'],
      ['lines', '1-2 of 2'],
    ],
  );
  assert.equal(rest, '---\nkey: not a fact\n');
});

test('each tool says in a few words what came of it', () => {
  assert.equal(outcomeOf('run_command', 'exit_code: 1\nduration_ms: 3\n--- stdout\n', false), 'exit 1');
  assert.equal(outcomeOf('run_command', 'outcome: timed_out\nduration_ms: 3', false), 'timed out');
  assert.equal(outcomeOf('list_files', 'a\nb/\n', false), '2 lines');
  assert.equal(outcomeOf('git_diff', 'no changes', false), 'no changes');
  assert.equal(outcomeOf('git_diff', '--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n', false), '2 changed lines');
  assert.equal(outcomeOf('git_commit', 'commit: 9b8e21cd77aa03f5\nbranch: b', false), '9b8e21cd77');
  assert.equal(
    outcomeOf('delegate', 'task: t\nstate: succeeded\ndecision: gave_up\n---\n', false),
    'succeeded, gave up',
  );
  assert.equal(outcomeOf('read_file', 'There is no file x.\nmore', true), 'There is no file x.');
});

test('a command ended badly unless it exited with zero', () => {
  assert.equal(endedBadly('run_command', 'exit_code: 0\n--- stdout\n'), false);
  assert.equal(endedBadly('run_command', 'exit_code: 137\n'), true);
  assert.equal(endedBadly('run_command', 'outcome: timed_out\n'), true);
  assert.equal(endedBadly('read_file', 'path: a'), false);
});

test('a call is named by what it is about', () => {
  assert.equal(subjectOf({ name: 'run_command', arguments: { command: 'npm test\necho' } }), 'npm test');
  assert.equal(subjectOf({ name: 'search_files', arguments: { pattern: 'a+', path: 'src' } }), '/a+/ in src');
  assert.equal(subjectOf({ name: 'unheard_of', arguments: { x: 1 } }), '{"x":1}');
});

test('arguments are shown as text; empty ones are left out', () => {
  assert.deepEqual(showArguments({ a: 'x\ny', b: null, c: [], d: ['p', 'q'], e: 3 }), [
    { name: 'a', text: 'x\ny' },
    { name: 'd', text: '- p\n- q' },
    { name: 'e', text: '3' },
  ]);
});
