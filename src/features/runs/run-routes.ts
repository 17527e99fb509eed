/** The one route made for agents: what the run is that their token is for, and what it has used. */
import { z } from 'zod';
import { Problem } from '../../base/problem.ts';
import type { Tenants } from '../../platform/db/db.ts';
import { problemResponses } from '../../platform/http/schemas.ts';
import type { Server } from '../../platform/http/server.ts';
import { sumUsage } from '../budgets/usage.ts';
import { principalOf } from '../identity/access.ts';

const runView = z
  .object({
    id: z.string(),
    agent_id: z.string(),
    state: z.string(),
    task: z.object({ id: z.string(), title: z.string(), state: z.string() }),
    usage: z.object({ calls: z.number().int(), tokens: z.number(), cost_micros: z.number() }),
  })
  .meta({ id: 'OwnRun' });

export function ownRunRoutes(server: Server, deps: { tenants: Tenants }): void {
  server.get(
    '/api/v1/run',
    {
      config: { permission: 'usage.read', agents: true },
      schema: {
        tags: ['runs'],
        summary: 'The run that the token of an agent is for, and what it has used',
        response: { 200: runView, ...problemResponses },
      },
    },
    async request => {
      const { actor, run } = principalOf(request);
      if (!run) throw new Problem('forbidden', 'agents_only', 'This is for agents: send the token of a run.');
      return deps.tenants.within(actor, async tx => {
        const row = await tx
          .selectFrom('runs as r')
          .innerJoin('tasks as t', 't.id', 'r.task_id')
          .where('r.id', '=', run.runId)
          .select(['r.id', 'r.agent_id', 'r.state', 't.id as task_id', 't.title'])
          .select('t.state as task_state')
          .executeTakeFirstOrThrow();
        const usage = await sumUsage(tx, { runId: run.runId });
        return {
          id: row.id,
          agent_id: row.agent_id,
          state: row.state,
          task: { id: row.task_id, title: row.title, state: row.task_state },
          usage: { calls: usage.calls, tokens: usage.tokens.total, cost_micros: usage.cost_micros },
        };
      });
    },
  );
}
