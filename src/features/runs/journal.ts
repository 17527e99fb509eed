/**
 * The journal. A step is committed by one statement, hence in one transaction and one round trip: the fencing
 * check, the step (which is also the event and the audit record of its call), its usage record, and what else becomes
 * true with it. If the token is stale or the step is already there, nothing of it happens. Steps that bring nothing
 * but themselves are committed several at a time (journal-batch.ts); here are those with consequences: money held
 * for the next model call, the end of the run. PostgreSQL keeps the plans of these few statements.
 */
import { CompiledQuery, sql } from 'kysely';
import type { Reader } from '../../platform/db/db.ts';
import type { Row } from '../../platform/db/schema.ts';
import type { Hold } from '../budgets/budgets.ts';
import type { TokenCounts } from '../budgets/prices.ts';
import { movesInto, openStates } from '../tasks/task-states.ts';
import { type Lease, LeaseLost } from './lease.ts';
import type { Step } from './transcript.ts';

export interface NewStep extends Step {
  idempotencyKey: string;
  startedAt: Date;
}

export interface StepUsage {
  provider: string;
  model: string;
  tokens: TokenCounts;
  exact: boolean;
  priceId: string | null;
  /** Null: the model is unpriced. */
  costMicros: number | null;
  projectId: string;
  agentId: string;
  /** Reservation that pays for it; null: no budget is over the task. */
  reservationKey: string | null;
}

export interface StepExtras {
  /** Reservation for the model calls that come next; the one under `closing` is settled with it. */
  hold?: { hold: Hold; closing: string | null };
  handIn?: HandIn;
}

/** The step hands in: the run has succeeded. */
export interface HandIn {
  decision: string;
  summary: string;
  deliveredCommit: string | null;
  /** Why the task has failed with it, with nothing to review. */
  reason?: string;
}

/** Name of the step `seq` of a run, the same at every attempt: what outside calls are made under. */
export const stepKey = (runId: string, seq: number): string => `${runId}:${seq}`;

/**
 * Appends a step. @returns micro-dollars held for the next calls, null when they do not fit or none were asked for.
 * @throws LeaseLost when this worker may not write for the run any more.
 */
export async function commitStep(
  db: Reader,
  lease: Lease,
  now: Date,
  step: NewStep,
  extras: StepExtras = {},
): Promise<number | null> {
  const { actor } = lease;
  const values: unknown[] = [
    lease.runId,
    lease.fencingToken,
    step.seq,
    actor.organizationId,
    lease.taskId,
    lease.rootTaskId,
    step.kind,
    step.name,
    step.call_id,
    step.outcome,
    JSON.stringify(step.data),
    step.idempotencyKey,
    actor.id,
    actor.requestId,
    step.startedAt,
    now,
  ];
  if (extras.hold) values.push(...holdValues(extras.hold));
  else if (extras.handIn) values.push(...handInValues(extras.handIn));
  const { rows } = await db.executeQuery(
    CompiledQuery.raw(statements[shapeOf(step, extras)], values) as CompiledQuery<Written>,
  );
  const row = rows[0];
  if (row?.written !== 1) throw new LeaseLost(lease);
  return row.held;
}

function shapeOf(step: NewStep, { hold, handIn }: StepExtras): keyof typeof statements {
  if (hold) return step.seq === 0 ? 'opening' : 'hold';
  if (handIn) return handIn.reason === undefined ? 'handIn' : 'giveUp';
  return 'plain';
}

interface Written {
  written: number;
  held: number | null;
}

const mine = `id = $1 and fencing_token = $2::bigint and state = 'running'`;

/** The run, locked and not rewritten: only a series of failures that ends here changes it. */
const fenced = `fenced as materialized (select id, failure_count from runs where ${mine} for share),
  recovered as (update runs set failure_count = 0 from fenced where runs.id = fenced.id and fenced.failure_count > 0)`;

const inserted = `step as (
  insert into steps (run_id, seq, organization_id, task_id, root_task_id, kind, name, call_id, outcome, data, idempotency_key,
    fencing_token, actor, request_id, started_at, ended_at)
  select id, $3::integer, $4, $5, $6, $7, $8, $9, $10, $11::jsonb, $12, $2::bigint, $13, $14, $15::timestamptz, $16::timestamptz
  from fenced on conflict (run_id, seq) do nothing returning seq)`;

/**
 * The run has succeeded; its task goes to review, or, given up with nothing to check, ends at once. That only where
 * nothing else hangs on the task: no parent that waits, no open child, nobody who depends on it.
 */
function handedIn(to: 'in_review' | 'failed'): string {
  const states = movesInto('in_review').map(state => `'${state}'`);
  const alone = `and parent_run_id is null and not exists (select 1 from tasks c where c.parent_task_id = $5 and c.state in (${openStates.map(state => `'${state}'`).join(', ')}))
      and not exists (select 1 from task_dependencies where depends_on = $5)`;
  const ended = to === 'failed';
  return `with movable as (
      select id from tasks where id = $5 and state in (${states.join(', ')}) ${ended ? alone : ''} for update),
    fenced as (
      update runs set state = 'succeeded', failure_count = 0, ended_at = $16::timestamptz, worker_id = null, lease_until = null, waiting_on = null
      where ${mine} and exists (select 1 from movable) returning id),
    ${inserted},
    moved as (
      update tasks set state = '${to}', waiting_on = null, state_reason = $20, decision = $17, summary = $18, delivered_commit = $19,
        updated_at = $16::timestamptz, version = version + 1 ${ended ? ', ended_at = $16::timestamptz' : ''}
      from fenced where tasks.id = $5 returning tasks.id),
    told as (
      insert into events (organization_id, type, task_id, root_task_id, run_id, actor, request_id, data, created_at)
      select $4, type, $5, $6, $1, $13, $14, jsonb_strip_nulls(jsonb_build_object('decision', $17::text, 'reason', $20::text)), $16::timestamptz
      from moved cross join (values ('run.succeeded'), ('task.${to}')) as types (type)),
    ${
      ended
        ? `audited as (
      insert into audit_records (organization_id, actor, action, target, outcome, data, request_id, created_at)
      select $4, $13, 'task.end', $5, 'failed', jsonb_build_object('state', 'failed', 'decision', $17::text), $14, $16::timestamptz from moved),`
        : `queued as materialized (
      select graphile_worker.add_job('task.review', payload := json_build_object('task_id', $5::text), job_key := 'task.review:' || $5::text,
        max_attempts := 25) from moved),`
    }
    closed as materialized (
      select budget_close(idempotency_key, $16::timestamptz) from reservations where run_id = $1 and state = 'open' and exists (select 1 from fenced))
    select (select count(*) from step) as written, null::bigint as held, (select count(*) from closed) ${ended ? '' : '+ (select count(*) from queued)'} as done`;
}

/** A step with the money for the model calls after it. @param more column to select besides. */
const hold = (more = ''): string => `with ${fenced}, ${inserted},
  closed as materialized (
    select case when $17 <> '' then budget_close($17, $16::timestamptz) end as closed from fenced)
  select (select count(*) from step) as written,
    case when (select count(*) from closed) > 0 then
      budget_reserve($18, $4, $1, $5, $19::text[], $20::bigint, $21::bigint, $22::bigint, $16::timestamptz) end as held ${more}`;

const statements = {
  plain: `with ${fenced}, ${inserted} select count(*) as written, null::bigint as held from step`,
  /** An opening need not survive the machine by itself: it is composed again, and what comes after takes it along. */
  opening: hold(", set_config('synchronous_commit', 'off', true)"),
  hold: hold(),
  handIn: handedIn('in_review'),
  giveUp: handedIn('failed'),
} as const;

function holdValues({ hold, closing }: NonNullable<StepExtras['hold']>): unknown[] {
  const chunk = hold.chunkMicros ?? hold.wantedMicros;
  return [closing ?? '', hold.key, hold.budgetIds, chunk, hold.wantedMicros, hold.minimumMicros];
}

const handInValues = (result: HandIn): unknown[] => [
  result.decision,
  result.summary,
  result.deliveredCommit,
  result.reason ?? null,
];

/** Commits, before an effect whose repetition would matter, how to see that it has happened. */
export async function declareIntent(
  db: Reader,
  lease: Lease,
  now: Date,
  seq: number,
  name: string,
  effect: string,
): Promise<void> {
  const { rows } = await sql`
    insert into intents (idempotency_key, organization_id, run_id, seq, name, fencing_token, created_at, effect)
    select ${stepKey(lease.runId, seq)}, ${lease.actor.organizationId}, id, ${seq}::integer, ${name}, ${lease.fencingToken}::bigint,
      ${now}::timestamptz, ${effect} from runs
    where id = ${lease.runId} and fencing_token = ${lease.fencingToken} and state = 'running'
    on conflict (idempotency_key) do update set effect = excluded.effect, fencing_token = excluded.fencing_token
    returning 1`.execute(db);
  if (rows.length === 0) throw new LeaseLost(lease);
}

/** What a former attempt at a step declared, or null. */
export async function recallIntent(db: Reader, lease: Lease, seq: number): Promise<string | null> {
  const row = await db
    .selectFrom('intents')
    .select('effect')
    .where('idempotency_key', '=', stepKey(lease.runId, seq))
    .executeTakeFirst();
  return row?.effect ?? null;
}

export function readSteps(db: Reader, runId: string): Promise<Row<'steps'>[]> {
  return db.selectFrom('steps').selectAll().where('run_id', '=', runId).orderBy('seq').execute();
}
