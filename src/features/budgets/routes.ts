/** Routes of money: budgets, usage, prices. */
import { type RawBuilder, sql } from 'kysely';
import { z } from 'zod';
import { Problem } from '../../base/problem.ts';
import type { Clock } from '../../base/time.ts';
import type { Tenants, Tx } from '../../platform/db/db.ts';
import type { Row } from '../../platform/db/schema.ts';
import { longPageQuery, pageOf, problemResponses, time, toPage } from '../../platform/http/schemas.ts';
import type { Server } from '../../platform/http/server.ts';
import { write } from '../../platform/http/write.ts';
import { appendAudit } from '../../platform/journal/facts.ts';
import { actorOf, principalOf } from '../identity/access.ts';
import {
  inProjects,
  may,
  ofTasksIn,
  type Principal,
  permissionMissing,
  requireMay,
} from '../identity/principal.ts';
import { listBudgets, setBudget, wakeBudgetWaiters } from './budgets.ts';
import { addPrice, lockPrices } from './prices.ts';
import { sumUsage } from './usage.ts';

const budgetView = z
  .object({
    id: z.string(),
    scope: z.enum(['organization', 'project', 'task']),
    scope_id: z.string(),
    limit_micros: z.number(),
    spent_micros: z.number(),
    reserved_micros: z.number(),
  })
  .meta({ id: 'Budget' });

const show = (b: Row<'budgets'>): z.output<typeof budgetView> => ({
  id: b.id,
  scope: b.scope,
  scope_id: b.scope_id,
  limit_micros: b.limit_micros,
  spent_micros: b.spent_micros,
  reserved_micros: b.reserved_micros,
});

const dollarsPerMillion = z.number().min(0).max(10_000).describe('Dollars per million tokens.');
const priceBody = z.strictObject({
  provider: z.string().min(1).max(100),
  model: z.string().min(1).max(200),
  input_usd: dollarsPerMillion,
  output_usd: dollarsPerMillion,
  cached_read_usd: dollarsPerMillion.optional().describe('Default: as input.'),
  cached_write_usd: dollarsPerMillion.optional().describe('Default: as input.'),
  source: z.string().min(1).max(500),
});

export function budgetRoutes(server: Server, deps: { tenants: Tenants; clock: Clock }): void {
  const { tenants, clock } = deps;
  const now = () => new Date(clock.now());

  server.get(
    '/api/v1/budgets',
    {
      config: { permission: 'budget.read' },
      schema: {
        tags: ['money'],
        summary: 'List budgets, newest first',
        querystring: longPageQuery,
        response: { 200: pageOf(budgetView), ...problemResponses },
      },
    },
    async request => {
      const actor = actorOf(request);
      const { cursor, limit } = request.query;
      const rows = await tenants.within(actor, tx =>
        listBudgets(tx, actor, {
          before: cursor,
          limit: limit + 1,
          visible: visibleBudgets(principalOf(request)),
        }),
      );
      const page = toPage(rows, limit);
      return { ...page, items: page.items.map(show) };
    },
  );

  server.put(
    '/api/v1/budgets',
    {
      config: { permission: 'budget.manage' },
      schema: {
        tags: ['money'],
        summary: 'Set the limit of a scope; what waits for money goes on when it fits now',
        body: z.strictObject({
          scope: z.enum(['organization', 'project', 'task']),
          scope_id: z.string().min(1).max(40),
          limit_usd: z.number().min(0).max(10_000_000),
        }),
        response: { 200: budgetView, ...problemResponses },
      },
    },
    async request => {
      const actor = actorOf(request);
      const { scope, scope_id: scopeId, limit_usd: limit } = request.body;
      return write(tenants, actor, now(), request, async tx => {
        await requireScope(tx, principalOf(request), scope, scopeId);
        return show(
          await setBudget(tx, actor, now(), { scope, scopeId, limitMicros: Math.round(limit * 1_000_000) }),
        );
      });
    },
  );

  server.get(
    '/api/v1/usage',
    {
      config: { permission: 'usage.read' },
      schema: {
        tags: ['money'],
        summary: 'What the organization has used in all',
        response: {
          200: z.object({
            calls: z.number(),
            tokens: z.number(),
            cost_micros: z.number(),
            unpriced_calls: z.number(),
          }),
          ...problemResponses,
        },
      },
    },
    async request => {
      const { organizationId } = actorOf(request);
      const visible = inProjects(principalOf(request), 'usage.read', 'usage_records.project_id');
      const sum = await tenants.within({ organizationId }, tx => sumUsage(tx, { organizationId }, visible));
      return {
        calls: sum.calls,
        tokens: sum.tokens.total,
        cost_micros: sum.cost_micros,
        unpriced_calls: sum.unpriced_calls,
      };
    },
  );

  server.post(
    '/api/v1/prices',
    {
      config: { permission: 'price.manage' },
      schema: {
        tags: ['money'],
        summary: 'Add a price for the calls of the organization, valid from now; former calls keep theirs',
        body: priceBody,
        response: {
          200: z.object({ provider: z.string(), model: z.string(), valid_from: z.string() }),
          ...problemResponses,
        },
      },
    },
    async request => {
      const actor = actorOf(request);
      const b = request.body;
      const micros = (dollars: number) => Math.round(dollars * 1_000_000);
      const validFrom = now();
      return write(tenants, actor, validFrom, request, async tx => {
        await lockPrices(tx, 'add');
        await addPrice(tx, {
          organization_id: actor.organizationId,
          provider: b.provider,
          model: b.model,
          valid_from: validFrom,
          input_micros: micros(b.input_usd),
          output_micros: micros(b.output_usd),
          cached_read_micros: micros(b.cached_read_usd ?? b.input_usd),
          cached_write_micros: micros(b.cached_write_usd ?? b.input_usd),
          source: b.source,
        });
        await appendAudit(tx, actor, validFrom, 'price.add', `${b.provider}/${b.model}`, 'ok', {
          source: b.source,
        });
        await wakeBudgetWaiters(tx, actor);
        return { provider: b.provider, model: b.model, valid_from: time(validFrom) };
      });
    },
  );
}

/** Budgets of projects and tasks that somebody may see, and of the organization if they may see all of it. */
function visibleBudgets(principal: Principal): RawBuilder<boolean> {
  const all = may(principal, 'budget.read');
  return sql<boolean>`(case scope when 'project' then ${inProjects(principal, 'budget.read', 'scope_id')}
    when 'task' then ${ofTasksIn(principal, 'budget.read', 'scope_id')} else ${all} end)`;
}

/** @throws Problem `budget_scope_missing`, `permission_missing`. */
async function requireScope(
  tx: Tx,
  principal: Principal,
  scope: Row<'budgets'>['scope'],
  id: string,
): Promise<void> {
  const { organizationId } = principal.actor;
  const missing = () => new Problem('missing', 'budget_scope_missing', `There is no ${scope} ${id}.`);
  if (scope === 'organization') {
    if (id !== organizationId) throw missing();
    if (!may(principal, 'budget.manage')) throw permissionMissing('budget.manage');
    return;
  }
  const found =
    scope === 'project'
      ? await tx
          .selectFrom('projects')
          .select('id as project_id')
          .where('id', '=', id)
          .where('organization_id', '=', organizationId)
          .executeTakeFirst()
      : await tx
          .selectFrom('tasks')
          .select('project_id')
          .where('id', '=', id)
          .where('organization_id', '=', organizationId)
          .executeTakeFirst();
  if (!found) throw missing();
  requireMay(principal, 'budget.manage', { projectId: found.project_id }, missing);
}
