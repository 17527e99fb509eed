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
  /** Below this the call makes no sense: nothing is held then. */
  minimumMicros: number;
}

/** Holds money on every budget of the chain. @returns micro-dollars held, or null when the minimum does not fit. */
export async function reserve(tx: Reader, actor: Actor, now: Date, hold: Hold): Promise<number | null> {
  const { rows } = await sql<{
    held: number | null;
  }>`select budget_reserve(${hold.key}, ${actor.organizationId}, ${hold.runId},
    ${hold.taskId}, ${hold.budgetIds}::text[], ${hold.wantedMicros}, ${hold.minimumMicros}, ${now}) as held`.execute(
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

/** Releases what a run still holds: its end, or a call that was never made. */
export async function releaseAll(tx: Tx, now: Date, runId: string): Promise<void> {
  const open = await tx
    .selectFrom('reservations')
    .select('idempotency_key')
    .where('run_id', '=', runId)
    .where('state', '=', 'open')
    .orderBy('idempotency_key')
    .execute();
  for (const { idempotency_key } of open) await settle(tx, now, idempotency_key, 0);
}

/** As a query: the budgets over a task: its own, those of all its ancestors, its project, its organization. Ids in order. */
export const budgetChain = (taskId: string): RawBuilder<{ id: string }> => sql`
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

export function listBudgets(db: Reader, actor: Actor): Promise<Row<'budgets'>[]> {
  return db
    .selectFrom('budgets')
    .selectAll()
    .where('organization_id', '=', actor.organizationId)
    .orderBy('id')
    .limit(1_000)
    .execute();
}
