/** what the coder does when it cannot or must not repair: it says so, and leaves everything as it was. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decisions, rehearse, type Scene } from './rehearsal.test.ts';

const testOf = (...body: string[]) =>
  [
    "import assert from 'node:assert/strict';",
    "import test from 'node:test';",
    "import * as code from '../src/code.js';",
    ...body,
    '',
  ].join('\n');

function repository(source: string, ...body: string[]): Pick<Scene, 'files' | 'checks'> {
  return {
    files: {
      'package.json': JSON.stringify({ name: 'sample', type: 'module', scripts: { test: 'node --test' } }),
      'src/code.js': source,
      'test/code.test.js': testOf(...body),
    },
    checks: ['node test/code.test.js'],
  };
}

const broken = () =>
  repository(
    'export function add(a, b) {\n  return a - b;\n}\n',
    "test('adds', () => { assert.equal(code.add(2, 3), 5); });",
  );
const edits = (calls: { name: string; args: { path?: unknown } }[]) =>
  calls.filter(call => call.name === 'edit_file');

test('X-03 what cannot be repaired ends as gave_up with the evidence, and the files are as they were', async () => {
  const scene = repository(
    'export function answer(question) {\n  return question.length + 1;\n}\n',
    "test('agrees with itself', () => { assert.equal(code.answer('a'), 7); assert.equal(code.answer('a'), 9); });",
  );
  const outcome = await rehearse(scene);
  assert.equal(outcome.decision, 'gave_up');
  assert.equal(outcome.commit, null);
  assert.ok(edits(outcome.calls).length >= 20, 'it tried');
  assert.deepEqual(Object.fromEntries(outcome.files), scene.files);
  assert.equal(outcome.status, '');
  const last = outcome.calls.at(-1)!;
  assert.deepEqual([last.name, last.result], ['git_diff', 'no changes']);
  assert.match(outcome.summary, /still fails:[\s\S]*✖ agrees with itself/);
  assert.match(outcome.summary, /Tried \d+ small changes/);
});

test('X-03 a check that passes already: nothing is changed, and that is what is said', async () => {
  const outcome = await rehearse(
    repository('export const one = 1;\n', "test('one', () => { assert.equal(code.one, 1); });"),
  );
  assert.equal(outcome.decision, 'done');
  assert.equal(outcome.commit, null);
  assert.match(outcome.summary, /already passes \(exit code 0\)/);
  assert.deepEqual(
    outcome.calls.map(call => call.name),
    ['list_files', 'run_command'],
  );
});

test('X-03 tests and manifests are never edited, even where that is the only way', async () => {
  const scene = repository(
    'export const limit = 10;\nexport const half = () => limit / 2;\n',
    "test('impossible', () => { assert.equal(code.half(), 'five'); });",
  );
  scene.files['test/expected.js'] = 'export const expected = 1;\n';
  const outcome = await rehearse(scene);
  const paths = new Set(edits(outcome.calls).map(call => call.args.path));
  assert.deepEqual([...paths], ['src/code.js']);
});

test('a task that is no repair is handed back with the advice to use a real model', async () => {
  const outcome = await rehearse({
    ...broken(),
    title: 'Dark mode',
    objective: 'Add a dark mode to the settings page.',
  });
  assert.equal(outcome.decision, 'gave_up');
  assert.match(outcome.summary, /only repair failing checks[\s\S]*GUILDHALL_MODEL/);
  assert.equal(outcome.calls.length, 0);
});

test('a check that does not exist is not worked on', async () => {
  const outcome = await rehearse({ ...broken(), checks: ['no-such-program --now'] });
  assert.equal(outcome.decision, 'gave_up');
  assert.match(outcome.summary, /cannot be run here/);
  assert.equal(edits(outcome.calls).length, 0);
});

test('tools that are refused end the work with the reason', async () => {
  const refuse = (name: string) =>
    name === 'run_command' ? 'Denied by the policy rule "no commands".' : null;
  const outcome = await rehearse({ ...broken(), refuse });
  assert.equal(outcome.decision, 'gave_up');
  assert.match(outcome.summary, /no commands/);
});

test('edits that are refused are not mistaken for edits, and not tried for ever', async () => {
  const scene = broken();
  const refuse = (name: string) => (name === 'edit_file' ? 'src/ is read-only.' : null);
  const outcome = await rehearse({ ...scene, refuse });
  assert.equal(outcome.decision, 'gave_up');
  assert.match(outcome.summary, /read-only/);
  assert.deepEqual(Object.fromEntries(outcome.files), scene.files);
});

test('one refused edit costs that one trial only', async () => {
  let seen = 0;
  const refuse = (name: string) => (name === 'edit_file' && ++seen === 2 ? 'not now' : null);
  const scene = repository(
    'export function clamp(value, low, high) {\n  if (value < low) return low;\n  return value > high ? low : value;\n}\n',
    "test('clamp', () => { assert.equal(code.clamp(9, 0, 5), 5); assert.equal(code.clamp(-2, 0, 5), 0); });",
  );
  const outcome = await rehearse({ ...scene, refuse });
  assert.equal(outcome.decision, 'done', outcome.summary);
  assert.match(outcome.files.get('src/code.js')!, /value > high \? high : value/);
});

test('with room for few words it tries fewer changes a turn', async () => {
  const outcome = await rehearse({ ...broken(), maxOutputTokens: 600 });
  assert.equal(outcome.decision, 'done', outcome.summary);
});

test('a second round goes on from the files as they are', async () => {
  const round = () =>
    `${decisions('done', 'gave_up')}\n\n## Round\n2 of 3\n\n## Report of the previous round\nCheck \`node test/code.test.js\` failed (exit code 1)`;
  const outcome = await rehearse({ ...broken(), sections: round });
  assert.equal(outcome.decision, 'done', outcome.summary);
  assert.equal(outcome.commit, outcome.head);
});

test('an endless loop is met with a time limit and repaired', async () => {
  const files = {
    'count.mjs':
      'export function countDown(n) {\n  const all = [];\n  while (n > 0) {\n    if (all.length < 9) all.push(n);\n    n += 1;\n  }\n  return all;\n}\n',
    'check.mjs':
      "import assert from 'node:assert';\nimport { countDown } from './count.mjs';\nassert.deepEqual(countDown(3), [3, 2, 1]);\n",
  };
  const outcome = await rehearse({ files, checks: ['timeout -s KILL 0.3 node check.mjs'] });
  assert.equal(outcome.decision, 'done', outcome.summary);
  assert.match(outcome.files.get('count.mjs')!, /n -= 1/);
});
