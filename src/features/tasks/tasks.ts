/**
 * Tasks: what is to be done, as a tree. Delegating makes a child; the end of a task wakes whoever waits for it.
 *
 * Invariants: a state changes only along `taskMoves`, decided by the row itself (`update … where state in …`), so
 * of two who move it one loses with a conflict. A child is at most 20 deep. A task that ends otherwise than by
 * success takes its open children with it. Every change appends its event in the same transaction.
 */
import { sql } from 'kysely';
import { newId } from '../../base/ids.ts';
import { Problem } from '../../base/problem.ts';
import type { Reader, Tx } from '../../platform/db/db.ts';
import type { Brief, Row, RowChange, TaskSource, TaskState, TaskWait } from '../../platform/db/schema.ts';
import { type Actor, appendAudit, appendEvent, type Data } from '../../platform/journal/facts.ts';
import { enqueue } from '../../platform/queue/queue.ts';
import { redactor } from '../../platform/secrets/redactor.ts';
import { setBudget } from '../budgets/budgets.ts';
import { openRun, stopRun } from './open-run.ts';
import { type EndedState, isEnded, movesInto, openStates, taskActions } from './task-states.ts';

export type Task = Row<'tasks'>;
export const maxDepth = 20;

export interface NewTask {
  projectId: string;
  agentId: string;
  title: string;
  kind: Task['kind'];
  brief: Brief;
  checks: string[];
  source: TaskSource | null;
  baseCommit: string | null;
  maxTurns: number;
  deadlineAt: Date;
  budgetMicros: number | null;
  dependsOn: string[];
  /** Present when an agent delegates. */
  parent?: { task: Task; runId: string; callId: string; acceptBy: Date };
  subjectTaskId?: string | null;
}

/** Opens a task, with its budget and its first run. @throws Problem `depth_exceeded`, `dependency_missing`, `dependency_cycle`. */
export async function createTask(tx: Tx, actor: Actor, now: Date, input: NewTask): Promise<Task> {
  const parent = input.parent?.task ?? null;
  const depth = parent ? parent.depth + 1 : 0;
  if (depth > maxDepth) {
    throw new Problem('invalid', 'depth_exceeded', `Tasks can be delegated ${maxDepth} levels deep at most.`);
  }
  const id = newId('task', now.getTime());
  const task = await tx
    .insertInto('tasks')
    .values({
      id,
      organization_id: actor.organizationId,
      project_id: input.projectId,
      root_task_id: parent?.root_task_id ?? id,
      parent_task_id: parent?.id ?? null,
      parent_run_id: input.parent?.runId ?? null,
      parent_call_id: input.parent?.callId ?? null,
      subject_task_id: input.subjectTaskId ?? null,
      depth,
      agent_id: input.agentId,
      requester: actor.id,
      kind: input.kind,
      title: redactor.redactValues(input.title),
      brief: JSON.stringify(redactor.redactDeep(input.brief)),
      checks: input.checks,
      decisions: input.kind === 'verification' ? ['pass', 'fail'] : ['done', 'gave_up'],
      source: input.source ? JSON.stringify(input.source) : null,
      base_commit: input.baseCommit,
      state: 'queued',
      waiting_on: null,
      state_reason: null,
      max_turns: input.maxTurns,
      deadline_at: input.deadlineAt,
      accept_by: input.parent?.acceptBy ?? null,
      request_id: actor.requestId,
      created_at: now,
      updated_at: now,
    })
    .returningAll()
    .executeTakeFirstOrThrow();
  if (input.budgetMicros !== null)
    await setBudget(tx, actor, now, { scope: 'task', scopeId: id, limitMicros: input.budgetMicros });
  await taskEvent(tx, actor, now, task, 'task.created', { title: task.title, agent_id: task.agent_id });
  await appendAudit(tx, actor, now, 'task.create', id, 'ok', {
    title: task.title,
    parent_task_id: task.parent_task_id,
  });
  for (const dependency of new Set(input.dependsOn)) await addDependency(tx, actor, task, dependency);
  return startTask(tx, actor, now, task);
}

async function addDependency(tx: Tx, actor: Actor, task: Task, dependsOn: string): Promise<void> {
  const other = await tx
    .selectFrom('tasks')
    .select(['id', 'state'])
    .where('id', '=', dependsOn)
    .where('organization_id', '=', actor.organizationId)
    // Until the end of the transaction: its end either is seen here, or sees who waits for it.
    .forShare()
    .executeTakeFirst();
  if (!other)
    throw new Problem('invalid', 'dependency_missing', `There is no task ${dependsOn} to depend on.`);
  if (task.id === dependsOn || (await dependsOnTransitively(tx, dependsOn, task.id))) {
    throw new Problem(
      'invalid',
      'dependency_cycle',
      `${task.id} and ${dependsOn} would wait for each other.`,
    );
  }
  await tx
    .insertInto('task_dependencies')
    .values({ task_id: task.id, depends_on: dependsOn, organization_id: actor.organizationId })
    .execute();
}

async function dependsOnTransitively(db: Reader, from: string, target: string): Promise<boolean> {
  const seen = new Set<string>();
  let frontier = [from];
  while (frontier.length > 0) {
    const rows = await db
      .selectFrom('task_dependencies')
      .select('depends_on')
      .where('task_id', 'in', frontier)
      .execute();
    frontier = rows.map(row => row.depends_on).filter(id => !seen.has(id));
    if (frontier.includes(target)) return true;
    for (const id of frontier) seen.add(id);
  }
  return false;
}

/** Adds a dependency to a task that has not begun. @throws Problem as `createTask`, and `task_started`. */
export async function dependOn(
  tx: Tx,
  actor: Actor,
  now: Date,
  id: string,
  dependsOn: string,
): Promise<Task> {
  // One at a time: two that are added at the same moment could close a circle only together.
  await sql`select pg_advisory_xact_lock(hashtextextended(${`dependencies:${actor.organizationId}`}, 0))`.execute(
    tx,
  );
  const task = await lockTask(tx, actor, id);
  if (task.started_at)
    throw new Problem('conflict', 'task_started', 'The task has begun: it cannot wait for another one now.');
  await addDependency(tx, actor, task, dependsOn);
  const other = await getTask(tx, actor, dependsOn);
  return other.state === 'succeeded' ? task : startTask(tx, actor, now, task);
}

/** Opens the run of a queued task, or lets it wait for what it depends on; fails it when that has failed. */
async function startTask(tx: Tx, actor: Actor, now: Date, task: Task): Promise<Task> {
  const dependencies = await tx
    .selectFrom('task_dependencies as d')
    .innerJoin('tasks as t', 't.id', 'd.depends_on')
    .where('d.task_id', '=', task.id)
    .select(['t.id', 't.state'])
    .execute();
  const lost = dependencies.find(d => isEnded(d.state) && d.state !== 'succeeded');
  if (lost)
    return endTask(tx, actor, now, task, 'failed', {
      reason: `It depends on ${lost.id}, which is ${lost.state}.`,
    });
  if (dependencies.some(d => d.state !== 'succeeded')) {
    await stopRun(tx, actor, now, task.id, 'cancelled', 'The task waits for another one.');
    return task.state === 'waiting'
      ? task
      : moveTask(tx, actor, now, task, 'waiting', { waiting_on: 'dependency' });
  }
  const queued = task.state === 'queued' ? task : await moveTask(tx, actor, now, task, 'queued', {});
  await openRun(tx, actor, now, queued);
  return queued;
}

export interface Move {
  waiting_on?: TaskWait | null;
  reason?: string | null;
  decision?: string | null;
  summary?: string | null;
  delivered_commit?: string | null;
  delivered_branch?: string | null;
  round?: number;
  started_at?: Date;
  ended_at?: Date | null;
  deadline_at?: Date;
  accepted_at?: Date;
}

/** Moves a task to another state. @throws Problem `task_state_conflict` when it is not in a state that allows it. */
export async function moveTask(
  tx: Tx,
  actor: Actor,
  now: Date,
  task: Task,
  to: TaskState,
  move: Move,
): Promise<Task> {
  const { reason, ...columns } = move;
  const change: RowChange<'tasks'> = {
    ...columns,
    state: to,
    waiting_on: move.waiting_on ?? null,
    state_reason: reason ?? null,
    updated_at: now,
  };
  const row = await tx
    .updateTable('tasks')
    .set(eb => ({ ...change, version: eb('version', '+', 1) }))
    .where('id', '=', task.id)
    .where(sql<boolean>`state = any (${movesInto(to)}::text[])`)
    .returningAll()
    .executeTakeFirst();
  if (!row) {
    const current = await tx.selectFrom('tasks').select('state').where('id', '=', task.id).executeTakeFirst();
    throw new Problem(
      'conflict',
      'task_state_conflict',
      `The task is ${current?.state ?? 'gone'}: it cannot become ${to}.`,
      {
        detail: { state: current?.state ?? null, wanted: to },
      },
    );
  }
  await taskEvent(tx, actor, now, row, `task.${to}`, {
    waiting_on: row.waiting_on,
    reason: row.state_reason,
  });
  return row;
}

export interface Ending {
  reason?: string | null;
  decision?: string | null;
  summary?: string | null;
  delivered_commit?: string | null;
  delivered_branch?: string | null;
}

/** Ends a task: stops its run, ends its children, wakes its parent and its dependants. */
export async function endTask(
  tx: Tx,
  actor: Actor,
  now: Date,
  task: Task,
  state: EndedState,
  ending: Ending,
): Promise<Task> {
  const row = await moveTask(tx, actor, now, task, state, { ...ending, ended_at: now });
  const affected = await findAffected(tx, task.id);
  if (affected.run)
    await stopRun(tx, actor, now, task.id, state === 'dead_letter' ? 'failed' : state, ending.reason ?? null);
  await appendAudit(tx, actor, now, 'task.end', task.id, state === 'succeeded' ? 'ok' : 'failed', {
    state,
    decision: row.decision,
    delivered_commit: row.delivered_commit,
  });
  if (affected.children) await endChildren(tx, actor, now, row);
  if (row.parent_run_id) await enqueue(tx, 'run.advance', { run_id: row.parent_run_id });
  if (affected.dependants) await startDependants(tx, actor, now, row);
  return row;
}

/** What else the end of a task touches; mostly nothing. */
async function findAffected(
  tx: Tx,
  id: string,
): Promise<{ run: boolean; children: boolean; dependants: boolean }> {
  const { rows } = await sql<{ run: boolean; children: boolean; dependants: boolean }>`select
    exists (select 1 from runs where task_id = ${id} and state in ('queued', 'running', 'waiting', 'lost')) as run,
    exists (select 1 from tasks where parent_task_id = ${id} and ended_at is null) as children,
    exists (select 1 from task_dependencies where depends_on = ${id}) as dependants`.execute(tx);
  return rows[0] ?? { run: true, children: true, dependants: true };
}

async function endChildren(tx: Tx, actor: Actor, now: Date, parent: Task): Promise<void> {
  const children = await tx
    .selectFrom('tasks')
    .selectAll()
    .where('parent_task_id', '=', parent.id)
    .where('state', 'in', [...openStates])
    .orderBy('id')
    .forUpdate()
    .execute();
  for (const child of children) {
    await endTask(tx, actor, now, child, parent.state === 'timed_out' ? 'timed_out' : 'cancelled', {
      reason: `Its parent task is ${parent.state}.`,
    });
  }
}

async function startDependants(tx: Tx, actor: Actor, now: Date, task: Task): Promise<void> {
  const dependants = await tx
    .selectFrom('tasks as t')
    .innerJoin('task_dependencies as d', 'd.task_id', 't.id')
    .selectAll('t')
    .where('d.depends_on', '=', task.id)
    .where('t.state', '=', 'waiting')
    .where('t.waiting_on', '=', 'dependency')
    .orderBy('t.id')
    .forUpdate('t')
    .execute();
  for (const dependant of dependants) await startTask(tx, actor, now, dependant);
}

/** @throws Problem `task_missing`. */
export async function getTask(db: Reader, actor: Actor, id: string): Promise<Task> {
  const task = await db
    .selectFrom('tasks')
    .selectAll()
    .where('id', '=', id)
    .where('organization_id', '=', actor.organizationId)
    .executeTakeFirst();
  if (!task) throw new Problem('missing', 'task_missing', 'There is no such task.');
  return task;
}

/** The task, locked until the transaction ends. @throws Problem `task_missing`. */
export async function lockTask(tx: Tx, actor: Actor, id: string): Promise<Task> {
  await tx.selectFrom('tasks').select('id').where('id', '=', id).forUpdate().execute();
  return getTask(tx, actor, id);
}

function require(task: Task, action: keyof typeof taskActions): void {
  if ((taskActions[action] as readonly TaskState[]).includes(task.state)) return;
  throw new Problem(
    'conflict',
    'task_state_conflict',
    `A task that is ${task.state} cannot be changed by ${action}.`,
    {
      detail: { state: task.state, allowed_from: [...taskActions[action]] },
    },
  );
}

/** Cancels a task and all below it. Running tools are killed by their worker within two seconds. */
export async function cancelTask(
  tx: Tx,
  actor: Actor,
  now: Date,
  id: string,
  reason: string | null,
): Promise<Task> {
  const task = await lockTask(tx, actor, id);
  require(task, 'cancel');
  return endTask(tx, actor, now, task, 'cancelled', { reason: reason ?? `Cancelled by ${actor.id}.` });
}

/** Pauses a task: the step under way ends, no further one begins. */
export async function pauseTask(
  tx: Tx,
  actor: Actor,
  now: Date,
  id: string,
  reason: string | null,
): Promise<Task> {
  const task = await lockTask(tx, actor, id);
  require(task, 'pause');
  await tx
    .updateTable('runs')
    .set({ stop_requested: 'pause' })
    .where('task_id', '=', id)
    .where('state', '=', 'running')
    .execute();
  await appendAudit(tx, actor, now, 'task.pause', id, 'ok');
  return moveTask(tx, actor, now, task, 'paused', { reason: reason ?? `Paused by ${actor.id}.` });
}

export async function resumeTask(tx: Tx, actor: Actor, now: Date, id: string): Promise<Task> {
  const task = await lockTask(tx, actor, id);
  require(task, 'resume');
  const run = await tx
    .updateTable('runs')
    .set({ stop_requested: null })
    .where('task_id', '=', id)
    .where('state', 'in', ['queued', 'running', 'waiting', 'lost'])
    .returning(['id', 'state'])
    .executeTakeFirst();
  await appendAudit(tx, actor, now, 'task.resume', id, 'ok');
  const row = await moveTask(tx, actor, now, task, 'queued', {});
  if (run) await enqueue(tx, 'run.advance', { run_id: run.id });
  else return startTask(tx, actor, now, row);
  return row;
}

/** Opens a new round of a task that ended without success; its time limit starts again. */
export async function retryTask(tx: Tx, actor: Actor, now: Date, id: string): Promise<Task> {
  const task = await lockTask(tx, actor, id);
  require(task, 'retry');
  if (task.parent_task_id) {
    throw new Problem(
      'conflict',
      'task_has_parent',
      'Retry the task at the top: this one was given by another agent, who has moved on.',
      {
        detail: { root_task_id: task.root_task_id },
      },
    );
  }
  const span = task.deadline_at.getTime() - task.created_at.getTime();
  const row = await moveTask(tx, actor, now, task, 'queued', {
    round: 1,
    ended_at: null,
    deadline_at: new Date(now.getTime() + Math.max(span, 60_000)),
  });
  await tx
    .updateTable('dead_letters')
    .set({ replayed_at: now })
    .where('task_id', '=', id)
    .where('replayed_at', 'is', null)
    .execute();
  await appendAudit(tx, actor, now, 'task.retry', id, 'ok');
  return startTask(tx, actor, now, row);
}

export function taskEvent(
  tx: Tx,
  actor: Actor,
  now: Date,
  task: Task,
  type: string,
  data: Data,
): Promise<void> {
  return appendEvent(tx, actor, now, type, { task_id: task.id, root_task_id: task.root_task_id }, data);
}
