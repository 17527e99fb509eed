/** Usage records: immutable lines of what a model call consumed and cost. A key is booked once. */
import { type RawBuilder, sql } from 'kysely';
import type { Reader, Tx } from '../../platform/db/db.ts';
import type { Row } from '../../platform/db/schema.ts';
import { costOf, type Price, type TokenCounts } from './prices.ts';

export interface UsageLine {
  key: string;
  task: Pick<Row<'tasks'>, 'id' | 'organization_id' | 'project_id' | 'root_task_id'>;
  runId: string;
  agentId: string;
  provider: string;
  model: string;
  tokens: TokenCounts;
  exact: boolean;
  price: Price | null;
}

/** Books a call. @returns its cost in micro-dollars, null when the model is unpriced. */
export async function bookUsage(tx: Tx, now: Date, line: UsageLine): Promise<number | null> {
  const cost = line.price ? costOf(line.price, line.tokens) : null;
  await tx
    .insertInto('usage_records')
    .values({
      organization_id: line.task.organization_id,
      project_id: line.task.project_id,
      task_id: line.task.id,
      root_task_id: line.task.root_task_id,
      run_id: line.runId,
      agent_id: line.agentId,
      idempotency_key: line.key,
      reservation_key: null,
      provider: line.provider,
      model: line.model,
      ...line.tokens,
      exact: line.exact,
      price_id: line.price?.id ?? null,
      cost_micros: cost,
      created_at: now,
    })
    .execute();
  return cost;
}

export interface UsageSum {
  calls: number;
  tokens: TokenCounts & { total: number };
  /** Micro-dollars of the priced calls. */
  cost_micros: number;
  /** Calls whose model had no price: their cost is not in the sum. */
  unpriced_calls: number;
}

/**
 * What a run, a task alone, the whole tree below a root task, or an organization has used.
 * @param visible condition on `usage_records.project_id` of what the asker may see.
 */
export async function sumUsage(
  db: Reader,
  by: { runId: string } | { taskId: string } | { rootTaskId: string } | { organizationId: string },
  visible: RawBuilder<boolean> = sql<boolean>`true`,
): Promise<UsageSum> {
  const [column, id] =
    'runId' in by
      ? ['run_id', by.runId]
      : 'taskId' in by
        ? ['task_id', by.taskId]
        : 'rootTaskId' in by
          ? ['root_task_id', by.rootTaskId]
          : ['organization_id', by.organizationId];
  const { rows } = await sql<Record<string, number>>`
    select count(*) as calls, coalesce(sum(input_tokens), 0) as input_tokens, coalesce(sum(cached_read_tokens), 0) as cached_read_tokens,
      coalesce(sum(cached_write_tokens), 0) as cached_write_tokens, coalesce(sum(output_tokens), 0) as output_tokens,
      coalesce(sum(reasoning_tokens), 0) as reasoning_tokens, coalesce(sum(cost_micros), 0) as cost_micros,
      count(*) filter (where cost_micros is null) as unpriced_calls
    from usage_records where ${sql.ref(column as string)} = ${id} and ${visible}
      ${'taskId' in by ? sql`and root_task_id = (select root_task_id from tasks where id = ${id})` : sql``}`.execute(
    db,
  );
  const r = rows[0] as Record<string, number>;
  const n = (name: string): number => Number(r[name] ?? 0);
  const tokens = {
    input_tokens: n('input_tokens'),
    cached_read_tokens: n('cached_read_tokens'),
    cached_write_tokens: n('cached_write_tokens'),
    output_tokens: n('output_tokens'),
    reasoning_tokens: n('reasoning_tokens'),
  };
  const total = Object.values(tokens).reduce((a, b) => a + b, 0);
  return {
    calls: n('calls'),
    tokens: { ...tokens, total },
    cost_micros: n('cost_micros'),
    unpriced_calls: n('unpriced_calls'),
  };
}
