/**
 * The worker: takes jobs from the queue and proves once a second that it lives. The heartbeat renews the leases of
 * all its runs in one statement and learns from the answer which it has lost (cancelled, taken over) or should
 * pause. When it cannot reach the database for as long as a lease lasts, it stops its tools by itself.
 */
import { EventEmitter } from 'node:events';
import { hostname } from 'node:os';
import { Logger as QueueLogger, type Runner, run, type TaskList, type WorkerEvents } from 'graphile-worker';
import { sql } from 'kysely';
import type pg from 'pg';
import { newId } from '../../base/ids.ts';
import { messageOf } from '../../base/problem.ts';
import type { PoolSettings } from '../../platform/db/db.ts';
import type { JobHandlers, JobName } from '../../platform/queue/queue.ts';
import { advanceRun, type Holder } from './advance.ts';
import { nowOf, type RunDeps } from './context.ts';
import type { Lease } from './lease.ts';

/**
 * What the pool of the queue is opened with. Its own writes need not survive the machine: a job that is claimed or
 * done twice finds nothing to do. Jobs are added elsewhere, with what they are about.
 */
export const queuePool: PoolSettings = { max: 20, relaxed: true };

export interface WorkerOptions {
  /** Opened with `queuePool`. */
  pool: pg.Pool;
  concurrency: number;
  leaseMs: number;
  /** Handlers of the jobs that belong to later features. */
  handlers: Omit<JobHandlers, 'run.advance'>;
  /** How long running steps may take to end after a request to stop, before they are killed. */
  drainMs: number;
}

interface Held {
  lease: Lease;
  abort: AbortController;
  pause: boolean;
}

export class Worker implements Holder, AsyncDisposable {
  readonly workerId = newId('wrk');
  readonly leaseMs: number;
  readonly #deps: RunDeps;
  readonly #options: WorkerOptions;
  readonly #held = new Map<string, Held>();
  /** Ids under which the queue locks jobs for this process: what is unlocked after its death. */
  readonly #queueIds = new Set<string>();
  #runner: Runner | null = null;
  #timer: NodeJS.Timeout | null = null;
  #beating: Promise<void> = Promise.resolve();
  #lastBeat = 0;
  #draining = false;

  constructor(deps: RunDeps, options: WorkerOptions) {
    this.#deps = deps;
    this.#options = options;
    this.leaseMs = options.leaseMs;
  }

  async start(): Promise<void> {
    const now = nowOf(this.#deps);
    await this.#deps.db
      .insertInto('workers')
      .values({
        id: this.workerId,
        host: hostname(),
        pid: process.pid,
        state: 'active',
        queue_worker_ids: [],
        started_at: now,
        heartbeat_at: now,
      })
      .execute();
    this.#lastBeat = now.getTime();
    const handlers: JobHandlers = {
      ...this.#options.handlers,
      'run.advance': ({ run_id }) => advanceRun(this.#deps, this, run_id),
    };
    const taskList: TaskList = {};
    for (const name of Object.keys(handlers) as JobName[]) {
      taskList[name] = (payload, helpers) =>
        (handlers[name] as (p: unknown, s: AbortSignal) => Promise<void>)(
          payload,
          helpers.abortSignal ?? new AbortController().signal,
        );
    }
    const events: WorkerEvents = new EventEmitter();
    events.on('pool:create', ({ workerPool }) => this.#queueIds.add(workerPool.id));
    this.#runner = await run({
      pgPool: this.#options.pool,
      concurrency: this.#options.concurrency,
      noHandleSignals: true,
      pollInterval: 1_000,
      taskList,
      parsedCronItems: [],
      // A finished job is taken from the queue with the others of the same moment: were it run again, it would find nothing to do.
      preset: { worker: { completeJobBatchDelay: 5 } },
      events,
      logger: new QueueLogger(() => (level, message) => {
        if (level === 'error' || level === 'warning')
          this.#deps.log.warn({ worker_id: this.workerId }, `queue: ${message}`);
      }),
    });
    await this.#beat();
    this.#schedule();
  }

  hold(lease: Lease): ReturnType<Holder['hold']> {
    const held: Held = { lease, abort: new AbortController(), pause: false };
    // After this process was frozen the run may come back to it: what was begun under the former lease ends now.
    this.#held.get(lease.runId)?.abort.abort(new Error('the lease is gone: taken again'));
    this.#held.set(lease.runId, held);
    return {
      signal: held.abort.signal,
      stopAtStep: () => (this.#draining ? 'drain' : held.pause ? 'pause' : null),
      release: () => {
        if (this.#held.get(lease.runId) === held) this.#held.delete(lease.runId);
      },
    };
  }

  #schedule(): void {
    const interval = Math.min(1_000, this.leaseMs / 4);
    this.#timer = setTimeout(() => {
      this.#beating = this.#beat().finally(() => {
        if (this.#timer) this.#schedule();
      });
    }, interval);
  }

  async #beat(): Promise<void> {
    const { db, log } = this.#deps;
    const now = nowOf(this.#deps);
    try {
      const state = this.#draining ? 'draining' : 'active';
      const alive = await db
        .updateTable('workers')
        .set({ heartbeat_at: now, state, queue_worker_ids: [...this.#queueIds] })
        .where('id', '=', this.workerId)
        .where('state', 'in', ['active', 'draining'])
        .returning('id')
        .executeTakeFirst();
      if (!alive) await this.#comeBack(now);
      await this.#renewLeases(now);
      this.#lastBeat = now.getTime();
    } catch (error) {
      log.warn({ worker_id: this.workerId, reason: messageOf(error) }, 'heartbeat failed');
      if (now.getTime() - this.#lastBeat > this.leaseMs)
        this.#abortAll('the database cannot be reached for longer than a lease lasts');
    }
  }

  /** Others took this worker for dead (it was frozen, or cut off). Its runs are theirs; it starts afresh. */
  async #comeBack(now: Date): Promise<void> {
    this.#deps.log.warn(
      { worker_id: this.workerId },
      'this worker was taken for dead; it goes on with nothing',
    );
    await this.#deps.db
      .updateTable('workers')
      .set({ heartbeat_at: now, state: 'active' })
      .where('id', '=', this.workerId)
      .execute();
  }

  async #renewLeases(now: Date): Promise<void> {
    if (this.#held.size === 0) return;
    const mine = [...this.#held.values()];
    const { rows } = await sql<{ id: string; fencing_token: number; stop_requested: string | null }>`
      update runs set lease_until = ${new Date(now.getTime() + this.leaseMs)} where worker_id = ${this.workerId} and state = 'running'
      returning id, fencing_token, stop_requested`.execute(this.#deps.db);
    const current = new Map(rows.map(row => [row.id, row]));
    for (const held of mine) {
      const row = current.get(held.lease.runId);
      if (row?.fencing_token !== held.lease.fencingToken)
        held.abort.abort(new Error('the lease is gone: cancelled, or taken over'));
      else held.pause = row.stop_requested === 'pause';
    }
  }

  #abortAll(reason: string): void {
    for (const held of this.#held.values()) held.abort.abort(new Error(reason));
  }

  /** Takes no more jobs, lets running steps end, kills what is not done in time, and gives the runs back. */
  async drain(): Promise<void> {
    if (this.#draining) return;
    this.#draining = true;
    const kill = setTimeout(() => this.#abortAll('the worker stops'), this.#options.drainMs);
    try {
      await this.#runner?.stop();
      while (this.#held.size > 0) await new Promise(resolve => setTimeout(resolve, 20));
    } finally {
      clearTimeout(kill);
      if (this.#timer) clearTimeout(this.#timer);
      this.#timer = null;
      await this.#beating;
    }
    await this.#deps.db
      .updateTable('workers')
      .set({ state: 'stopped' })
      .where('id', '=', this.workerId)
      .execute();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.drain();
  }
}
