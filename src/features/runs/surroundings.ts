/** What other people may change while a run goes on: limits over it, rules, messages to it. One query a second at most. */
import { sql } from 'kysely';
import type { Reader } from '../../platform/db/db.ts';
import { budgetChain } from '../budgets/budgets.ts';
import type { Task } from '../tasks/tasks.ts';
import type { PolicyRule } from '../tools/policy.ts';
import type { Activity, Surroundings } from './context.ts';

/** How old what is known may be, in milliseconds of the clock. */
const lifeMs = 1_000;

export async function readSurroundings(db: Reader, now: number, task: Task): Promise<Surroundings> {
  const { rows } = await sql<{ budget_ids: string[]; rules: PolicyRule[]; unread: boolean }>`
    select array(${budgetChain(task.id)}) as budget_ids,
      (select coalesce(json_agg(p order by p.position), '[]') from tool_policies p where p.organization_id = ${task.organization_id}) as rules,
      exists (select 1 from messages m join tasks t on t.id = m.task_id
        where m.recipient_agent_id = ${task.agent_id} and m.read_at is null and t.root_task_id = ${task.root_task_id}) as unread`.execute(
    db,
  );
  const row = rows[0];
  return {
    readAt: now,
    budgetIds: row?.budget_ids ?? [],
    rules: row?.rules ?? [],
    unread: row?.unread ?? false,
  };
}

/** The surroundings of an activity, read anew when they are older than a second. */
export async function surroundingsOf(activity: Activity): Promise<Surroundings> {
  const now = activity.deps.clock.now();
  if (now - activity.surroundings.readAt >= lifeMs) {
    activity.surroundings = await readSurroundings(activity.deps.db, now, activity.task);
  }
  return activity.surroundings;
}
