/**
 * Sweeps: bounded periodic repair. Every process of the role `sweeper` runs them; each takes rows with `skip
 * locked`, so several do not hinder each other, and doing one twice changes nothing.
 */
import { sql } from 'kysely';
import { messageOf } from '../../base/problem.ts';
import { type Db, type Tx, transact } from '../../platform/db/db.ts';
import { appendAudit, appendEvent, systemActor } from '../../platform/journal/facts.ts';
import { enqueue } from '../../platform/queue/queue.ts';
import { expireApprovals } from '../approvals/approvals.ts';
import { wakeFittingRuns } from '../budgets/budgets.ts';
import { openStates } from '../tasks/task-states.ts';
import { endTask } from '../tasks/tasks.ts';
import type { Log } from './context.ts';

const batch = 100;
const second = 1_000;

export interface SweepDeps {
  db: Db;
  clock: { now(): number };
  log: Log;
  leaseMs: number;
}

/** One round of all sweeps. @returns what each repaired. */
export async function sweep(deps: SweepDeps): Promise<Record<string, number>> {
  const { db, leaseMs } = deps;
  const now = new Date(deps.clock.now());
  return {
    dead_workers: await transact(db, tx => buryWorkers(tx, now, leaseMs)),
    unlocked_jobs: await transact(db, tx => unlockJobs(tx, leaseMs)),
    lost_runs: await transact(db, tx => recoverRuns(tx, now)),
    forgotten_runs: await transact(db, tx => remindRuns(tx, now)),
    reviews: await transact(db, tx => remindReviews(tx, now)),
    timed_out: await transact(db, tx => timeOutTasks(tx, now)),
    unaccepted: await transact(db, tx => endUnaccepted(tx, now)),
    approvals: await transact(db, tx => expireApprovals(tx, now)),
    affordable: await transact(db, tx => wakeFittingRuns(tx, batch)),
    reservations: await transact(db, tx => releaseOrphans(tx, now)),
  };
}

/** A worker without a heartbeat for the length of a lease is dead, and its leases have run out. */
async function buryWorkers(tx: Tx, now: Date, leaseMs: number): Promise<number> {
  const dead = await tx
    .updateTable('workers')
    .set({ state: 'dead' })
    .where('state', 'in', ['active', 'draining'])
    .where('heartbeat_at', '<', new Date(now.getTime() - leaseMs))
    .returning('id')
    .execute();
  const ids = dead.map(worker => worker.id);
  // A run that is locked is left to the next round: a frozen worker may hold it, until the database cuts it off.
  await sql`update runs set lease_until = ${new Date(now.getTime() - 1)} where id in (
    select id from runs where worker_id = any (${ids}::text[]) and state = 'running' for update skip locked)`.execute(
    tx,
  );
  return dead.length;
}

/** Jobs that are locked by nobody who lives are for others again: the queue itself would keep them for hours. */
async function unlockJobs(tx: Tx, leaseMs: number): Promise<number> {
  const { rows } = await sql<{ locked_by: string }>`
    select distinct locked_by from graphile_worker.jobs
    where locked_at < now() - ${leaseMs} * interval '1 millisecond'
      and locked_by <> all (select unnest(queue_worker_ids) from workers where state in ('active', 'draining'))`.execute(
    tx,
  );
  const ids = rows.map(row => row.locked_by);
  if (ids.length > 0) await sql`select graphile_worker.force_unlock_workers(${ids}::text[])`.execute(tx);
  return ids.length;
}

/** A running run whose lease ran out has lost its worker; any other goes on from its journal. */
async function recoverRuns(tx: Tx, now: Date): Promise<number> {
  const { rows } = await sql<{ id: string; organization_id: string; task_id: string; request_id: string }>`
    update runs set state = 'lost', worker_id = null, lease_until = null
    where id in (select id from runs where worker_id is not null and state = 'running' and lease_until < ${now} limit ${batch} for update skip locked)
    returning id, organization_id, task_id, request_id`.execute(tx);
  for (const run of rows) {
    await appendEvent(tx, systemActor(run.organization_id, run.request_id), now, 'run.lost', {
      task_id: run.task_id,
      run_id: run.id,
    });
    await enqueue(tx, 'run.advance', { run_id: run.id });
  }
  return rows.length;
}

/** Runs that should be under way but have no job, whatever became of it. */
async function remindRuns(tx: Tx, now: Date): Promise<number> {
  const { rows } = await sql<{ id: string }>`
    select r.id from runs r join tasks t on t.id = r.task_id
    where t.state in ('queued', 'running', 'waiting') and (
      (r.state in ('queued', 'lost') and coalesce(r.started_at, r.created_at) < ${new Date(now.getTime() - 30 * second)})
      or (r.state = 'waiting' and r.wake_at < ${new Date(now.getTime() - 30 * second)}))
      and not exists (select 1 from graphile_worker.jobs j where j.key = 'run.advance:' || r.id)
    limit ${batch}`.execute(tx);
  for (const run of rows) await enqueue(tx, 'run.advance', { run_id: run.id });
  return rows.length;
}

async function remindReviews(tx: Tx, now: Date): Promise<number> {
  const { rows } = await sql<{ id: string }>`
    select t.id from tasks t where t.state = 'in_review' and t.updated_at < ${new Date(now.getTime() - 30 * second)}
      and not exists (select 1 from graphile_worker.jobs j where j.key = 'task.review:' || t.id) limit ${batch}`.execute(
    tx,
  );
  for (const task of rows) await enqueue(tx, 'task.review', { task_id: task.id });
  return rows.length;
}

async function timeOutTasks(tx: Tx, now: Date): Promise<number> {
  const due = await tx
    .selectFrom('tasks')
    .selectAll()
    .where('state', 'in', [...openStates])
    .where('ended_at', 'is', null)
    .where('deadline_at', '<', now)
    .orderBy('depth')
    .limit(batch)
    .forUpdate()
    .skipLocked()
    .execute();
  for (const task of due) {
    const fresh = await tx
      .selectFrom('tasks')
      .select('state')
      .where('id', '=', task.id)
      .executeTakeFirstOrThrow();
    if (!(openStates as readonly string[]).includes(fresh.state)) continue;
    await endTask(tx, systemActor(task.organization_id, task.request_id), now, task, 'timed_out', {
      reason: 'Its deadline passed.',
    });
  }
  return due.length;
}

/** Silence of an assignee is a violation: recorded, and up the chain it goes as a failed child. */
async function endUnaccepted(tx: Tx, now: Date): Promise<number> {
  const due = await tx
    .selectFrom('tasks')
    .selectAll()
    .where('state', 'in', ['queued', 'running', 'waiting'])
    .where('accepted_at', 'is', null)
    .where('accept_by', '<', now)
    .limit(batch)
    .forUpdate()
    .skipLocked()
    .execute();
  for (const task of due) {
    const actor = systemActor(task.organization_id, task.request_id);
    await appendAudit(tx, actor, now, 'task.accept', task.id, 'failed', {
      violation: 'not accepted in time',
      agent_id: task.agent_id,
    });
    await endTask(tx, actor, now, task, 'failed', {
      decision: 'ignored',
      reason: 'The assignee neither accepted nor rejected it in time.',
    });
  }
  return due.length;
}

/** Money held for calls of runs that have ended: the worker that should have settled them is gone. */
async function releaseOrphans(tx: Tx, now: Date): Promise<number> {
  const { rows } = await sql`
    select budget_close(v.idempotency_key, ${now}) from (
      select v.idempotency_key from reservations v join runs r on r.id = v.run_id
      where v.state = 'open' and r.ended_at < ${new Date(now.getTime() - 10 * second)}
      order by v.idempotency_key limit ${batch} for update of v skip locked) v`.execute(tx);
  return rows.length;
}

/** Runs the sweeps every `intervalMs` until disposed. */
export class Sweeper implements AsyncDisposable {
  readonly #deps: SweepDeps;
  readonly #intervalMs: number;
  #timer: NodeJS.Timeout | null = null;
  #sweeping: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(deps: SweepDeps, intervalMs: number) {
    this.#deps = deps;
    this.#intervalMs = intervalMs;
  }

  start(): void {
    this.#timer = setTimeout(() => {
      this.#sweeping = this.#round().finally(() => {
        if (!this.#stopped) this.start();
      });
    }, this.#intervalMs);
  }

  async #round(): Promise<void> {
    try {
      const done = await sweep(this.#deps);
      const some = Object.fromEntries(Object.entries(done).filter(([, n]) => n > 0));
      if (Object.keys(some).length > 0) this.#deps.log.info(some, 'swept');
    } catch (error) {
      this.#deps.log.warn({ reason: messageOf(error) }, 'sweep failed');
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    if (this.#timer) clearTimeout(this.#timer);
    await this.#sweeping;
  }
}
