/** A task for people to read: what became of it, who did what below it, what was checked, what it cost. */
import type { Schemas } from '../sdk/client.ts';
import type { Format, Io } from './call.ts';
import { count, dollars, duration, indent, oneLine, plain, shortCommit, when } from './text.ts';

type Task = Schemas['TaskDetail'];
type Summary = Schemas['TaskSummary'];
type Check = Schemas['Check'];

export const stateColours: Record<Task['state'], Format> = {
  draft: 'dim',
  queued: 'dim',
  running: 'cyan',
  waiting: 'yellow',
  paused: 'yellow',
  in_review: 'cyan',
  succeeded: 'green',
  failed: 'red',
  cancelled: 'dim',
  timed_out: 'red',
  dead_letter: 'red',
};

/** `waiting for approval`, `in review`. */
export function stateMark(task: Pick<Summary, 'state' | 'waiting_on'>): string {
  const state = task.state.replace('_', ' ');
  return task.waiting_on ? `${state} for ${task.waiting_on}` : state;
}

export function usageLine(usage: Schemas['UsageSum']): string {
  const unpriced =
    usage.unpriced_calls > 0 ? ` (${count(usage.unpriced_calls, 'call')} without a price)` : '';
  return `${dollars(usage.cost_micros)}${unpriced}, ${count(usage.tokens.total, 'token')}, ${count(usage.calls, 'model call')}`;
}

export function showTaskCard(io: Io, task: Task, tree: Summary[], checks: Check[]): string {
  const colour = (text: string) => io.styleOut(stateColours[task.state], text);
  const from = Date.parse(task.started_at ?? task.created_at);
  const took = task.ended_at ? duration(Date.parse(task.ended_at) - from) : null;
  const facts: [string, string | null][] = [
    ['State', colour(stateMark(task)) + (task.decision ? ` (${plain(task.decision)})` : '')],
    ['Reason', task.state_reason && oneLine(task.state_reason, 400)],
    ['Agent', `${plain(task.agent.title)} (${plain(task.agent.name)})`],
    ['Created', when(task.created_at) + (took ? `, took ${took}` : '')],
    [
      'Repository',
      task.repository &&
        `${plain(task.repository.location)} (${plain(task.repository.branch)} at ${shortCommit(task.repository.commit)})`,
    ],
    [
      'Delivered',
      task.delivered_commit &&
        [task.delivered_commit, task.delivered_branch && `on ${plain(task.delivered_branch)}`]
          .filter(Boolean)
          .join(' '),
    ],
    ['Cost', usageLine(task.parent_task_id === null ? task.tree_usage : task.usage)],
    [
      'Budget',
      task.budget && `${dollars(task.budget.spent_micros)} of ${dollars(task.budget.limit_micros)} spent`,
    ],
    ['Round', task.round > 1 ? `${task.round} of ${task.max_rounds}` : null],
  ];
  const parts = [
    `${io.styleOut('bold', plain(task.title))}\n${io.styleOut('dim', task.id)}\n`,
    facts
      .filter(([, text]) => text)
      .map(([name, text]) => `  ${name.padEnd(11)}${text}`)
      .join('\n'),
    section(io, 'Asked for', indent(task.brief.objective, '  ')),
    section(io, 'Tree', tree.length > 1 ? tree.map(one => treeLine(io, one)).join('\n') : ''),
    section(io, 'Checks', showChecks(io, checks)),
    section(io, 'Summary', task.summary ? indent(task.summary, '  ') : ''),
    nextSteps(task),
  ];
  return parts.filter(part => part !== '').join('\n');
}

function section(io: Io, title: string, text: string): string {
  return text === '' ? '' : `\n${io.styleOut('bold', title)}\n${text}`;
}

function treeLine(io: Io, task: Summary): string {
  const state = io.styleOut(stateColours[task.state], stateMark(task));
  const decided = task.decision ? `, ${plain(task.decision)}` : '';
  return `${'  '.repeat(task.depth + 1)}${plain(task.agent.name)}: ${oneLine(task.title, 80)} – ${state}${decided}`;
}

export function showChecks(io: Io, checks: Check[]): string {
  const lines = checks.map(check => {
    const mark = check.passed ? io.styleOut('green', 'pass') : io.styleOut('red', 'FAIL');
    const how = check.exit_code === null ? check.outcome.replaceAll('_', ' ') : `exit ${check.exit_code}`;
    return `  ${mark}  ${oneLine(check.kind === 'command' ? check.command : check.kind, 70)}  ${how}, ${duration(check.duration_ms)}, ${shortCommit(check.commit)}`;
  });
  const last = checks.at(-1);
  if (last && !last.passed && last.output.trim() !== '')
    lines.push('', indent(tellingPart(last.output, 25), '        '));
  return lines.join('\n');
}

/** The lines from where an output begins to speak of failure; its end where it does not. */
function tellingPart(output: string, most: number): string {
  const lines = output.trimEnd().split('\n');
  if (lines.length <= most) return lines.join('\n');
  const found = lines.findIndex(line => /^\s*(not ok|✖|FAIL|\S*Error\b|error:)/.test(line));
  const from = found < 0 ? lines.length - most : found;
  const part = lines.slice(from, from + most);
  return [...(from > 0 ? ['…'] : []), ...part, ...(from + most < lines.length ? ['…'] : [])].join('\n');
}

function nextSteps(task: Task): string {
  if (task.waiting_on === 'approval' || task.waiting_on === 'input')
    return '\nIt waits for a decision: ./guildhall approval list\n';
  if (task.delivered_commit && task.state === 'succeeded')
    return `\nThe change: ./guildhall task diff ${task.id}\n`;
  if (task.actions.retry === null) return `\nTry again: ./guildhall task retry ${task.id}\n`;
  return task.ended_at ? '' : `\nFollow it: ./guildhall task watch ${task.id}\n`;
}
