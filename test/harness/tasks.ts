/** Opening a task straight in the database, for tests and measurements of what happens to it afterwards. */

import { createTask, type NewTask, type Task } from '../../src/features/tasks/tasks.ts';
import { transact } from '../../src/platform/db/db.ts';
import type { TestApp } from './app.ts';

/** A task for the coder, without checks or a repository. */
export async function openTask(guildhall: TestApp, more: Partial<NewTask> = {}): Promise<Task> {
  const { db } = guildhall.database;
  const { organizationId, projectId } = guildhall.app.installation;
  const coder = await db
    .selectFrom('agents')
    .select('id')
    .where('name', '=', 'coder')
    .executeTakeFirstOrThrow();
  const brief = {
    requirements: [],
    out_of_scope: [],
    inputs: [],
    expected_outputs: [],
    acceptance_criteria: [],
  };
  return transact(db, tx =>
    createTask(tx, { id: 'system', organizationId, requestId: 'req_test' }, new Date(), {
      projectId,
      agentId: coder.id,
      title: 'test',
      kind: 'work',
      brief: { objective: 'test', ...brief },
      checks: [],
      source: null,
      baseCommit: null,
      maxTurns: 20,
      deadlineAt: new Date(Date.now() + 3_600_000),
      budgetMicros: null,
      dependsOn: [],
      ...more,
    }),
  );
}
