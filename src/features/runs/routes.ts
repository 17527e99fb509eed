/** Routes of dead letters: runs that could not go on, to inspect and to replay. */
import { z } from 'zod';
import { idPattern } from '../../base/ids.ts';
import { Problem } from '../../base/problem.ts';
import type { Clock } from '../../base/time.ts';
import type { Reader, Tenants } from '../../platform/db/db.ts';
import type { Row } from '../../platform/db/schema.ts';
import {
  cursorQuery,
  pageOf,
  problemResponses,
  time,
  timeOrNull,
  toPage,
} from '../../platform/http/schemas.ts';
import type { Server } from '../../platform/http/server.ts';
import { write } from '../../platform/http/write.ts';
import { actorOf, principalOf } from '../identity/access.ts';
import { ofTasksIn, type Principal } from '../identity/principal.ts';
import { taskFor } from '../tasks/task-access.ts';
import { retryTask } from '../tasks/tasks.ts';

const deadLetter = z
  .object({
    id: z.string(),
    task_id: z.string(),
    run_id: z.string(),
    code: z.string(),
    reason: z.string(),
    created_at: z.string(),
    replayed_at: z.string().nullable(),
  })
  .meta({ id: 'DeadLetter' });

const show = (row: Row<'dead_letters'>): z.output<typeof deadLetter> => ({
  id: row.id,
  task_id: row.task_id,
  run_id: row.run_id,
  code: row.code,
  reason: row.reason,
  created_at: time(row.created_at),
  replayed_at: timeOrNull(row.replayed_at),
});

const idParams = z.strictObject({ id: z.string().regex(idPattern('dl')) });

export function runRoutes(server: Server, deps: { tenants: Tenants; clock: Clock }): void {
  const { tenants, clock } = deps;
  const find = async (db: Reader, principal: Principal, id: string) => {
    const row = await db
      .selectFrom('dead_letters')
      .selectAll()
      .where('id', '=', id)
      .where('organization_id', '=', principal.actor.organizationId)
      .where(ofTasksIn(principal, 'run.read', 'dead_letters.task_id'))
      .executeTakeFirst();
    if (!row) throw new Problem('missing', 'dead_letter_missing', 'There is no such dead letter.');
    return row;
  };

  server.get(
    '/api/v1/dead-letters',
    {
      config: { permission: 'run.read' },
      schema: {
        tags: ['runs'],
        summary: 'Runs that could not go on, newest first; looking changes nothing',
        querystring: cursorQuery,
        response: { 200: pageOf(deadLetter), ...problemResponses },
      },
    },
    async request => {
      const { organizationId } = actorOf(request);
      const { cursor, limit } = request.query;
      const rows = await tenants.within({ organizationId }, tx => {
        let query = tx.selectFrom('dead_letters').selectAll().where('organization_id', '=', organizationId);
        query = query.where(ofTasksIn(principalOf(request), 'run.read', 'dead_letters.task_id'));
        if (cursor) query = query.where('id', '<', cursor);
        return query
          .orderBy('id', 'desc')
          .limit(limit + 1)
          .execute();
      });
      const page = toPage(rows, limit);
      return { ...page, items: page.items.map(show) };
    },
  );

  server.get(
    '/api/v1/dead-letters/:id',
    {
      config: { permission: 'run.read' },
      schema: {
        tags: ['runs'],
        summary: 'One dead letter',
        params: idParams,
        response: { 200: deadLetter, ...problemResponses },
      },
    },
    async request => {
      const { organizationId } = actorOf(request);
      return tenants.within({ organizationId }, async tx =>
        show(await find(tx, principalOf(request), request.params.id)),
      );
    },
  );

  server.post(
    '/api/v1/dead-letters/:id/replay',
    {
      config: { permission: 'run.replay' },
      schema: {
        tags: ['runs'],
        summary: 'Try the task again, from the top of its tree',
        params: idParams,
        response: { 200: deadLetter, ...problemResponses },
      },
    },
    async request => {
      const actor = actorOf(request);
      const now = new Date(clock.now());
      return write(tenants, actor, now, request, async tx => {
        const letter = await find(tx, principalOf(request), request.params.id);
        if (letter.replayed_at)
          throw new Problem('conflict', 'dead_letter_replayed', 'It was replayed already.');
        const task = await taskFor(tx, principalOf(request), 'run.replay', letter.task_id);
        await retryTask(tx, actor, now, task.root_task_id);
        const row = await tx
          .updateTable('dead_letters')
          .set({ replayed_at: now })
          .where('id', '=', letter.id)
          .returningAll()
          .executeTakeFirstOrThrow();
        return show(row);
      });
    },
  );
}
