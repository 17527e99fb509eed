/**
 * The journal. A step is committed by one statement, hence in one transaction and one round trip: the fencing
 * check, the step, its usage record, the settlement of its reservation, its event, its audit record, and, when the
 * next thing is a model call, the reservation for that call. If the token is stale or the step is already there,
 * nothing of it happens.
 */
import { type RawBuilder, sql } from 'kysely';
import { newId } from '../../base/ids.ts';
import type { JsonObject } from '../../base/json.ts';
import type { Reader } from '../../platform/db/db.ts';
import type { Row } from '../../platform/db/schema.ts';
import { addJob } from '../../platform/queue/queue.ts';
import type { Hold } from '../budgets/budgets.ts';
import type { TokenCounts } from '../budgets/prices.ts';
import { movesInto } from '../tasks/task-states.ts';
import { type Lease, LeaseLost, subjectOf } from './lease.ts';
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
}

export interface StepExtras {
  usage?: StepUsage;
  /** Reservation for the model call that comes next. */
  hold?: Hold;
  /** The step hands in: the run has succeeded, the task goes to review. */
  handIn?: { decision: string; summary: string; deliveredCommit: string | null };
}

/** Name of the step `seq` of a run, the same at every attempt: what outside calls are made under. */
export const stepKey = (runId: string, seq: number): string => `${runId}:${seq}`;

/**
 * Appends a step. @returns micro-dollars held for the next call, null when it does not fit or none was asked for.
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
  const subject = subjectOf(lease);
  const eventData = {
    seq: step.seq,
    kind: step.kind,
    name: step.name,
    outcome: step.outcome,
    ...brief(step.data),
  };
  const { rows } = await sql<{ written: number; held: number | null }>`
    with ${extras.handIn ? reviewablePart(lease) : sql``} fenced as (
      update runs set step_count = step_count + 1, failure_count = 0, turn_count = turn_count + ${step.kind === 'model' ? 1 : 0}
        ${extras.handIn ? sql`, state = 'succeeded', ended_at = ${now}::timestamptz, worker_id = null, lease_until = null` : sql``}
      where id = ${lease.runId} and fencing_token = ${lease.fencingToken} and state = 'running' and step_count = ${step.seq}
        ${extras.handIn ? sql`and exists (select 1 from reviewable)` : sql``} returning id),
    step as (
      insert into steps (run_id, seq, organization_id, task_id, kind, name, call_id, outcome, data, idempotency_key, fencing_token, started_at, ended_at)
      select id, ${step.seq}::integer, ${actor.organizationId}, ${lease.taskId}, ${step.kind}, ${step.name}, ${step.call_id}, ${step.outcome},
        ${JSON.stringify(step.data)}::jsonb, ${step.idempotencyKey}, ${lease.fencingToken}::bigint, ${step.startedAt}::timestamptz, ${now}::timestamptz from fenced returning seq),
    event as (
      insert into events (organization_id, type, task_id, root_task_id, run_id, actor, request_id, data, created_at)
      select ${actor.organizationId}, 'step.finished', ${lease.taskId}, ${subject.root_task_id ?? null}, id, ${actor.id}, ${actor.requestId},
        ${JSON.stringify(eventData)}::jsonb, ${now}::timestamptz from fenced)
    ${step.kind === 'notice' ? sql`` : auditPart(lease, now, step)}
    ${extras.usage ? usagePart(lease, now, step, extras.usage) : sql``}
    ${intentPart(now, step)}
    ${extras.handIn ? handInPart(lease, now, extras.handIn) : sql``}
    select (select count(*) from step) as written,
      ${extras.usage ? sql`(select bool_or(closed) from settled)` : sql`true`} as settled,
      ${extras.handIn ? sql`(select count(*) from released) + (select count(*) from queued)` : sql`0`} as handed_in,
      ${extras.hold ? holdPart(lease, now, extras) : sql`null`} as held`.execute(db);
  if (rows[0]?.written !== 1) throw new LeaseLost(lease);
  return rows[0].held;
}

function auditPart(lease: Lease, now: Date, step: NewStep): RawBuilder<unknown> {
  const outcome = step.outcome === 'ok' ? 'ok' : step.outcome === 'refused' ? 'refused' : 'failed';
  return sql`, audit as (
    insert into audit_records (organization_id, actor, action, target, outcome, data, request_id, created_at)
    select ${lease.actor.organizationId}, ${lease.actor.id}, ${`${step.kind}.call`}, ${step.name}, ${outcome},
      ${JSON.stringify({ run_id: lease.runId, seq: step.seq })}::jsonb, ${lease.actor.requestId}, ${now}::timestamptz from fenced)`;
}

function usagePart(lease: Lease, now: Date, step: NewStep, usage: StepUsage): RawBuilder<unknown> {
  const t = usage.tokens;
  return sql`, used as (
    insert into usage_records (id, organization_id, project_id, task_id, root_task_id, run_id, agent_id, idempotency_key, provider, model,
      input_tokens, cached_read_tokens, cached_write_tokens, output_tokens, reasoning_tokens, exact, price_id, cost_micros, created_at)
    select ${newId('use', now.getTime())}, ${lease.actor.organizationId}, ${usage.projectId}, ${lease.taskId}, ${lease.rootTaskId}, id, ${usage.agentId},
      ${step.idempotencyKey}, ${usage.provider}, ${usage.model}, ${t.input_tokens}::bigint, ${t.cached_read_tokens}::bigint, ${t.cached_write_tokens}::bigint,
      ${t.output_tokens}::bigint, ${t.reasoning_tokens}::bigint, ${usage.exact}::boolean, ${usage.priceId}, ${usage.costMicros}::bigint, ${now}::timestamptz from fenced),
  settled as materialized (
    select budget_settle(${step.idempotencyKey}, ${usage.costMicros ?? 0}::bigint, ${now}::timestamptz) as closed from fenced)`;
}

/** Locks the task before the run, as everybody does who needs both, and only when it may go to review. */
function reviewablePart(lease: Lease): RawBuilder<unknown> {
  return sql`reviewable as (
    select id from tasks where id = ${lease.taskId} and state in (${sql.join(movesInto('in_review').map(state => sql.lit(state)))}) for update),`;
}

function handInPart(lease: Lease, now: Date, result: NonNullable<StepExtras['handIn']>): RawBuilder<unknown> {
  const { actor, taskId, rootTaskId, runId } = lease;
  return sql`, moved as (
    update tasks set state = 'in_review', waiting_on = null, state_reason = null, decision = ${result.decision}, summary = ${result.summary},
      delivered_commit = ${result.deliveredCommit}, updated_at = ${now}::timestamptz, version = version + 1
    from fenced where tasks.id = ${taskId} returning tasks.id),
  told as (
    insert into events (organization_id, type, task_id, root_task_id, run_id, actor, request_id, data, created_at)
    select ${actor.organizationId}, type, moved.id, ${rootTaskId}, ${runId}, ${actor.id}, ${actor.requestId},
      ${JSON.stringify({ decision: result.decision })}::jsonb, ${now}::timestamptz
    from moved cross join (values ('run.succeeded'), ('task.in_review')) as types (type)),
  released as materialized (
    select budget_settle(idempotency_key, 0, ${now}::timestamptz) from reservations where run_id = ${runId} and state = 'open' and exists (select 1 from fenced)),
  queued as materialized (select ${addJob('task.review', { task_id: taskId })} from moved)`;
}

function intentPart(now: Date, step: NewStep): RawBuilder<unknown> {
  if (step.kind !== 'tool') return sql``;
  return sql`, intent as (
    update intents set settled_at = ${now}::timestamptz where idempotency_key = ${step.idempotencyKey} and exists (select 1 from fenced))`;
}

/** Runs after the settlement: `case` sees to the order, since a reservation may need what was just released. */
function holdPart(lease: Lease, now: Date, extras: StepExtras): RawBuilder<unknown> {
  const hold = extras.hold as Hold;
  const reserve = sql`(select budget_reserve(${hold.key}, ${lease.actor.organizationId}, ${hold.runId}, ${hold.taskId}, ${hold.budgetIds}::text[],
    ${hold.wantedMicros}::bigint, ${hold.minimumMicros}::bigint, ${now}::timestamptz) from fenced)`;
  return extras.usage ? sql`case when (select count(*) from settled) > 0 then ${reserve} end` : reserve;
}

/** Small facts of a step for the event: enough for a live line, not the content. */
function brief(data: JsonObject): JsonObject {
  const shown: JsonObject = {};
  if (typeof data.text === 'string') shown.text = data.text.slice(0, 200);
  if (typeof data.cost_micros === 'number') shown.cost_micros = data.cost_micros;
  if (typeof data.content === 'string') shown.result = data.content.slice(0, 160);
  if (Array.isArray(data.content)) {
    const parts = data.content as JsonObject[];
    shown.tools = parts.filter(part => part.type === 'tool_call').map(part => part.name ?? '');
    const text = parts.find(part => part.type === 'text')?.text;
    if (typeof text === 'string') shown.text = text.slice(0, 200);
  }
  return shown;
}

/** Commits an intent before an effect whose repetition would matter. Found again after a crash. */
export async function declareIntent(
  db: Reader,
  lease: Lease,
  now: Date,
  seq: number,
  name: string,
): Promise<'new' | 'repeated'> {
  const { rows } = await sql<{ fresh: boolean }>`
    with fenced as (select id from runs where id = ${lease.runId} and fencing_token = ${lease.fencingToken} and state = 'running'),
    made as (
      insert into intents (idempotency_key, organization_id, run_id, seq, name, fencing_token, created_at)
      select ${stepKey(lease.runId, seq)}, ${lease.actor.organizationId}, id, ${seq}::integer, ${name}, ${lease.fencingToken}::bigint, ${now}::timestamptz from fenced
      on conflict (idempotency_key) do nothing returning 1)
    select (select count(*) from made) = 1 as fresh where exists (select 1 from fenced)`.execute(db);
  const row = rows[0];
  if (!row) throw new LeaseLost(lease);
  return row.fresh ? 'new' : 'repeated';
}

export function readSteps(db: Reader, runId: string): Promise<Row<'steps'>[]> {
  return db.selectFrom('steps').selectAll().where('run_id', '=', runId).orderBy('seq').execute();
}
