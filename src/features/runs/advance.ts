/**
 * Advancing a run: claim it, read its journal, and go on where the journal ends, until it waits, ends, or has to be
 * given back. Nothing is kept in memory that the journal does not hold, so any worker can go on after any other.
 */
import { sql } from 'kysely';
import { backoffMs } from '../../base/backoff.ts';
import { messageOf, Problem, toProblem } from '../../base/problem.ts';
import { type Db, type Tx, transact } from '../../platform/db/db.ts';
import { enqueue } from '../../platform/queue/queue.ts';
import { redactor } from '../../platform/secrets/redactor.ts';
import { getAgentVersion, type Roster, readRoster } from '../agents/agents.ts';
import { closeReservations } from '../budgets/budgets.ts';
import { findPrice } from '../budgets/prices.ts';
import { resolveModelFor } from '../models/catalog.ts';
import { isEnded } from '../tasks/task-states.ts';
import { getTask } from '../tasks/tasks.ts';
import { type Activity, nextSeq, nowOf, type RunDeps, record } from './context.ts';
import { fail } from './ending.ts';
import { commitStep, readSteps, stepKey } from './journal.ts';
import {
  type Claim,
  claimRun,
  type Lease,
  LeaseLost,
  lockTaskOf,
  releaseRun,
  requireLease,
  suspendRun,
} from './lease.ts';
import { callModel } from './model-step.ts';
import { composeOpening } from './prompt.ts';
import { surroundingsOf } from './surroundings.ts';
import { settleStep } from './tool-result.ts';
import { callTool } from './tool-step.ts';
import { readTranscript, type Step } from './transcript.ts';

/** Times that an agent is told to use its tools before its run is given up. */
const maxIdleTurns = 3;
/** Times in a row that the same call may give the same result before the run is taken for a loop. */
const maxRepeats = 6;
/** Failures of our own parts in a row (sandbox, database …) before a run becomes a dead letter. */
const maxFailures = 5;
const failureBackoff = { baseMs: 1_000, capMs: 60_000 };

export interface Holder {
  workerId: string;
  leaseMs: number;
  /** Registers the lease so that heartbeats renew it. */
  hold(lease: Lease): { signal: AbortSignal; stopAtStep: Activity['stopAtStep']; release: () => void };
}

/** Handles one `run.advance` job. Returns when the run needs nothing more from this worker now. */
export async function advanceRun(deps: RunDeps, holder: Holder, runId: string): Promise<void> {
  const claim = await claimRun(deps.db, holder.workerId, nowOf(deps), holder.leaseMs, runId);
  if (!claim) return;
  const { lease } = claim;
  const log = { run_id: runId, task_id: lease.taskId, request_id: lease.actor.requestId };
  const held = holder.hold(lease);
  let activity: Activity | null = null;
  try {
    activity = await openActivity(deps, claim, held.signal, held.stopAtStep);
    await loop(activity);
  } catch (error) {
    if (error instanceof LeaseLost || held.signal.aborted) {
      deps.log.info(
        { ...log, reason: messageOf(held.signal.aborted ? held.signal.reason : error) },
        'run left to others',
      );
      await transact(deps.db, tx => giveBack(tx, lease, nowOf(deps)));
      return;
    }
    deps.log.error({ ...log, err: error }, 'run could not be advanced');
    await recordFailure(deps, lease, error);
  } finally {
    held.release();
    await activity?.sandbox?.destroy();
  }
}

async function openActivity(
  deps: RunDeps,
  { lease, task, surroundings }: Claim,
  signal: AbortSignal,
  stopAtStep: Activity['stopAtStep'],
): Promise<Activity> {
  const { db } = deps;
  const { run, actor } = lease;
  const model = await resolveOrFail(deps, lease, run.model);
  const now = nowOf(deps);
  const { agents, prices } = deps.caches;
  const [agent, price, steps] = await Promise.all([
    agents.get(`${run.agent_id}:${run.agent_version}`, () =>
      getAgentVersion(db, actor, run.agent_id, run.agent_version),
    ),
    prices.get(`${actor.organizationId}:${model.provider}/${model.model}`, () =>
      findPrice(db, actor, model.provider, model.model, now),
    ),
    lease.fencingToken === 1 ? [] : resumeJournal(db, lease, now),
  ]);
  const { id, root_task_id, source, base_commit } = task;
  return {
    deps,
    lease,
    task,
    tree: { id, root_task_id, source, base_commit, identity: run.identity },
    agent,
    model,
    price,
    signal,
    stopAtStep,
    steps,
    transcript: readTranscript(steps),
    turnCount: steps.filter(step => step.kind === 'model').length,
    held: null,
    surroundings,
    sandbox: null,
  };
}

/** The steps so far. Money that a former holder of the run left reserved is settled first. */
async function resumeJournal(db: Db, lease: Lease, now: Date): Promise<Step[]> {
  await closeReservations(db, now, lease.runId);
  return readSteps(db, lease.runId);
}

async function resolveOrFail(deps: RunDeps, lease: Lease, name: string) {
  try {
    return await resolveModelFor(deps.models, lease.actor.organizationId, name);
  } catch (error) {
    const problem = toProblem(error);
    const task = await getTask(deps.db, lease.actor, lease.taskId);
    await transact(deps.db, async tx => {
      await requireLease(tx, lease);
      await fail(tx, lease, nowOf(deps), task, {
        state: 'dead_letter',
        code: problem.code,
        reason: problem.message,
      });
    });
    throw new LeaseLost(lease);
  }
}

async function loop(activity: Activity): Promise<void> {
  const { deps } = activity;
  for (;;) {
    activity.signal.throwIfAborted();
    // Also when its task is paused: a resume may have come before, and a look at a paused task does nothing.
    if (activity.stopAtStep()) return transact(deps.db, tx => giveBack(tx, activity.lease, nowOf(deps)));
    if (activity.steps.length === 0) {
      const opening = await composeOpening(deps.db, await rosterOf(activity), activity.task, activity.agent);
      await notice(activity, opening.text, { system: opening.system });
      continue;
    }
    if (activity.transcript.pending.length > 0) {
      if ((await callTools(activity)) === 'stopped') return;
      continue;
    }
    if (activity.transcript.idle) {
      if (activity.transcript.idleTurns > maxIdleTurns)
        return giveUp(activity, 'no_progress', 'The agent answered without using a tool, again and again.');
      await notice(
        activity,
        '[notice] You act only through tools. Go on with the next tool call, or end with submit_result.',
      );
      continue;
    }
    if (activity.transcript.last.times >= maxRepeats) {
      return giveUp(
        activity,
        'loop',
        `The agent made the same call with the same result ${maxRepeats} times in a row.`,
      );
    }
    if (activity.turnCount >= activity.task.max_turns) {
      return giveUp(
        activity,
        'turn_limit',
        `The agent used all ${activity.task.max_turns} turns without handing in a result.`,
      );
    }
    if (await deliverMessages(activity)) continue;
    if ((await callModel(activity)) === 'stopped') return;
  }
}

/** Calls the tools of a turn in order. What waits for others does not hold up what does not. */
async function callTools(activity: Activity): Promise<'went_on' | 'stopped'> {
  const waiting: string[] = [];
  let question: string | null = null;
  for (const call of [...activity.transcript.pending]) {
    activity.signal.throwIfAborted();
    if (activity.stopAtStep()) return 'went_on';
    const result = await callTool(activity, call);
    if (result === 'stopped') return 'stopped';
    if (result === 'waiting') {
      waiting.push(call.id);
      if (call.name === 'ask_human') question = call.id;
    }
  }
  return waiting.length === 0 ? 'went_on' : waitForOthers(activity, waiting, question);
}

/** Suspends until a child ends or a question is answered, unless that has happened in the meantime. */
async function waitForOthers(
  activity: Activity,
  callIds: string[],
  question: string | null,
): Promise<'went_on' | 'stopped'> {
  const { deps, lease } = activity;
  return transact(deps.db, async tx => {
    await requireLease(tx, lease);
    const children = await tx
      .selectFrom('tasks')
      .select(['parent_call_id', 'state'])
      .where('parent_run_id', '=', lease.runId)
      .where('parent_call_id', 'in', callIds)
      .execute();
    const approvals = await tx
      .selectFrom('approvals')
      .select(['id', 'state'])
      .where('run_id', '=', lease.runId)
      .where('call_id', 'in', callIds)
      .execute();
    if (
      children.some(child => isEnded(child.state)) ||
      approvals.some(approval => approval.state !== 'pending')
    )
      return 'went_on';
    const asked = approvals[0];
    if (question && asked) {
      await suspendRun(
        tx,
        lease,
        nowOf(deps),
        { kind: 'approval', approval_id: asked.id, question: true },
        'Waits for an answer.',
        null,
      );
    } else {
      await suspendRun(tx, lease, nowOf(deps), { kind: 'children', call_ids: callIds }, null, null);
    }
    return 'stopped';
  });
}

function rosterOf({ deps, lease, agent }: Activity): Promise<Roster> {
  return deps.caches.rosters.get(agent.team_id, () => readRoster(deps.db, lease.actor, agent.team_id));
}

/** Text that the agent is shown as a user message. */
async function notice(activity: Activity, text: string, more: { system?: string } = {}): Promise<void> {
  const { deps } = activity;
  const step: Step = {
    seq: nextSeq(activity),
    kind: 'notice',
    name: 'notice',
    call_id: null,
    outcome: 'ok',
    data: redactor.redactDeep({ text, ...more }),
  };
  await settleStep(
    activity,
    step,
    nowOf(deps),
    Buffer.byteLength(text) + Buffer.byteLength(more.system ?? ''),
  );
}

/** Shows the agent what colleagues wrote to it about this tree of tasks. */
async function deliverMessages(activity: Activity): Promise<boolean> {
  const { deps, lease, agent, task } = activity;
  if (!(await surroundingsOf(activity)).unread) return false;
  activity.surroundings.unread = false;
  const unread = await deps.db
    .selectFrom('messages as m')
    .innerJoin('tasks as t', 't.id', 'm.task_id')
    .where('m.recipient_agent_id', '=', agent.id)
    .where('m.read_at', 'is', null)
    .where('t.root_task_id', '=', task.root_task_id)
    .select(['m.id', 'm.sender', 'm.subject', 'm.body'])
    .orderBy('m.id')
    .limit(20)
    .execute();
  if (unread.length === 0) return false;
  const text = unread
    .map(m => `[message from ${m.sender}]${m.subject ? ` ${m.subject}` : ''}\n${m.body}`)
    .join('\n\n');
  const now = nowOf(deps);
  const step: Step = {
    seq: nextSeq(activity),
    kind: 'notice',
    name: 'message',
    call_id: null,
    outcome: 'ok',
    data: redactor.redactDeep({ text }),
  };
  await transact(deps.db, async tx => {
    await commitStep(tx, lease, now, {
      ...step,
      idempotencyKey: stepKey(lease.runId, step.seq),
      startedAt: now,
    });
    await tx
      .updateTable('messages')
      .set({ read_at: now })
      .where(
        'id',
        'in',
        unread.map(m => m.id),
      )
      .execute();
  });
  record(activity, step);
  return true;
}

async function giveUp(activity: Activity, code: string, reason: string): Promise<void> {
  const { deps, lease } = activity;
  await transact(deps.db, async tx => {
    await requireLease(tx, lease);
    await fail(tx, lease, nowOf(deps), activity.task, { state: 'failed', code, reason });
  });
}

/** The run goes back to the queue, if it is still ours, and somebody is told to look. */
async function giveBack(tx: Tx, lease: Lease, now: Date): Promise<void> {
  if (!(await releaseRun(tx, lease))) return;
  await closeReservations(tx, now, lease.runId);
  await enqueue(tx, 'run.advance', { run_id: lease.runId });
}

/** Our own parts failed: try again later, and after some times leave it to people. */
async function recordFailure(deps: RunDeps, lease: Lease, error: unknown): Promise<void> {
  const now = nowOf(deps);
  const problem = toProblem(error);
  await transact(deps.db, async tx => {
    await lockTaskOf(tx, lease.runId);
    const { rows } = await sql<{ failure_count: number }>`update runs set failure_count = failure_count + 1
      where id = ${lease.runId} and fencing_token = ${lease.fencingToken} and state = 'running' returning failure_count`.execute(
      tx,
    );
    const failures = rows[0]?.failure_count;
    if (failures === undefined) return;
    const task = await getTask(tx, lease.actor, lease.taskId);
    if (failures >= maxFailures || (problem instanceof Problem && problem.kind === 'invalid')) {
      return fail(tx, lease, now, task, {
        state: 'dead_letter',
        code: problem.code,
        reason: problem.message,
      });
    }
    const wakeAt = new Date(now.getTime() + backoffMs(failures, failureBackoff, deps.random()));
    await suspendRun(tx, lease, now, { kind: 'time' }, problem.message, wakeAt);
    await enqueue(tx, 'run.advance', { run_id: lease.runId }, { runAt: wakeAt });
  });
}
