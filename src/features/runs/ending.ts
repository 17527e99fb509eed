/** Endings of a run that did not hand in: the task fails, or becomes a dead letter that people can inspect and replay. */
import { newId } from '../../base/ids.ts';
import type { Tx } from '../../platform/db/db.ts';
import { appendEvent } from '../../platform/journal/facts.ts';
import { closeReservations } from '../budgets/budgets.ts';
import { isEnded } from '../tasks/task-states.ts';
import { endTask, getTask, type Task } from '../tasks/tasks.ts';
import { type Lease, subjectOf } from './lease.ts';

export interface Failure {
  state: 'failed' | 'dead_letter';
  /** Stable word for the cause. */
  code: string;
  reason: string;
}

/** Ends the run and its task. The caller holds the lease. */
export async function fail(tx: Tx, lease: Lease, now: Date, task: Task, failure: Failure): Promise<void> {
  await closeReservations(tx, now, lease.runId);
  const current = await getTask(tx, lease.actor, task.id);
  if (isEnded(current.state)) return;
  if (failure.state === 'dead_letter') {
    await tx
      .insertInto('dead_letters')
      .values({
        id: newId('dl', now.getTime()),
        organization_id: task.organization_id,
        task_id: task.id,
        run_id: lease.runId,
        code: failure.code,
        reason: failure.reason,
        created_at: now,
      })
      .execute();
    await appendEvent(tx, lease.actor, now, 'dead_letter.added', subjectOf(lease), {
      code: failure.code,
      reason: failure.reason,
    });
  }
  await endTask(tx, lease.actor, now, current, failure.state, { reason: failure.reason });
}
