/**
 * Budgets: limits over money in a chain of scopes (organization → project → every task up to the root). Money is
 * held before a call and settled exactly once after it; every budget of the chain must admit it. The arithmetic
 * and the locks are two functions in the database (migration 0001): a caller cannot get them half right.
 */
import { type RawBuilder, sql } from 'kysely';
import { newId } from '../../base/ids.ts';
import { Problem } from '../../base/problem.ts';
import type { Reader, Tx } from '../../platform/db/db.ts';
import type { Row } from '../../platform/db/schema.ts';
import { type Actor, appendAudit, appendEvent } from '../../platform/journal/facts.ts';
import { enqueue } from '../../platform/queue/queue.ts';

export type BudgetScope = Row<'budgets'>['scope'];

export interface Hold {
  /** Names the call; reserving twice under one key is reserving once. */
  key: string;
  runId: string;
  taskId: string;
  budgetIds: string[];
  /** Micro-dollars that the call may cost at most. */
  wantedMicros: number;
  /** Micro-dollars for it and the calls after it, taken where the budgets have plenty left. Default: only the call. */
  chunkMicros?: number;
  /** Below this the call makes no sense: nothing is held then. */
  minimumMicros: number;
}

/** Holds money on every budget of the chain. @returns micro-dollars held, or null when the minimum does not fit. */
export async function reserve(tx: Reader, actor: Actor, now: Date, hold: Hold): Promise<number | null> {
  const { rows } = await sql<{
    held: number | null;
  }>`select budget_reserve(${hold.key}, ${actor.organizationId}, ${hold.runId},
    ${hold.taskId}, ${hold.budgetIds}::text[], ${hold.chunkMicros ?? hold.wantedMicros}, ${hold.wantedMicros}, ${hold.minimumMicros}, ${now}) as held`.execute(
    tx,
  );
  return rows[0]?.held ?? null;
}

/** Closes a reservation: books `spentMicros` and releases the rest. @returns false when it was closed before. */
export async function settle(tx: Reader, now: Date, key: string, spentMicros: number): Promise<boolean> {
  const { rows } = await sql<{
    closed: boolean;
  }>`select budget_settle(${key}, ${spentMicros}, ${now}) as closed`.execute(tx);
  return rows[0]?.closed ?? false;
}

/** Books what was spent without a reservation of its own, even beyond the limit: it was spent. */
export async function charge(tx: Tx, budgetIds: string[], spentMicros: number): Promise<void> {
  await sql`with locked as (select id from budgets where id = any (${budgetIds}::text[]) order by id for update)
    update budgets set spent_micros = spent_micros + ${spentMicros} where id in (select id from locked)`.execute(
    tx,
  );
}

/** Closes every open reservation of a run with what its usage records say. @returns how many there were. */
export async function closeReservations(tx: Reader, now: Date, runId: string): Promise<number> {
  const { rows } = await sql`select budget_close(idempotency_key, ${now}) from
    (select idempotency_key from reservations where run_id = ${runId} and state = 'open' order by idempotency_key) mine`.execute(
    tx,
  );
  return rows.length;
}

/** As a query: the budgets over a task: its own, those of all its ancestors, its project, its organization. Ids in order. */
export const budgetChain = (taskId: string | RawBuilder<unknown>): RawBuilder<{ id: string }> => sql`
    with recursive up as (
      select id, parent_task_id, project_id, organization_id from tasks where id = ${taskId}
      union all
      select t.id, t.parent_task_id, t.project_id, t.organization_id from tasks t join up on t.id = up.parent_task_id
    )
    select b.id from (
      select 'task' as scope, id as scope_id from up
      union all select 'project', project_id from tasks where id = ${taskId}
      union all select 'organization', organization_id from tasks where id = ${taskId}
    ) over_it join budgets b using (scope, scope_id)
    order by b.id`;

export interface BudgetInput {
  scope: BudgetScope;
  scopeId: string;
  limitMicros: number;
}

/** Sets or changes a limit and wakes the runs that wait for money. */
export async function setBudget(
  tx: Tx,
  actor: Actor,
  now: Date,
  input: BudgetInput,
): Promise<Row<'budgets'>> {
  const row = await tx
    .insertInto('budgets')
    .values({
      id: newId('bud'),
      organization_id: actor.organizationId,
      scope: input.scope,
      scope_id: input.scopeId,
      limit_micros: input.limitMicros,
      created_at: now,
    })
    .onConflict(oc => oc.columns(['scope', 'scope_id']).doUpdateSet({ limit_micros: input.limitMicros }))
    .returningAll()
    .executeTakeFirstOrThrow();
  if (row.organization_id !== actor.organizationId)
    throw new Problem('missing', 'budget_missing', 'There is no such scope.');
  await appendAudit(tx, actor, now, 'budget.set', row.id, 'ok', {
    scope: input.scope,
    scope_id: input.scopeId,
    limit_micros: input.limitMicros,
  });
  await appendEvent(
    tx,
    actor,
    now,
    'budget.set',
    {},
    { scope: input.scope, scope_id: input.scopeId, limit_micros: input.limitMicros },
  );
  await wakeBudgetWaiters(tx, actor);
  return row;
}

/** Runs that wait for money look again; those that still do not fit go on waiting. */
export async function wakeBudgetWaiters(tx: Tx, actor: Actor): Promise<void> {
  const waiting = await tx
    .selectFrom('runs')
    .select('id')
    .where('organization_id', '=', actor.organizationId)
    .where('state', '=', 'waiting')
    .where(sql<boolean>`waiting_on ->> 'kind' = 'budget'`)
    .limit(1_000)
    .execute();
  for (const run of waiting) await enqueue(tx, 'run.advance', { run_id: run.id });
}

/** Wakes the runs whose next call would fit by now, since others have released what they held. @returns how many. */
export async function wakeFittingRuns(tx: Tx, limit: number): Promise<number> {
  const { rows } = await sql<{ id: string }>`
    select r.id from runs r where r.state = 'waiting' and r.waiting_on ->> 'kind' = 'budget'
      and not exists (
        select 1 from budgets b where b.id in (select jsonb_array_elements_text(r.waiting_on -> 'budget_ids'))
          and b.limit_micros - b.spent_micros - b.reserved_micros < (r.waiting_on ->> 'minimum_micros')::bigint)
      and r.waiting_on ->> 'minimum_micros' is not null
    order by r.id limit ${limit}`.execute(tx);
  for (const run of rows) await enqueue(tx, 'run.advance', { run_id: run.id });
  return rows.length;
}

/** Newest first, at most `limit`, older than the budget `before`. */
export function listBudgets(
  db: Reader,
  actor: Actor,
  page: { before?: string; limit: number; visible?: RawBuilder<boolean> },
): Promise<Row<'budgets'>[]> {
  let query = db.selectFrom('budgets').selectAll().where('organization_id', '=', actor.organizationId);
  if (page.visible) query = query.where(page.visible);
  if (page.before) query = query.where('id', '<', page.before);
  return query.orderBy('id', 'desc').limit(page.limit).execute();
}
