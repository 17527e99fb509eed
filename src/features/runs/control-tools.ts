/**
 * The tools that change rows rather than files: delegate, ask, write to colleagues, decide, hand in. Each commits
 * what it changes together with its step, so it happened exactly when the journal says so. `delegate` and
 * `ask_human` leave a row (the child, the approval) under the id of the call and are journaled when that has ended.
 */
import { newId } from '../../base/ids.ts';
import { Problem } from '../../base/problem.ts';
import { minutes } from '../../base/time.ts';
import { type Tx, transact } from '../../platform/db/db.ts';
import { appendEvent } from '../../platform/journal/facts.ts';
import { type Agent, listAgents } from '../agents/agents.ts';
import { findApproval, requestApproval } from '../approvals/approvals.ts';
import { closeReservations } from '../budgets/budgets.ts';
import { collectCommit, findCommit, readHead } from '../sandboxes/workspaces.ts';
import { isEnded } from '../tasks/task-states.ts';
import { createTask, endTask, getTask, type Task } from '../tasks/tasks.ts';
import type { ToolArguments } from '../tools/catalog.ts';
import type { ToolOutput } from '../tools/sandbox-tools.ts';
import { type Activity, nowOf, record } from './context.ts';
import { commitStep, stepKey } from './journal.ts';
import { LeaseLost, requireLease, subjectOf } from './lease.ts';
import { describeCheck } from './prompt.ts';
import { toolStep } from './tool-result.ts';
import type { ToolCall } from './transcript.ts';
import { openWorkspace } from './workspace.ts';

export type ControlResult =
  | { kind: 'output'; output: ToolOutput; refused?: boolean }
  /** Journaled later, when what it waits for has ended. */
  | { kind: 'wait' }
  /** Journaled together with what it changed; the run goes on. */
  | { kind: 'settled' }
  /** Journaled, and the run has ended with it. */
  | { kind: 'stopped' };

const output = (content: string): ControlResult => ({ kind: 'output', output: { content, is_error: false } });

/** How long an assignee has to accept a task before silence counts as a violation. */
export const acceptWithinMs = minutes(5);

export const controlTools = {
  delegate,
  ask_human: askHuman,
  send_message: sendMessage,
  submit_result: submitResult,
  decide_assignment: decideAssignment,
};

async function delegate(
  activity: Activity,
  call: ToolCall,
  args: ToolArguments<'delegate'>,
): Promise<ControlResult> {
  const { deps, lease, task, agent } = activity;
  const found = await deps.db
    .selectFrom('tasks')
    .selectAll()
    .where('parent_run_id', '=', lease.runId)
    .where('parent_call_id', '=', call.id)
    .executeTakeFirst();
  if (found)
    return isEnded(found.state)
      ? { kind: 'output', output: { content: await describeChild(activity, found), is_error: false } }
      : { kind: 'wait' };
  const now = nowOf(deps);
  await transact(deps.db, async tx => {
    await requireLease(tx, lease);
    const assignee = await findReport(tx, activity, args.assignee);
    const subject = args.subject_task ? await findSubject(tx, activity, args.subject_task) : null;
    if (args.kind === 'verification') requireVerifiable(args, subject, assignee);
    const deadline = Math.min(now.getTime() + minutes(args.deadline_minutes), task.deadline_at.getTime());
    await createTask(tx, lease.actor, now, {
      projectId: task.project_id,
      agentId: assignee.id,
      title: args.title,
      kind: args.kind,
      brief: {
        objective: args.objective,
        requirements: args.requirements,
        out_of_scope: args.out_of_scope,
        inputs: args.inputs,
        expected_outputs: args.expected_outputs,
        acceptance_criteria: args.acceptance_criteria,
      },
      checks: args.checks,
      source: task.source,
      baseCommit: subject?.delivered_commit ?? task.base_commit,
      maxTurns: args.max_turns,
      deadlineAt: new Date(deadline),
      budgetMicros: args.budget_usd === null ? null : Math.round(args.budget_usd * 1_000_000),
      dependsOn: [],
      parent: {
        task,
        runId: lease.runId,
        callId: call.id,
        acceptBy: new Date(Math.min(deadline, now.getTime() + acceptWithinMs)),
      },
      subjectTaskId: subject?.id ?? null,
    });
  });
  deps.log.info(
    { run_id: lease.runId, from: agent.name, to: args.assignee, request_id: lease.actor.requestId },
    'delegated',
  );
  return { kind: 'wait' };
}

/** Work is given along the chain of command only: to a direct report that takes work. @throws Problem */
async function findReport(tx: Tx, activity: Activity, name: string): Promise<Agent> {
  const team = await listAgents(tx, activity.lease.actor, activity.agent.team_id);
  const reports = team.filter(a => a.reports_to === activity.agent.id);
  const assignee = team.find(a => a.name === name);
  if (!assignee)
    throw new Problem(
      'forbidden',
      'assignee_missing',
      `There is no ${name} in your team. Your direct reports: ${reports.map(r => r.name).join(', ')}.`,
    );
  if (assignee.reports_to !== activity.agent.id) {
    throw new Problem(
      'forbidden',
      'chain_of_command',
      `${name} does not report to you: give the task to ${reports.map(r => r.name).join(' or ') || 'nobody, do it yourself'}.`,
    );
  }
  if (assignee.state !== 'active')
    throw new Problem(
      'conflict',
      'assignee_unavailable',
      `${name} is ${assignee.state} and takes no work now.`,
    );
  return assignee;
}

async function findSubject(tx: Tx, activity: Activity, id: string): Promise<Task> {
  const subject = await getTask(tx, activity.lease.actor, id);
  if (subject.root_task_id !== activity.task.root_task_id)
    throw new Problem('forbidden', 'subject_elsewhere', `${id} belongs to other work than yours.`);
  return subject;
}

function requireVerifiable(args: ToolArguments<'delegate'>, subject: Task | null, assignee: Agent): void {
  if (!subject)
    throw new Problem(
      'invalid',
      'subject_required',
      'A verification needs subject_task: the task whose result is to be judged.',
    );
  if (!subject.delivered_commit)
    throw new Problem(
      'invalid',
      'subject_without_commit',
      `${subject.id} delivered no commit: there is nothing to verify.`,
    );
  if (subject.agent_id === assignee.id)
    throw new Problem(
      'forbidden',
      'self_verification',
      `${args.assignee} did this work: somebody else has to verify it.`,
    );
}

async function describeChild(activity: Activity, child: Task): Promise<string> {
  const { db } = activity.deps;
  const agent = await db
    .selectFrom('agents')
    .select('name')
    .where('id', '=', child.agent_id)
    .executeTakeFirstOrThrow();
  const checks = await db
    .selectFrom('checks')
    .selectAll()
    .where('task_id', '=', child.id)
    .where('round', '=', child.round)
    .orderBy('id')
    .execute();
  const verdict = checks.length === 0 ? 'none' : checks.every(check => check.passed) ? 'passed' : 'failed';
  const lines = [
    `task: ${child.id}`,
    `assignee: ${agent.name}`,
    `state: ${child.state}`,
    ...(child.decision ? [`decision: ${child.decision}`] : []),
    ...(child.delivered_commit ? [`commit: ${child.delivered_commit}`] : []),
    `checks: ${verdict}`,
    '---',
    ...(child.summary ? [child.summary] : []),
    ...(child.state_reason ? [child.state_reason] : []),
    ...checks.filter(check => !check.passed).map(describeCheck),
  ];
  return lines.join('\n');
}

async function askHuman(
  activity: Activity,
  call: ToolCall,
  args: ToolArguments<'ask_human'>,
): Promise<ControlResult> {
  const { deps, lease, task } = activity;
  const found = await findApproval(deps.db, lease.runId, call.id);
  if (found?.state === 'approved') return output(`answer: ${found.answer}`);
  if (found && found.state !== 'pending')
    return {
      kind: 'output',
      output: { content: `Not answered (${found.state}): ${found.answer ?? ''}`, is_error: true },
    };
  const now = nowOf(deps);
  await transact(deps.db, async tx => {
    await requireLease(tx, lease);
    await requestApproval(tx, lease.actor, now, {
      task,
      runId: lease.runId,
      callId: call.id,
      kind: 'question',
      question: args.question,
      options: args.options,
      payload: { question: args.question, options: args.options },
      expiresAt: new Date(now.getTime() + 72 * 3_600_000),
    });
  });
  return { kind: 'wait' };
}

/** The sender is the run's own agent, set here: nobody can write in another's name. */
async function sendMessage(
  activity: Activity,
  call: ToolCall,
  args: ToolArguments<'send_message'>,
): Promise<ControlResult> {
  const { deps, lease, task, agent } = activity;
  const team = await listAgents(deps.db, lease.actor, agent.team_id);
  const recipient = team.find(a => a.name === args.to);
  const near =
    recipient &&
    (recipient.id === agent.reports_to ||
      recipient.reports_to === agent.id ||
      recipient.reports_to === agent.reports_to);
  if (!recipient || !near || recipient.id === agent.id) {
    throw new Problem(
      'forbidden',
      'recipient_refused',
      `You cannot write to ${args.to}: only to your manager, your direct reports and your peers.`,
    );
  }
  const now = nowOf(deps);
  const id = newId('msg', now.getTime());
  const result: ToolOutput = { content: `sent: ${id}\nto: ${args.to}`, is_error: false };
  await commitWith(activity, call, result, async tx => {
    await tx
      .insertInto('messages')
      .values({
        id,
        organization_id: task.organization_id,
        task_id: task.id,
        sender: agent.name,
        recipient_agent_id: recipient.id,
        subject: args.subject,
        body: args.body,
        created_at: now,
      })
      .execute();
    await appendEvent(tx, lease.actor, now, 'message.sent', subjectOf(lease), {
      id,
      from: agent.name,
      to: args.to,
      subject: args.subject,
    });
  });
  return { kind: 'settled' };
}

/** Commits a control tool's step together with what it changes. */
async function commitWith(
  activity: Activity,
  call: ToolCall,
  result: ToolOutput,
  change: (tx: Tx) => Promise<void>,
): Promise<void> {
  const { deps, lease } = activity;
  const step = toolStep(activity, call, result, result.is_error ? 'failed' : 'ok');
  const startedAt = nowOf(deps);
  await transact(deps.db, async tx => {
    await requireLease(tx, lease);
    await commitStep(tx, lease, startedAt, {
      ...step,
      idempotencyKey: stepKey(lease.runId, step.seq),
      startedAt,
    });
    await change(tx);
  });
  record(activity, step);
}

async function decideAssignment(
  activity: Activity,
  call: ToolCall,
  args: ToolArguments<'decide_assignment'>,
): Promise<ControlResult> {
  const { deps, lease, task } = activity;
  const now = nowOf(deps);
  if (args.decision === 'reject' && args.reason.trim() === '') {
    throw new Problem('invalid', 'reason_required', 'A rejection needs a reason.');
  }
  await commitWith(
    activity,
    call,
    { content: args.decision === 'accept' ? 'accepted' : 'rejected', is_error: false },
    async tx => {
      if (args.decision === 'accept') {
        await tx.updateTable('tasks').set({ accepted_at: now }).where('id', '=', task.id).execute();
        await appendEvent(tx, lease.actor, now, 'task.accepted', subjectOf(lease), {});
        return;
      }
      await appendEvent(tx, lease.actor, now, 'task.rejected', subjectOf(lease), { reason: args.reason });
      await closeReservations(tx, now, lease.runId);
      await endTask(tx, lease.actor, now, task, 'failed', {
        decision: 'rejected',
        reason: `Rejected by ${activity.agent.name}: ${args.reason}`,
      });
    },
  );
  if (args.decision === 'reject') return { kind: 'stopped' };
  activity.task = { ...task, accepted_at: now };
  return { kind: 'settled' };
}

/** Hands in: the run has succeeded, the task goes to review. Whether it succeeds is decided there, by checks. */
async function submitResult(
  activity: Activity,
  call: ToolCall,
  args: ToolArguments<'submit_result'>,
): Promise<ControlResult> {
  const { deps, lease, task } = activity;
  if (!task.decisions.includes(args.decision)) {
    throw new Problem(
      'invalid',
      'decision_unknown',
      `The decision must be one of: ${task.decisions.join(', ')}.`,
    );
  }
  const commit = args.decision === 'done' ? await deliveredCommit(activity, args.commit) : null;
  const now = nowOf(deps);
  const step = toolStep(activity, call, { content: 'handed in', is_error: false }, 'ok');
  const handIn = { decision: args.decision, summary: args.summary, deliveredCommit: commit };
  const stepOf = { ...step, idempotencyKey: stepKey(lease.runId, step.seq), startedAt: now };
  // Nothing to execute: what was given up, without checks that would be evidence, has failed.
  if (args.decision !== 'gave_up' || task.checks.length > 0) {
    await commitStep(deps.db, lease, now, stepOf, { handIn });
    return { kind: 'stopped' };
  }
  const reason = `The agent gave up: ${args.summary}`;
  try {
    await commitStep(deps.db, lease, now, stepOf, { handIn: { ...handIn, reason } });
  } catch (error) {
    if (!(error instanceof LeaseLost)) throw error;
    // Or something hangs on the task: then its end is told to others in the same transaction.
    await transact(deps.db, async tx => {
      await commitStep(tx, lease, now, stepOf, { handIn });
      await endTask(tx, lease.actor, now, task, 'failed', {
        decision: args.decision,
        summary: args.summary,
        reason,
      });
    });
  }
  return { kind: 'stopped' };
}

/** The full name of the commit to deliver: a child's, or one of the task's own workspace. */
async function deliveredCommit(activity: Activity, named: string | null): Promise<string | null> {
  const { deps, tree, task } = activity;
  const children = await deps.db
    .selectFrom('tasks')
    .select('delivered_commit')
    .where('parent_task_id', '=', task.id)
    .where('delivered_commit', 'is not', null)
    .where('state', '=', 'succeeded')
    .execute();
  if (named !== null) {
    const child = children.find(c => c.delivered_commit?.startsWith(named));
    if (child?.delivered_commit) return findCommit(deps.workshop, tree, child.delivered_commit);
  }
  await openWorkspace(activity);
  if (named !== null) return collectCommit(deps.workshop, tree, named);
  const { head, moved } = await readHead(deps.workshop, tree);
  return moved ? collectCommit(deps.workshop, tree, head) : null;
}
