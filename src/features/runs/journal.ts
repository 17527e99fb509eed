/**
 * The journal. A step is committed by one statement, hence in one transaction and one round trip: the fencing
 * check, the step (which is also the event and the audit record of its call), its usage record, and, when money for
 * the next model call is wanted, the reservation for it. If the token is stale or the step is already there, nothing
 * of it happens. This is the hottest statement there is: its few shapes are built once, and PostgreSQL keeps their
 * plans.
 */
import { CompiledQuery, sql } from 'kysely';
import type { Reader } from '../../platform/db/db.ts';
import type { Row } from '../../platform/db/schema.ts';
import type { Hold } from '../budgets/budgets.ts';
import type { TokenCounts } from '../budgets/prices.ts';
import { movesInto } from '../tasks/task-states.ts';
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
  usage?: StepUsage;
  /** Reservation for the model calls that come next; the one under `closing` is settled with it. */
  hold?: { hold: Hold; closing: string | null };
  /** The step hands in: the run has succeeded, the task goes to review. `review`: a job is to decide there. */
  handIn?: { decision: string; summary: string; deliveredCommit: string | null; review: boolean };
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
  if (extras.usage) values.push(...usageValues(extras.usage));
  else if (extras.hold) values.push(...holdValues(extras.hold));
  else if (extras.handIn) values.push(...handInValues(extras.handIn, lease));
  const shape = extras.usage
    ? 'usage'
    : extras.hold
      ? 'hold'
      : extras.handIn
        ? 'handIn'
        : step.name === 'notice'
          ? 'notice'
          : 'plain';
  const { rows } = await db.executeQuery(
    CompiledQuery.raw(statements[shape], values) as CompiledQuery<Written>,
  );
  const row = rows[0];
  if (row?.written !== 1) throw new LeaseLost(lease);
  return row.held;
}

interface Written {
  written: number;
  held: number | null;
}

const fenced = (more: { set?: string; where?: string } = {}): string => `fenced as (
  update runs set step_count = step_count + 1, failure_count = 0, turn_count = turn_count + case when $7 = 'model' then 1 else 0 end ${more.set ?? ''}
  where id = $1 and fencing_token = $2::bigint and state = 'running' and step_count = $3::integer ${more.where ?? ''} returning id)`;

const inserted = `step as (
  insert into steps (run_id, seq, organization_id, task_id, root_task_id, kind, name, call_id, outcome, data, idempotency_key,
    fencing_token, actor, request_id, started_at, ended_at)
  select id, $3::integer, $4, $5, $6, $7, $8, $9, $10, $11::jsonb, $12, $2::bigint, $13, $14, $15::timestamptz, $16::timestamptz
  from fenced returning seq)`;

const statements = {
  plain: `with ${fenced()}, ${inserted} select count(*) as written, null::bigint as held from step`,
  // A notice need not survive the machine by itself: it is composed again, and the step after it takes it along.
  notice: `with ${fenced()}, ${inserted} select count(*) as written, null::bigint as held, set_config('synchronous_commit', 'off', true) from step`,
  usage: `with ${fenced()}, ${inserted}, used as (
    insert into usage_records (idempotency_key, organization_id, project_id, task_id, root_task_id, run_id, agent_id, reservation_key, provider,
      model, input_tokens, cached_read_tokens, cached_write_tokens, output_tokens, reasoning_tokens, exact, price_id, cost_micros, created_at)
    select $12, $4, $17, $5, $6, $1, $18, $19, $20, $21, $22::bigint, $23::bigint, $24::bigint, $25::bigint, $26::bigint, $27::boolean, $28,
      $29::bigint, $16::timestamptz from fenced)
    select count(*) as written, null::bigint as held from step`,
  hold: `with ${fenced()}, ${inserted},
    closed as materialized (select budget_close($17, $16::timestamptz) as closed from fenced)
    select (select count(*) from step) as written,
      case when (select count(*) from closed) > 0 then
        budget_reserve($18, $4, $1, $5, $19::text[], $20::bigint, $21::bigint, $22::bigint, $16::timestamptz) end as held`,
  handIn: `with reviewable as (
      select id from tasks where id = $5 and state in (${movesInto('in_review')
        .map(state => `'${state}'`)
        .join(', ')}) for update),
    ${fenced({
      set: `, state = 'succeeded', ended_at = $16::timestamptz, worker_id = null, lease_until = null, waiting_on = null`,
      where: 'and exists (select 1 from reviewable)',
    })}, ${inserted},
    moved as (
      update tasks set state = 'in_review', waiting_on = null, state_reason = null, decision = $17, summary = $18, delivered_commit = $19,
        updated_at = $16::timestamptz, version = version + 1
      from fenced where tasks.id = $5 returning tasks.id),
    told as (
      insert into events (organization_id, type, task_id, root_task_id, run_id, actor, request_id, data, created_at)
      select $4, type, $5, $6, $1, $13, $14, jsonb_build_object('decision', $17::text), $16::timestamptz
      from moved cross join (values ('run.succeeded'), ('task.in_review')) as types (type)),
    closed as materialized (
      select budget_close(idempotency_key, $16::timestamptz) from reservations where run_id = $1 and state = 'open' and exists (select 1 from fenced)),
    queued as materialized (
      select graphile_worker.add_job('task.review', payload := $20::json, job_key := $21, max_attempts := 25) from moved where $22::boolean)
    select (select count(*) from step) as written, null::bigint as held, (select count(*) from closed) + (select count(*) from queued) as done`,
} as const;

function usageValues(usage: StepUsage): unknown[] {
  const t = usage.tokens;
  return [
    usage.projectId,
    usage.agentId,
    usage.reservationKey,
    usage.provider,
    usage.model,
    t.input_tokens,
    t.cached_read_tokens,
    t.cached_write_tokens,
    t.output_tokens,
    t.reasoning_tokens,
    usage.exact,
    usage.priceId,
    usage.costMicros,
  ];
}

function holdValues({ hold, closing }: NonNullable<StepExtras['hold']>): unknown[] {
  const chunk = hold.chunkMicros ?? hold.wantedMicros;
  return [closing ?? '', hold.key, hold.budgetIds, chunk, hold.wantedMicros, hold.minimumMicros];
}

function handInValues(result: NonNullable<StepExtras['handIn']>, lease: Lease): unknown[] {
  const job = [JSON.stringify({ task_id: lease.taskId }), `task.review:${lease.taskId}`, result.review];
  return [result.decision, result.summary, result.deliveredCommit, ...job];
}

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
