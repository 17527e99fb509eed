/** Routes of approvals: the inbox, and deciding. */
import { z } from 'zod';
import { idPattern } from '../../base/ids.ts';
import { Problem } from '../../base/problem.ts';
import type { Clock } from '../../base/time.ts';
import type { Tenants, Tx } from '../../platform/db/db.ts';
import {
  longPageQuery,
  pageOf,
  problemResponses,
  time,
  timeOrNull,
  toPage,
} from '../../platform/http/schemas.ts';
import type { Server } from '../../platform/http/server.ts';
import { write } from '../../platform/http/write.ts';
import { actorOf, principalOf } from '../identity/access.ts';
import { ofTasksIn, type Principal, requireMay } from '../identity/principal.ts';
import { type Approval, decideApproval, listApprovals } from './approvals.ts';

const state = z.enum(['pending', 'approved', 'rejected', 'expired', 'cancelled']);

const approvalView = z
  .object({
    id: z.string(),
    task_id: z.string(),
    run_id: z.string(),
    kind: z.enum(['question', 'tool_call']),
    question: z.string(),
    options: z.array(z.string()),
    payload_hash: z.string().describe('SHA-256 of exactly what is asked for.'),
    state,
    answer: z.string().nullable(),
    decided_by: z.string().nullable(),
    created_at: z.string(),
    expires_at: z.string(),
    decided_at: z.string().nullable(),
  })
  .meta({ id: 'Approval' });

const show = (a: Approval): z.output<typeof approvalView> => ({
  id: a.id,
  task_id: a.task_id,
  run_id: a.run_id,
  kind: a.kind,
  question: a.question,
  options: a.options,
  payload_hash: a.payload_hash,
  state: a.state,
  answer: a.answer,
  decided_by: a.decided_by,
  created_at: time(a.created_at),
  expires_at: time(a.expires_at),
  decided_at: timeOrNull(a.decided_at),
});

const idParams = z.strictObject({ id: z.string().regex(idPattern('apr')) });

export function approvalRoutes(server: Server, deps: { tenants: Tenants; clock: Clock }): void {
  const { tenants, clock } = deps;
  const now = () => new Date(clock.now());

  server.get(
    '/api/v1/approvals',
    {
      config: { permission: 'approval.read' },
      schema: {
        tags: ['approvals'],
        summary: 'Approvals, newest first; by default the pending ones',
        querystring: longPageQuery.extend({ state: state.or(z.literal('all')).default('pending') }),
        response: { 200: pageOf(approvalView), ...problemResponses },
      },
    },
    async request => {
      const { state: wanted, cursor, limit } = request.query;
      const actor = actorOf(request);
      const filter = {
        state: wanted === 'all' ? undefined : wanted,
        before: cursor,
        limit: limit + 1,
        visible: ofTasksIn(principalOf(request), 'approval.read', 'approvals.task_id'),
      };
      const rows = await tenants.within(actor, tx => listApprovals(tx, actor, filter));
      const page = toPage(rows, limit);
      return { ...page, items: page.items.map(show) };
    },
  );

  server.get(
    '/api/v1/approvals/:id',
    {
      config: { permission: 'approval.read' },
      schema: {
        tags: ['approvals'],
        summary: 'One approval',
        params: idParams,
        response: { 200: approvalView, ...problemResponses },
      },
    },
    async request => {
      const actor = actorOf(request);
      const row = await tenants.within(actor, tx =>
        tx
          .selectFrom('approvals')
          .selectAll()
          .where('id', '=', request.params.id)
          .where('organization_id', '=', actor.organizationId)
          .where(ofTasksIn(principalOf(request), 'approval.read', 'approvals.task_id'))
          .executeTakeFirst(),
      );
      if (!row) throw new Problem('missing', 'approval_missing', 'There is no such approval.');
      return show(row);
    },
  );

  const decisions = { approve: 'approved', reject: 'rejected' } as const;
  for (const [verb, decision] of Object.entries(decisions)) {
    server.post(
      `/api/v1/approvals/:id/${verb}`,
      {
        config: { permission: 'approval.decide' },
        schema: {
          tags: ['approvals'],
          summary:
            verb === 'approve' ? 'Allow it, or answer the question' : 'Refuse it; the reason is required',
          params: idParams,
          body: z
            .strictObject({
              text: z.string().max(20_000).default('').describe('The answer to a question, or the reason.'),
            })
            .default({ text: '' }),
          response: { 200: approvalView, ...problemResponses },
        },
      },
      async request => {
        const actor = actorOf(request);
        const { id } = request.params as { id: string };
        const { text } = request.body as { text: string };
        return write(tenants, actor, now(), request, async tx => {
          await requireDecider(tx, principalOf(request), id);
          return show(await decideApproval(tx, actor, now(), id, { decision, text }));
        });
      },
    );
  }
}

/** @throws Problem `approval_missing`, `permission_missing`. */
async function requireDecider(tx: Tx, principal: Principal, id: string): Promise<void> {
  const missing = () => new Problem('missing', 'approval_missing', 'There is no such approval.');
  const row = await tx
    .selectFrom('approvals as a')
    .innerJoin('tasks as t', 't.id', 'a.task_id')
    .select('t.project_id')
    .where('a.id', '=', id)
    .executeTakeFirst();
  if (!row) throw missing();
  requireMay(principal, 'approval.decide', { projectId: row.project_id }, missing);
}
