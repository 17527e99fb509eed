import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LiveEvent } from '../sdk/events.ts';
import { Timeline } from './timeline.ts';

const names = new Map([
  ['agt_1', 'lead'],
  ['agt_2', 'coder'],
]);
const noPaint = (_format: unknown, text: string): string => text;

function event(type: string, data: Record<string, unknown>, actor = 'agent:agt_2'): LiveEvent {
  return {
    id: '1-1',
    type,
    task_id: 't',
    root_task_id: 't',
    run_id: 'r',
    actor,
    request_id: null,
    data,
    created_at: '2026-01-01T00:00:00.000Z',
  };
}
const tool = (name: string, result: string, outcome = 'ok'): LiveEvent =>
  event('step.finished', { seq: 1, kind: 'tool', name, outcome, result });

/** Without the time of day, which is the reader's. */
function shown(events: LiveEvent[]): string[] {
  const timeline = new Timeline(names, noPaint);
  return events.flatMap(one => timeline.lines(one)).map(line => line.replace(/^\d\d:\d\d:\d\d {2}/, ''));
}

test('says who does what, with the short facts of the tools', () => {
  const lines = shown([
    event('task.created', { title: 'Fix it', agent_id: 'agt_2' }, 'agent:agt_1'),
    event('run.queued', { round: 1 }),
    tool('read_file', 'path: src/a.js\nlines: 1-2 of 2\n---\n'),
    tool('run_command', 'exit_code: 1\nduration_ms: 12\n'),
    tool('git_commit', 'commit: 0123456789abcdef0123\nbranch: b\nfiles: 1'),
    tool('write_file', 'The path lies outside the repository.', 'refused'),
    event('approval.requested', { id: 'apr_1', question: 'Which\nbranch?' }),
    event('task.failed', { reason: 'no\u001b[2J luck', waiting_on: null }, 'system'),
  ]);
  assert.deepEqual(lines, [
    'lead        gives coder the task: Fix it',
    'coder       read_file src/a.js',
    'coder       run_command exit 1',
    'coder       git_commit 0123456789ab',
    'coder       write_file refused: The path lies outside the repository.',
    'coder       asks: Which branch?',
    'guildhall   task failed: no luck',
  ]);
});

test('what an agent repeats is shown once and counted, other agents in between or not', () => {
  const round = [tool('edit_file', 'edited: a.js'), tool('run_command', 'exit_code: 1')];
  const other = event(
    'step.finished',
    { kind: 'tool', name: 'list_files', outcome: 'ok', result: '' },
    'agent:agt_1',
  );
  const lines = shown([...round, ...round, other, ...round, tool('run_command', 'exit_code: 0')]);
  assert.deepEqual(lines, [
    'coder       edit_file a.js',
    'coder       run_command exit 1',
    'lead        list_files',
    'coder       … 4 more steps like these',
    'coder       run_command exit 0',
  ]);
  assert.equal(shown(Array.from({ length: 120 }, () => round).flat()).length, 2 + 4, 'told every fifty');
});
