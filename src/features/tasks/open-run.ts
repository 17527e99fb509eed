/**
 * A task's attempt is a row in `runs`. This file opens and stops it; the runs feature advances it. Stopping takes
 * the fencing token: whatever the worker still writes for the run is refused, and its next heartbeat tells it to
 * kill what runs.
 */
import { newId } from '../../base/ids.ts';
import type { Tx } from '../../platform/db/db.ts';
import type { Row, RunState } from '../../platform/db/schema.ts';
import { type Actor, appendEvent } from '../../platform/journal/facts.ts';
import { enqueue } from '../../platform/queue/queue.ts';
import { getAgent } from '../agents/agents.ts';
import { cancelApprovals } from '../approvals/approvals.ts';

/** Opens the run of the task's present round and enqueues it. */
export async function openRun(tx: Tx, actor: Actor, now: Date, task: Row<'tasks'>): Promise<string> {
  const agent = await getAgent(tx, actor, task.agent_id);
  const id = newId('run', now.getTime());
  await tx
    .insertInto('runs')
    .values({
      id,
      organization_id: task.organization_id,
      task_id: task.id,
      agent_id: agent.id,
      agent_version: agent.version,
      round: task.round,
      model: agent.model,
      state: 'queued',
      waiting_on: null,
      request_id: task.request_id,
      created_at: now,
      worker_id: null,
      state_reason: null,
      stop_requested: null,
    })
    .execute();
  await appendEvent(
    tx,
    actor,
    now,
    'run.queued',
    { task_id: task.id, root_task_id: task.root_task_id, run_id: id },
    { round: task.round },
  );
  await enqueue(tx, 'run.advance', { run_id: id });
  return id;
}

/** Ends the open run of a task, if there is one. */
export async function stopRun(
  tx: Tx,
  actor: Actor,
  now: Date,
  taskId: string,
  state: Extract<RunState, 'succeeded' | 'failed' | 'cancelled' | 'timed_out'>,
  reason: string | null,
): Promise<void> {
  const run = await tx
    .updateTable('runs')
    .set(eb => ({
      state,
      state_reason: reason,
      waiting_on: null,
      worker_id: null,
      lease_until: null,
      ended_at: now,
      fencing_token: eb('fencing_token', '+', 1),
    }))
    .where('task_id', '=', taskId)
    .where('state', 'in', ['queued', 'running', 'waiting', 'lost'])
    .returning(['id', 'task_id'])
    .executeTakeFirst();
  if (!run) return;
  await cancelApprovals(tx, actor, now, run.id);
  const task = await tx
    .selectFrom('tasks')
    .select('root_task_id')
    .where('id', '=', taskId)
    .executeTakeFirstOrThrow();
  await appendEvent(
    tx,
    actor,
    now,
    `run.${state}`,
    { task_id: taskId, root_task_id: task.root_task_id, run_id: run.id },
    { reason },
  );
}
