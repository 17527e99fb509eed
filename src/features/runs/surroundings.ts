/** What other people may change while a run goes on: limits over it, rules, messages to it. One query a second at most. */
import { type RawBuilder, sql } from 'kysely';
import type { Reader } from '../../platform/db/db.ts';
import { budgetChain } from '../budgets/budgets.ts';
import type { PolicyRule } from '../tools/policy.ts';
import type { Activity } from './context.ts';

export interface Surroundings {
  readAt: number;
  budgetIds: string[];
  rules: PolicyRule[];
  /** Whether a colleague's message waits to be shown. */
  unread: boolean;
}

export interface SurroundingsRow {
  budget_ids: string[];
  rules: PolicyRule[];
  unread: boolean;
}

/** How old what is known may be, in milliseconds of the clock. */
const lifeMs = 1_000;

/** As columns of a query: the surroundings of a task. @param name what the query calls its row of `tasks`. */
export const surroundingsOfRow = (name: string): RawBuilder<unknown> => {
  const column = (of: string) => sql.ref(`${name}.${of}`);
  return sql`array(${budgetChain(column('id'))}) as budget_ids,
    (select coalesce(json_agg(p order by p.position), '[]') from tool_policies p where p.organization_id = ${column('organization_id')}) as rules,
    exists (select 1 from messages m join tasks mt on mt.id = m.task_id
      where m.recipient_agent_id = ${column('agent_id')} and m.read_at is null and mt.root_task_id = ${column('root_task_id')}) as unread`;
};

export const toSurroundings = (now: number, row: SurroundingsRow): Surroundings => ({
  readAt: now,
  budgetIds: row.budget_ids,
  rules: row.rules,
  unread: row.unread,
});

async function readSurroundings(db: Reader, now: number, taskId: string): Promise<Surroundings> {
  const { rows } = await sql<SurroundingsRow>`
    select ${surroundingsOfRow('t')} from tasks t where t.id = ${taskId}`.execute(db);
  return toSurroundings(now, rows[0] as SurroundingsRow);
}

/** The surroundings of an activity, read anew when they are older than a second. */
export async function surroundingsOf(activity: Activity): Promise<Surroundings> {
  const now = activity.deps.clock.now();
  if (now - activity.surroundings.readAt >= lifeMs) {
    activity.surroundings = await readSurroundings(activity.deps.db, now, activity.task.id);
  }
  return activity.surroundings;
}
