import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Step } from './api/types.ts';
import { buildGroups, mergeSteps, resumeAt, sumTurns } from './journal.ts';

const at = (second: number) => new Date(Date.UTC(2026, 0, 1, 0, 0, second)).toISOString();

function step(run: string, seq: number, second: number, more: Partial<Step> = {}): Step {
  return {
    run_id: run,
    seq,
    task_id: `task-${run}`,
    kind: 'tool',
    name: 'run_command',
    outcome: 'ok',
    data: {},
    started_at: at(second),
    ended_at: at(second + 1),
    ...more,
  };
}

const turn = (run: string, seq: number, second: number, text: string, ...calls: string[]): Step =>
  step(run, seq, second, {
    kind: 'model',
    name: 'scripted/team',
    data: {
      content: [
        ...(text ? [{ type: 'text', text }] : []),
        ...calls.map(name => ({ type: 'tool_call', id: name, name, arguments: {} })),
      ],
      usage: { input_tokens: 10, output_tokens: 5 },
      cost_micros: 3,
      total_ms: 7,
    },
  });

const kinds = (groups: ReturnType<typeof buildGroups>) =>
  groups.map(g => [g.taskId, ...g.rows.map(r => r.kind)]);

test('steps are merged once, in order of their start, and nothing new changes nothing', () => {
  const known = mergeSteps([], [step('a', 2, 2), step('a', 1, 1)]);
  assert.deepEqual(
    known.map(s => s.seq),
    [1, 2],
  );
  assert.equal(mergeSteps(known, [step('a', 1, 1)]), known);
  const late = mergeSteps(known, [step('b', 1, 1), step('b', 1, 1)]);
  assert.deepEqual(
    late.map(s => `${s.run_id}${s.seq}`),
    ['a1', 'b1', 'a2'],
  );
});

test('reading resumes before the last turn of the task, so a call that took long is not missed', () => {
  const steps = [turn('a', 0, 1, 'x', 'delegate'), turn('b', 0, 5, 'y'), turn('a', 3, 9, 'z')];
  assert.equal(resumeAt(steps.slice(0, 2), 'task-a'), new Date(Date.parse(at(1)) - 1).toISOString());
  assert.equal(resumeAt(steps, 'task-a'), new Date(Date.parse(at(9)) - 1).toISOString());
  assert.equal(resumeAt(steps, 'task-c'), null);
});

test('consecutive steps of one run form a group; a turn without words has no row but is counted', () => {
  const steps = [
    turn('a', 0, 1, 'hello', 'run_command'),
    step('a', 1, 2),
    turn('a', 2, 3, '', 'run_command'),
    step('a', 3, 4),
    turn('b', 0, 5, 'mine'),
    turn('a', 4, 6, 'back'),
  ];
  const groups = buildGroups(steps, () => true);
  assert.deepEqual(kinds(groups), [
    ['task-a', 'words', 'tool', 'tool'],
    ['task-b', 'words'],
    ['task-a', 'words'],
  ]);
  assert.deepEqual(sumTurns(groups[0]?.turns ?? []), { tokens: 30, costMicros: 6, ms: 14 });
});

test('a call without a result is under way, next to its own turn, while the task is open', () => {
  const steps = [
    turn('a', 0, 1, 'both', 'delegate', 'delegate'),
    step('a', 1, 2, { name: 'delegate' }),
    turn('b', 0, 5, 'child'),
  ];
  assert.deepEqual(kinds(buildGroups(steps, () => true)), [
    ['task-a', 'words', 'tool', 'pending'],
    ['task-b', 'words'],
  ]);
  assert.deepEqual(kinds(buildGroups(steps, id => id === 'task-b')), [
    ['task-a', 'words', 'tool'],
    ['task-b', 'words'],
  ]);
});

test('of the calls of a turn one runs at a time, except delegated work, which runs side by side', () => {
  const steps = [
    turn('a', 0, 1, 'x', 'run_command', 'edit_file', 'run_command', 'delegate', 'delegate'),
    step('a', 1, 2),
  ];
  const rows = buildGroups(steps, () => true)[0]?.rows ?? [];
  assert.deepEqual(
    rows.map(row => {
      if (row.kind === 'pending') return [row.call.name, row.since];
      return row.kind === 'ahead' ? row.names : row.kind;
    }),
    ['words', 'tool', ['edit_file', at(3)], ['delegate', at(2)], ['delegate', at(2)], ['run_command']],
  );
});

test('a turn with neither words nor calls is not hidden', () => {
  const rows = buildGroups([turn('a', 0, 2, '')], () => true)[0]?.rows ?? [];
  assert.deepEqual(
    rows.map(row => row.kind === 'words' && row.text),
    [''],
  );
});

test('two thousand steps are merged and grouped quickly enough to draw', () => {
  const steps = Array.from({ length: 1_000 }, (_, i) => [
    turn(`r${i % 7}`, 2 * i, i, 'x', 'run_command'),
    step(`r${i % 7}`, 2 * i + 1, i),
  ]).flat();
  const groups = buildGroups(mergeSteps([], steps), () => true);
  assert.equal(
    groups.reduce((sum, group) => sum + group.rows.length, 0),
    2_000,
  );
});
