/**
 * Review: a task that was handed in is decided here, by what is executed. Failed checks go back with their report,
 * up to the task's number of rounds; then the task has failed and its parent hears why. A delivered branch appears
 * in the source repository only when all of it held.
 */
import { createHash } from 'node:crypto';
import { newId } from '../../base/ids.ts';
import { Problem } from '../../base/problem.ts';
import { type Db, type Reader, type Tx, transact } from '../../platform/db/db.ts';
import { type Actor, systemActor } from '../../platform/journal/facts.ts';
import { redactor } from '../../platform/secrets/redactor.ts';
import { type Log, nowOf } from '../runs/context.ts';
import { exportBranch } from '../sandboxes/export.ts';
import { requireSandbox, type Workshop } from '../sandboxes/workshop.ts';
import { diffFromBase, ensureRepository, type TreeTask } from '../sandboxes/workspaces.ts';
import { openRun } from '../tasks/open-run.ts';
import { endTask, getTask, lockTask, moveTask, type Task, taskEvent } from '../tasks/tasks.ts';
import { insertChecks, isVerified, type NewCheck, runCommands } from './checks.ts';

export interface ReviewDeps {
  db: Db;
  clock: { now(): number };
  log: Log;
  workshop: Workshop;
}

/** Handles one `task.review` job. Safe to run twice: only one of two can move the task out of review. */
export async function reviewTask(deps: ReviewDeps, taskId: string, signal: AbortSignal): Promise<void> {
  const row = await deps.db.selectFrom('tasks').selectAll().where('id', '=', taskId).executeTakeFirst();
  if (row?.state !== 'in_review') return;
  const actor = systemActor(row.organization_id, row.request_id);
  deps.log.info({ task_id: taskId, request_id: row.request_id, decision: row.decision }, 'review');
  const wanted = watchReview(deps, row);
  try {
    await decide(deps, actor, row, AbortSignal.any([signal, wanted.signal]));
  } catch (error) {
    if (error instanceof Problem && error.code === 'task_state_conflict') return;
    throw error;
  } finally {
    wanted.stop();
  }
}

/** How often a review looks whether it is still wanted, in milliseconds. */
const lookMs = 1_000;

/** A signal that kills the checks when the task leaves its review: cancelled, or out of time. */
function watchReview(deps: ReviewDeps, task: Task): { signal: AbortSignal; stop(): void } {
  const control = new AbortController();
  const look = async () => {
    const row = await deps.db
      .selectFrom('tasks')
      .select('state')
      .where('id', '=', task.id)
      .executeTakeFirst();
    if (row?.state !== 'in_review') control.abort(outOfDate(row?.state));
  };
  const timer = setInterval(
    () => void look().catch(error => deps.log.warn({ task_id: task.id, err: error }, 'review not watched')),
    lookMs,
  );
  return { signal: control.signal, stop: () => clearInterval(timer) };
}

const outOfDate = (state?: string): Problem =>
  new Problem('conflict', 'task_state_conflict', `The task is ${state}: this review is out of date.`);

async function decide(deps: ReviewDeps, actor: Actor, task: Task, signal: AbortSignal): Promise<void> {
  if (task.kind === 'verification')
    return transact(deps.db, async tx => {
      await requireInReview(tx, actor, task);
      await acceptVerification(tx, actor, nowOf(deps), task);
    });
  if (task.decision !== 'done') {
    const reason = `${task.decision === 'gave_up' ? 'The agent gave up' : `Handed in as ${task.decision}`}: ${task.summary ?? ''}`;
    const evidence = task.checks.length > 0 ? await execute(deps, task, signal) : [];
    return transact(deps.db, async tx => {
      await requireInReview(tx, actor, task);
      await insertChecks(tx, nowOf(deps), task, evidence);
      await endTask(tx, actor, nowOf(deps), task, 'failed', { reason });
    });
  }
  const checks = await execute(deps, task, signal);
  if (checks.some(check => !check.passed)) return sendBack(deps, actor, task, checks);
  await accept(deps, actor, task, checks);
}

/**
 * The task, locked, if this very review is still wanted: while checks ran it may have been cancelled, or reviewed by
 * somebody else and gone into its next round. @throws Problem `task_state_conflict`
 */
async function requireInReview(tx: Tx, actor: Actor, task: Task): Promise<Task> {
  const current = await lockTask(tx, actor, task.id);
  if (current.state === 'in_review' && current.round === task.round) return current;
  throw outOfDate(current.state);
}

async function execute(deps: ReviewDeps, task: Task, signal: AbortSignal): Promise<NewCheck[]> {
  await requireSandbox(deps.workshop);
  const tree = await treeOf(deps.db, task);
  await ensureRepository(deps.workshop, tree);
  return runCommands(deps.workshop, tree, task.delivered_commit, task.checks, signal);
}

export async function treeOf(db: Reader, task: Task): Promise<TreeTask> {
  const root = await db
    .selectFrom('tasks')
    .select('sequence')
    .where('id', '=', task.root_task_id)
    .executeTakeFirstOrThrow();
  return {
    id: task.id,
    root_task_id: task.root_task_id,
    source: task.source,
    base_commit: task.base_commit,
    identity: root.sequence,
  };
}

/** A verifier has done its task whichever way it decided; its verdict is evidence on the task that it judged. */
async function acceptVerification(tx: Tx, actor: Actor, now: Date, task: Task): Promise<void> {
  const subject = await getTask(tx, actor, task.subject_task_id as string);
  const passed = task.decision === 'pass';
  await insertChecks(tx, now, subject, [
    {
      kind: 'verification',
      command: `verification by ${task.agent_id} (${task.id})`,
      commit: subject.delivered_commit,
      exit_code: null,
      outcome: task.decision ?? 'none',
      passed,
      output: task.summary ?? '',
      duration_ms: Math.max(0, now.getTime() - task.created_at.getTime()),
    },
  ]);
  await taskEvent(tx, actor, now, subject, 'task.verified', { passed, by: task.id });
  await endTask(tx, actor, now, task, 'succeeded', {});
}

async function sendBack(deps: ReviewDeps, actor: Actor, task: Task, checks: NewCheck[]): Promise<void> {
  const now = nowOf(deps);
  const failed = checks
    .filter(check => !check.passed)
    .map(check => `\`${check.command}\` (${check.outcome})`);
  await transact(deps.db, async tx => {
    const current = await requireInReview(tx, actor, task);
    await insertChecks(tx, now, current, checks);
    await taskEvent(tx, actor, now, current, 'check.failed', { checks: failed, round: current.round });
    if (current.round >= current.max_rounds) {
      await endTask(tx, actor, now, current, 'failed', {
        reason: `Checks failed in all ${current.max_rounds} rounds: ${failed.join(', ')}.`,
      });
      return;
    }
    const next = await moveTask(tx, actor, now, current, 'queued', {
      round: current.round + 1,
      delivered_commit: null,
      decision: null,
      summary: null,
    });
    await openRun(tx, actor, now, next);
  });
}

async function accept(deps: ReviewDeps, actor: Actor, task: Task, checks: NewCheck[]): Promise<void> {
  const isRoot = task.parent_task_id === null;
  if (
    isRoot &&
    task.delivered_commit !== null &&
    checks.length === 0 &&
    !(await isVerified(deps.db, task.root_task_id, task.delivered_commit))
  ) {
    const reason =
      'Nothing was shown about the delivered commit: no check was given, and nobody verified it.';
    return transact(deps.db, async tx => {
      await requireInReview(tx, actor, task);
      await endTask(tx, actor, nowOf(deps), task, 'failed', { reason });
    });
  }
  const tree = await treeOf(deps.db, task);
  const diff = task.delivered_commit ? await diffFromBase(deps.workshop, tree, task.delivered_commit) : null;
  const delivery = isRoot && task.delivered_commit ? await deliver(deps, task, tree) : null;
  const now = nowOf(deps);
  await transact(deps.db, async tx => {
    await requireInReview(tx, actor, task);
    await insertChecks(tx, now, task, delivery ? [...checks, delivery.check] : checks);
    if (diff !== null) await keepDiff(tx, now, task, diff);
    if (delivery && !delivery.check.passed) {
      await endTask(tx, actor, now, task, 'failed', { reason: delivery.check.output });
      return;
    }
    await endTask(tx, actor, now, task, 'succeeded', { delivered_branch: delivery?.branch ?? null });
  });
}

/** Puts the branch into a source on this server. A source that was fetched by URL gets its change as the diff only. */
async function deliver(
  deps: ReviewDeps,
  task: Task,
  tree: TreeTask,
): Promise<{ branch: string; check: NewCheck } | null> {
  if (task.source?.kind !== 'path' || !task.delivered_commit) return null;
  const branch = `guildhall/${task.id}`;
  const started = deps.clock.now();
  const base = {
    kind: 'delivery' as const,
    command: `deliver branch ${branch}`,
    commit: task.delivered_commit,
    exit_code: null,
  };
  try {
    await exportBranch(deps.workshop, tree, {
      location: task.source.location,
      branch,
      commit: task.delivered_commit,
      base: task.source.commit,
      now: nowOf(deps),
    });
    return {
      branch,
      check: {
        ...base,
        outcome: 'delivered',
        passed: true,
        output: `${branch} is at ${task.delivered_commit}`,
        duration_ms: deps.clock.now() - started,
      },
    };
  } catch (error) {
    if (!(error instanceof Problem) || error.retryable) throw error;
    return {
      branch,
      check: {
        ...base,
        outcome: 'refused',
        passed: false,
        output: error.message,
        duration_ms: deps.clock.now() - started,
      },
    };
  }
}

async function keepDiff(tx: Tx, now: Date, task: Task, diff: string): Promise<void> {
  const content = Buffer.from(redactor.redactValues(diff));
  await tx
    .insertInto('artifacts')
    .values({
      id: newId('art', now.getTime()),
      organization_id: task.organization_id,
      task_id: task.id,
      name: 'change.diff',
      media_type: 'text/x-diff',
      sha256: createHash('sha256').update(content).digest('hex'),
      content,
      created_at: now,
    })
    .execute();
}

/** The diff that a task delivered, from its artifact. */
export async function readDiff(db: Reader, actor: Actor, task: Task): Promise<string | null> {
  const row = await db
    .selectFrom('artifacts')
    .select('content')
    .where('task_id', '=', task.id)
    .where('organization_id', '=', actor.organizationId)
    .where('name', '=', 'change.diff')
    .orderBy('id', 'desc')
    .limit(1)
    .executeTakeFirst();
  return row ? row.content.toString('utf8') : null;
}
