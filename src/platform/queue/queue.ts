/**
 * The queue: names of jobs with their payloads, and how to enqueue one inside a transaction. A job says only
 * "look at this row"; the row decides what happens. Equal keys fold into one job, so waking twice is waking once.
 */
import { sql } from 'kysely';
import type { Reader } from '../db/db.ts';

export interface Jobs {
  'run.advance': { run_id: string };
  'task.review': { task_id: string };
}

export type JobName = keyof Jobs;
export type JobHandler<Name extends JobName> = (payload: Jobs[Name], signal: AbortSignal) => Promise<void>;
export type JobHandlers = { [Name in JobName]: JobHandler<Name> };

export interface EnqueueOptions {
  /** Earliest start; default at once. */
  runAt?: Date;
  /** Smaller is sooner; default 0. */
  priority?: number;
}

/** Adds a job in the caller's transaction: it exists exactly when the transaction commits. */
export async function enqueue<Name extends JobName>(
  tx: Reader,
  name: Name,
  payload: Jobs[Name],
  options: EnqueueOptions = {},
): Promise<void> {
  const key = `${name}:${Object.values(payload)[0]}`;
  await sql`select graphile_worker.add_job(
    ${name}, payload := ${JSON.stringify(payload)}::json, job_key := ${key}, max_attempts := 25,
    run_at := ${options.runAt ?? null}::timestamptz, priority := ${options.priority ?? 0}::integer)`.execute(
    tx,
  );
}
