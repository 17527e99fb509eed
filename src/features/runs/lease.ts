/**
 * Leases: a worker's time-limited claim on a run. Claiming raises the fencing token; every later write for the run
 * names the token it holds, and the database refuses one that is not the newest. So a worker that was frozen or
 * cut off can go on computing, but nothing it writes counts.
 */
import { sql } from 'kysely';
import { type Db, type Reader, type Tx, transact } from '../../platform/db/db.ts';
import type { Row, RunWait, TaskWait } from '../../platform/db/schema.ts';
import { type Actor, appendEvent, type Subject } from '../../platform/journal/facts.ts';
import { closeReservations } from '../budgets/budgets.ts';
import type { Task } from '../tasks/tasks.ts';
import {
  type Surroundings,
  type SurroundingsRow,
  surroundingsOfRow,
  toSurroundings,
} from './surroundings.ts';

export interface Lease {
  runId: string;
  taskId: string;
  rootTaskId: string;
  fencingToken: number;
  workerId: string;
  /** The agent that acts in this run. */
  actor: Actor;
  /** The run as it was when it was claimed. */
  run: Pick<Row<'runs'>, 'agent_id' | 'agent_version' | 'model'> & {
    /** Sequence of the root task: which identity its sandboxes have. */
    identity: number;
  };
}

/** A write was refused because somebody else holds the run now. Never shown to people: the holder goes on. */
export class LeaseLost extends Error {
  override readonly name = 'LeaseLost';
  constructor(lease: Lease) {
    super(`the lease on ${lease.runId} with token ${lease.fencingToken} is gone`);
  }
}

export const subjectOf = (lease: Lease): Subject => ({
  task_id: lease.taskId,
  root_task_id: lease.rootTaskId,
  run_id: lease.runId,
});

/** A run that was claimed, with what working on it begins with. */
export interface Claim {
  lease: Lease;
  /** Its task, under way by now. */
  task: Task;
  surroundings: Surroundings;
}

/**
 * Claims a run that is due (one that runs only when its lease ran out) and marks its task as under way.
 * @returns null when somebody else has it, or there is nothing to do.
 *
 * A run that is just lying down to wait still looks held. Whoever came to wake it would find nothing to do and the
 * call would be lost, so a claim in vain is made again when nobody has the task locked any more.
 */
export async function claimRun(
  db: Db,
  workerId: string,
  now: Date,
  leaseMs: number,
  runId: string,
): Promise<Claim | null> {
  const claim = await tryToClaim(db, workerId, now, leaseMs, runId);
  if (claim) return claim;
  return transact(db, async tx => {
    await lockTaskOf(tx, runId);
    return tryToClaim(tx, workerId, now, leaseMs, runId);
  });
}

/** Locks the task of a run, which is to be done before the run itself is locked. */
export async function lockTaskOf(tx: Tx, runId: string): Promise<void> {
  await sql`select 1 from tasks where id = (select task_id from runs where id = ${runId}) for update`.execute(
    tx,
  );
}

type Claimed = Task &
  SurroundingsRow & {
    run_agent_id: string;
    run_agent_version: number;
    run_model: string;
    run_request_id: string;
    run_fencing_token: number;
    run_identity: number;
  };

async function tryToClaim(
  db: Reader,
  workerId: string,
  now: Date,
  leaseMs: number,
  runId: string,
): Promise<Claim | null> {
  const { rows } = await sql<Claimed>`
    with locked as (
      select * from tasks where id = (select task_id from runs where id = ${runId}) for update),
    claimed as (
      update runs set state = 'running', worker_id = ${workerId}, lease_until = ${new Date(now.getTime() + leaseMs)}, waiting_on = null,
        wake_at = null, stop_requested = null, fencing_token = fencing_token + 1, started_at = coalesce(runs.started_at, ${now}::timestamptz)
      from locked t join tasks root on root.id = t.root_task_id
      where runs.id = ${runId} and t.id = runs.task_id and t.state in ('queued', 'running', 'waiting')
        and (runs.state in ('queued', 'lost') or (runs.state = 'waiting' and (runs.wake_at is null or runs.wake_at <= ${now}::timestamptz))
          or (runs.state = 'running' and runs.lease_until < ${now}::timestamptz))
      returning runs.id, runs.task_id, runs.agent_id, runs.organization_id, runs.request_id, runs.fencing_token,
        runs.agent_version, runs.model, root.sequence as identity, t.root_task_id),
    moved as (
      update tasks set state = 'running', waiting_on = null, state_reason = null, version = version + 1, updated_at = ${now}::timestamptz,
        started_at = coalesce(tasks.started_at, ${now}::timestamptz)
      from claimed where tasks.id = claimed.task_id and tasks.state in ('queued', 'waiting') returning tasks.*),
    told as (
      insert into events (organization_id, type, task_id, root_task_id, run_id, actor, request_id, data, created_at)
      select c.organization_id, 'task.running', c.task_id, c.root_task_id, c.id, 'agent:' || c.agent_id, c.request_id, '{}', ${now}::timestamptz
      from claimed c join moved on moved.id = c.task_id)
    select task.*, c.agent_id as run_agent_id, c.agent_version as run_agent_version, c.model as run_model, c.request_id as run_request_id,
      c.fencing_token as run_fencing_token, c.identity as run_identity, ${surroundingsOfRow('task')},
      -- A claim need not survive the machine: a lost one is made again, and writes under its token are refused.
      set_config('synchronous_commit', 'off', true)
    from claimed c cross join lateral (select * from moved union all select * from locked where not exists (select 1 from moved)) task`.execute(
    db,
  );
  const row = rows[0];
  if (!row) return null;
  const actor = {
    id: `agent:${row.run_agent_id}`,
    organizationId: row.organization_id,
    requestId: row.run_request_id,
  };
  const lease = {
    runId,
    taskId: row.id,
    rootTaskId: row.root_task_id,
    fencingToken: row.run_fencing_token,
    workerId,
    actor,
    run: {
      agent_id: row.run_agent_id,
      agent_version: row.run_agent_version,
      model: row.run_model,
      identity: row.run_identity,
    },
  };
  return { lease, task: row, surroundings: toSurroundings(now.getTime(), row) };
}

/**
 * Locks the task and then the run for the transaction, in the order that everybody takes the two in.
 * @throws LeaseLost when the token is no longer the newest.
 */
export async function requireLease(tx: Tx, lease: Lease): Promise<void> {
  const { rows } = await sql`
    with locked as (select id from tasks where id = ${lease.taskId} for update)
    select 1 from runs join locked on locked.id = runs.task_id
    where runs.id = ${lease.runId} and runs.fencing_token = ${lease.fencingToken} and runs.state = 'running' for update of runs`.execute(
    tx,
  );
  if (rows.length === 0) throw new LeaseLost(lease);
}

const taskWaits: Record<RunWait['kind'], (wait: RunWait) => TaskWait> = {
  children: () => 'children',
  approval: wait => (wait.kind === 'approval' && wait.question ? 'input' : 'approval'),
  budget: () => 'budget',
  time: () => 'time',
  paused: () => 'time',
};

/** Lets go of a run that has to wait, and of the money held for it. Call `requireLease` first and check the condition again under its lock. */
export async function suspendRun(
  tx: Tx,
  lease: Lease,
  now: Date,
  wait: RunWait,
  reason: string | null,
  wakeAt: Date | null,
): Promise<void> {
  await tx
    .updateTable('runs')
    .set({
      state: 'waiting',
      waiting_on: JSON.stringify(wait),
      state_reason: reason,
      wake_at: wakeAt,
      worker_id: null,
      lease_until: null,
    })
    .where('id', '=', lease.runId)
    .where('fencing_token', '=', lease.fencingToken)
    .execute();
  await closeReservations(tx, now, lease.runId);
  const waitingOn = taskWaits[wait.kind](wait);
  const moved = await tx
    .updateTable('tasks')
    .set(eb => ({
      state: 'waiting',
      waiting_on: waitingOn,
      state_reason: reason,
      updated_at: now,
      version: eb('version', '+', 1),
    }))
    .where('id', '=', lease.taskId)
    .where('state', 'in', ['running', 'waiting', 'queued'])
    .returning('id')
    .executeTakeFirst();
  if (moved)
    await appendEvent(tx, lease.actor, now, 'task.waiting', subjectOf(lease), {
      waiting_on: waitingOn,
      reason,
    });
  await appendEvent(tx, lease.actor, now, 'run.waiting', subjectOf(lease), { kind: wait.kind, reason });
}

/** Gives a run back unfinished, for another worker: at a drain, and when its task was paused. */
export async function releaseRun(tx: Tx, lease: Lease): Promise<boolean> {
  const row = await tx
    .updateTable('runs')
    .set({ state: 'queued', worker_id: null, lease_until: null })
    .where('id', '=', lease.runId)
    .where('fencing_token', '=', lease.fencingToken)
    .where('state', '=', 'running')
    .returning('id')
    .executeTakeFirst();
  return row !== undefined;
}
