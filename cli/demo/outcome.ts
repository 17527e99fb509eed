/** What became of a demo, read from the API: nothing here is computed from anything but what the server recorded. */
import { type Schemas, value } from '../../sdk/client.ts';
import type { Io } from '../call.ts';
import type { Connection } from '../connection.ts';
import { colourDiff } from '../diff.ts';
import { showChecks, stateColours, stateMark, usageLine } from '../task-card.ts';
import { count, duration, oneLine, plain } from '../text.ts';

type Task = Schemas['TaskDetail'];
type Step = Schemas['Step'];

/** The last line of `demo --json`. */
export interface DemoResult {
  task_id: string;
  state: Task['state'];
  agents: { name: string; role: string; runs: number }[];
  steps: number;
  checks: { command: string; exit_code: number | null; passed: boolean }[];
  commit: string | null;
  branch: string | null;
  diff: string | null;
  usage: { tokens: number; cost: number };
  duration_ms: number;
  reason: string | null;
  summary: string | null;
}

export interface Outcome {
  task: Task;
  /** Commands that the server ran, the last time for each task. */
  checks: Schemas['Check'][];
  result: DemoResult;
}

export async function readOutcome(connection: Connection, task: Task): Promise<Outcome> {
  const { api } = connection;
  const params = { path: { id: task.id } };
  const [tree, checks, { diff }, steps] = await Promise.all([
    value(api.GET('/api/v1/tasks/{id}/tree', { params })),
    value(api.GET('/api/v1/tasks/{id}/checks', { params })),
    value(api.GET('/api/v1/tasks/{id}/diff', { params })),
    readSteps(connection, task.id),
  ]);
  const commands = lastOfEach(checks.items.filter(check => check.kind === 'command'));
  const result: DemoResult = {
    task_id: task.id,
    state: task.state,
    agents: countRuns(tree.items, steps),
    steps: steps.length,
    checks: commands.map(({ command, exit_code, passed }) => ({ command, exit_code, passed })),
    commit: task.delivered_commit,
    branch: task.delivered_branch,
    diff,
    usage: { tokens: task.tree_usage.tokens.total, cost: task.tree_usage.cost_micros / 1_000_000 },
    duration_ms: Date.parse(task.ended_at ?? new Date().toISOString()) - Date.parse(task.created_at),
    reason: task.state_reason,
    summary: task.summary,
  };
  return { task, checks: commands, result };
}

const pageSize = 2_000;

/** The journal of the whole tree. Pages overlap by a millisecond: steps may begin at the same time. */
async function readSteps({ api }: Connection, id: string): Promise<Step[]> {
  const steps = new Map<string, Step>();
  let after: string | undefined;
  for (;;) {
    const query = { tree: 'true' as const, limit: pageSize, after };
    const { items } = await value(api.GET('/api/v1/tasks/{id}/steps', { params: { path: { id }, query } }));
    const known = steps.size;
    for (const step of items) steps.set(`${step.run_id}:${step.seq}`, step);
    const last = items.at(-1);
    if (items.length < pageSize || !last || steps.size === known) return [...steps.values()];
    after = new Date(Date.parse(last.started_at) - 1).toISOString();
  }
}

/** A check that was run again after a failed round counts as it ended. */
function lastOfEach(checks: Schemas['Check'][]): Schemas['Check'][] {
  return [...new Map(checks.map(check => [`${check.task_id} ${check.command}`, check])).values()];
}

/** Who took part, in the order of the tree, and in how many runs. */
function countRuns(tree: Schemas['TaskSummary'][], steps: Step[]): DemoResult['agents'] {
  const agents = new Map<string, { name: string; role: string; runs: Set<string> }>();
  for (const { id, agent } of tree) {
    const entry = agents.get(agent.id) ?? { name: agent.name, role: agent.role, runs: new Set() };
    for (const step of steps) if (step.task_id === id) entry.runs.add(step.run_id);
    agents.set(agent.id, entry);
  }
  return [...agents.values()].map(({ runs, ...agent }) => ({ ...agent, runs: runs.size }));
}

/** The outcome for people. */
export function showOutcome(io: Io, { task, checks, result }: Outcome, directory: string): string {
  const bold = (text: string) => io.styleOut('bold', text);
  const head = io.styleOut(stateColours[task.state], stateMark(task));
  const agents = result.agents
    .map(a => `${plain(a.name)} (${plain(a.role)}, ${count(a.runs, 'run')})`)
    .join(', ');
  const lines = [
    '',
    `${bold('Outcome')}    ${head} in ${duration(result.duration_ms)}`,
    `${bold('Task')}       ${task.id}`,
    `${bold('Team')}       ${agents}`,
    `${bold('Steps')}      ${result.steps}`,
    `${bold('Usage')}      ${usageLine(task.tree_usage)}`,
    ...(result.commit
      ? [`${bold('Commit')}     ${result.commit}${result.branch ? ` on ${plain(result.branch)}` : ''}`]
      : []),
    `${bold('Repository')} ${plain(directory)}`,
    ...(result.reason
      ? [`${bold('Reason')}     ${oneLine(result.reason.split('\n')[0] as string, 300)}`]
      : []),
    '',
    bold('Checks, run by the server in fresh sandboxes'),
    showChecks(io, checks) || '  none was run',
  ];
  if (result.diff) lines.push('', bold('Diff'), colourDiff(io, result.diff).trimEnd());
  lines.push('', `See every step on the page: ./guildhall up, then open task ${task.id}.`);
  return `${lines.join('\n').trimEnd()}\n`;
}
