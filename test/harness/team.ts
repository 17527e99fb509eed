/** A programmed team that repairs `brokenAdd`: what a good model would do, in the fewest turns. */
import type { ModelRequest } from '../../src/features/models/port.ts';
import { call, lastResult, roleOf, type Turn } from './model.ts';

const field = (text: string, name: string): string =>
  new RegExp(`^${name}: (.*)$`, 'm').exec(text)?.[1] ?? '';

export function repairTeam(request: ModelRequest): Turn {
  if (request.tools.some(tool => tool.name === 'decide_assignment'))
    return { calls: [call('decide_assignment', { decision: 'accept' })] };
  const role = roleOf(request);
  const turns = request.messages.filter(m => m.role === 'assistant').length;
  if (role === 'lead') return lead(request, turns);
  return role === 'coder' ? coder(turns - 1) : tester(request, turns - 1);
}

function lead(request: ModelRequest, turn: number): Turn {
  const result = lastResult(request);
  const more = { acceptance_criteria: ['the tests pass'], checks: ['node --test'] };
  if (turn === 0)
    return {
      calls: [
        call('delegate', { assignee: 'coder', title: 'Fix add', objective: 'Make the tests pass', ...more }),
      ],
    };
  if (turn === 1)
    return {
      calls: [
        call('delegate', {
          assignee: 'tester',
          kind: 'verification',
          subject_task: field(result, 'task'),
          title: 'Verify',
          objective: 'Verify the fix',
          ...more,
        }),
      ],
    };
  const first = request.messages.find(m => m.role === 'tool');
  const commit = first?.role === 'tool' ? field(first.content[0]?.content ?? '', 'commit') : '';
  return {
    calls: [
      call('submit_result', {
        decision: field(result, 'decision') === 'pass' ? 'done' : 'gave_up',
        summary: 'Fixed and verified.',
        commit,
      }),
    ],
  };
}

function coder(turn: number): Turn {
  return (
    [
      { calls: [call('run_command', { command: 'node --test' })] },
      { calls: [call('edit_file', { path: 'sum.js', old_text: 'a - b', new_text: 'a + b' })] },
      {
        calls: [
          call('run_command', { command: 'node --test' }),
          call('git_commit', { message: 'Add rather than subtract' }),
        ],
      },
    ][turn] ?? { calls: [call('submit_result', { decision: 'done', summary: 'Fixed.' })] }
  );
}

function tester(request: ModelRequest, turn: number): Turn {
  if (turn === 0) return { calls: [call('git_diff'), call('run_command', { command: 'node --test' })] };
  const passed = /^exit_code: 0$/m.test(lastResult(request));
  return {
    calls: [
      call('submit_result', {
        decision: passed ? 'pass' : 'fail',
        summary: `node --test: ${passed ? 'passed' : 'failed'}`,
      }),
    ],
  };
}
