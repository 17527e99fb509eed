/** Tasks as the API shows them. */
import { z } from 'zod';
import type { Reader } from '../../platform/db/db.ts';
import type { Row } from '../../platform/db/schema.ts';
import { time, timeOrNull } from '../../platform/http/schemas.ts';
import type { Actor } from '../../platform/journal/facts.ts';
import { type Agent, listAgents } from '../agents/agents.ts';
import { sumUsage } from '../budgets/usage.ts';
import { type TaskAction, taskActions } from './task-states.ts';
import type { Task } from './tasks.ts';

const taskState = z.enum([
  'draft',
  'queued',
  'running',
  'waiting',
  'paused',
  'in_review',
  'succeeded',
  'failed',
  'cancelled',
  'timed_out',
  'dead_letter',
]);
const agentRef = z.object({ id: z.string(), name: z.string(), role: z.string(), title: z.string() });

const summaryShape = {
  id: z.string(),
  root_task_id: z.string(),
  parent_task_id: z.string().nullable(),
  subject_task_id: z.string().nullable(),
  kind: z.enum(['work', 'verification']),
  title: z.string(),
  state: taskState,
  waiting_on: z.enum(['approval', 'input', 'children', 'dependency', 'budget', 'time']).nullable(),
  state_reason: z.string().nullable(),
  agent: agentRef,
  depth: z.number().int(),
  round: z.number().int(),
  max_rounds: z.number().int(),
  decision: z.string().nullable(),
  delivered_commit: z.string().nullable(),
  delivered_branch: z.string().nullable(),
  repository: z
    .object({ kind: z.enum(['path', 'url']), location: z.string(), branch: z.string(), commit: z.string() })
    .nullable(),
  created_at: z.string(),
  started_at: z.string().nullable(),
  ended_at: z.string().nullable(),
  deadline_at: z.string(),
};

export const taskSummary = z.object(summaryShape).meta({ id: 'TaskSummary' });

const usage = z
  .object({
    calls: z.number().int(),
    tokens: z.object({
      input_tokens: z.number(),
      cached_read_tokens: z.number(),
      cached_write_tokens: z.number(),
      output_tokens: z.number(),
      reasoning_tokens: z.number(),
      total: z.number(),
    }),
    cost_micros: z.number().describe('Micro-dollars (1 USD = 1,000,000) of the priced calls.'),
    unpriced_calls: z.number().int(),
  })
  .meta({ id: 'UsageSum' });

const refusal = z.string().nullable().describe('Null: allowed. Otherwise why not.');

export const taskDetail = z
  .object({
    ...summaryShape,
    brief: z.object({
      objective: z.string(),
      requirements: z.array(z.string()),
      out_of_scope: z.array(z.string()),
      inputs: z.array(z.string()),
      expected_outputs: z.array(z.string()),
      acceptance_criteria: z.array(z.string()),
    }),
    checks: z.array(z.string()),
    decisions: z.array(z.string()),
    summary: z.string().nullable(),
    requester: z.string(),
    max_turns: z.number().int(),
    request_id: z.string(),
    version: z.number().int(),
    usage: usage.describe('Of this task alone.'),
    tree_usage: usage.describe('Of the whole tree from the root task.'),
    budget: z
      .object({ limit_micros: z.number(), spent_micros: z.number(), reserved_micros: z.number() })
      .nullable(),
    actions: z.object({ cancel: refusal, pause: refusal, resume: refusal, retry: refusal }),
  })
  .meta({ id: 'TaskDetail' });

export const stepView = z
  .object({
    run_id: z.string(),
    seq: z.number().int(),
    task_id: z.string(),
    kind: z.enum(['notice', 'model', 'tool']),
    name: z.string(),
    outcome: z.enum(['ok', 'failed', 'refused']),
    data: z
      .record(z.string(), z.unknown())
      .describe(
        'notice: {text}. model: {content, stop, usage, cost_micros, first_token_ms, total_ms}. tool: {arguments, content, is_error}.',
      ),
    started_at: z.string(),
    ended_at: z.string(),
  })
  .meta({ id: 'Step' });

export const checkView = z
  .object({
    id: z.string(),
    task_id: z.string(),
    round: z.number().int(),
    kind: z.enum(['command', 'verification', 'delivery']),
    command: z.string(),
    commit: z.string().nullable(),
    exit_code: z.number().int().nullable(),
    outcome: z.string(),
    passed: z.boolean(),
    output: z.string(),
    duration_ms: z.number(),
    created_at: z.string(),
  })
  .meta({ id: 'Check' });

export const messageView = z
  .object({
    id: z.string(),
    task_id: z.string().nullable(),
    sender: z.string(),
    recipient: z.string(),
    subject: z.string(),
    body: z.string(),
    created_at: z.string(),
  })
  .meta({ id: 'Message' });

export type AgentsById = Map<string, Agent>;

export async function agentsById(db: Reader, actor: Actor): Promise<AgentsById> {
  return new Map((await listAgents(db, actor)).map(agent => [agent.id, agent]));
}

export function showTask(task: Task, agents: AgentsById): z.output<typeof taskSummary> {
  const agent = agents.get(task.agent_id);
  return {
    id: task.id,
    root_task_id: task.root_task_id,
    parent_task_id: task.parent_task_id,
    subject_task_id: task.subject_task_id,
    kind: task.kind,
    title: task.title,
    state: task.state,
    waiting_on: task.waiting_on,
    state_reason: task.state_reason,
    agent: { id: task.agent_id, name: agent?.name ?? '', role: agent?.role ?? '', title: agent?.title ?? '' },
    depth: task.depth,
    round: task.round,
    max_rounds: task.max_rounds,
    decision: task.decision,
    delivered_commit: task.delivered_commit,
    delivered_branch: task.delivered_branch,
    repository: task.source
      ? {
          kind: task.source.kind,
          location: task.source.location,
          branch: task.source.branch,
          commit: task.source.commit,
        }
      : null,
    created_at: time(task.created_at),
    started_at: timeOrNull(task.started_at),
    ended_at: timeOrNull(task.ended_at),
    deadline_at: time(task.deadline_at),
  };
}

export async function showTaskDetail(
  db: Reader,
  actor: Actor,
  task: Task,
): Promise<z.output<typeof taskDetail>> {
  const budget = await db
    .selectFrom('budgets')
    .selectAll()
    .where('scope', '=', 'task')
    .where('scope_id', '=', task.id)
    .executeTakeFirst();
  return {
    ...showTask(task, await agentsById(db, actor)),
    brief: task.brief,
    checks: task.checks,
    decisions: task.decisions,
    summary: task.summary,
    requester: task.requester,
    max_turns: task.max_turns,
    request_id: task.request_id,
    version: task.version,
    usage: await sumUsage(db, { taskId: task.id }),
    tree_usage: await sumUsage(db, { rootTaskId: task.root_task_id }),
    budget: budget
      ? {
          limit_micros: budget.limit_micros,
          spent_micros: budget.spent_micros,
          reserved_micros: budget.reserved_micros,
        }
      : null,
    actions: {
      cancel: refuse(task, 'cancel'),
      pause: refuse(task, 'pause'),
      resume: refuse(task, 'resume'),
      retry: task.parent_task_id ? 'Retry the task at the top.' : refuse(task, 'retry'),
    },
  };
}

function refuse(task: Task, action: TaskAction): string | null {
  const from: readonly string[] = taskActions[action];
  return from.includes(task.state) ? null : `The task is ${task.state.replace('_', ' ')}.`;
}

export function showStep(step: Row<'steps'>): z.output<typeof stepView> {
  return {
    run_id: step.run_id,
    seq: step.seq,
    task_id: step.task_id,
    kind: step.kind,
    name: step.name,
    outcome: step.outcome,
    data: step.data,
    started_at: time(step.started_at),
    ended_at: time(step.ended_at),
  };
}

export function showCheck(check: Row<'checks'>): z.output<typeof checkView> {
  const { organization_id: _, ...rest } = check;
  return { ...rest, created_at: time(check.created_at) };
}
