/** Routes of service accounts: programs as somebody of their own. Their keys are made at /api/v1/api-keys. */
import { z } from 'zod';
import { idPattern } from '../../base/ids.ts';
import type { Clock } from '../../base/time.ts';
import type { Tenants } from '../../platform/db/db.ts';
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
import { principalOf } from './access.ts';
import { requireCleared, requireHolds } from './members.ts';
import { classifications, roleClearance, roles } from './permissions.ts';
import {
  createServiceAccount,
  disableServiceAccount,
  getServiceAccount,
  listServiceAccounts,
  type ServiceAccount,
} from './service-accounts.ts';

const accountView = z
  .object({
    id: z.string(),
    name: z.string(),
    role: z.enum(roles).describe('In the organization as a whole.'),
    clearance: z.enum(classifications),
    created_by: z.string(),
    created_at: z.string(),
    disabled_at: z.string().nullable(),
  })
  .meta({ id: 'ServiceAccount' });

const show = (a: ServiceAccount): z.output<typeof accountView> => ({
  id: a.id,
  name: a.name,
  role: a.role,
  clearance: a.clearance ?? roleClearance[a.role],
  created_by: a.created_by,
  created_at: time(a.created_at),
  disabled_at: timeOrNull(a.disabled_at),
});

const tags = ['access'];

export function serviceAccountRoutes(server: Server, deps: { tenants: Tenants; clock: Clock }): void {
  const { tenants, clock } = deps;
  const now = () => new Date(clock.now());

  server.get(
    '/api/v1/service-accounts',
    {
      config: { permission: 'service_account.read' },
      schema: {
        tags,
        summary: 'List service accounts, newest first',
        querystring: longPageQuery,
        response: { 200: pageOf(accountView), ...problemResponses },
      },
    },
    async request => {
      const { actor } = principalOf(request);
      const { cursor, limit } = request.query;
      const rows = await tenants.within(actor, tx =>
        listServiceAccounts(tx, actor, { before: cursor, limit: limit + 1 }),
      );
      const page = toPage(rows, limit);
      return { ...page, items: page.items.map(show) };
    },
  );

  server.post(
    '/api/v1/service-accounts',
    {
      config: { permission: 'service_account.manage' },
      schema: {
        tags,
        summary: 'Create a service account',
        body: z.strictObject({
          name: z.string().regex(/^[a-z0-9][a-z0-9._-]{0,99}$/, 'lower-case letters, digits, dots, dashes'),
          role: z
            .enum(roles)
            .default('none')
            .describe('`none`: only what it is given on teams and projects.'),
          clearance: z.enum(classifications).nullable().default(null).describe('Null: that of the role.'),
        }),
        response: { 200: accountView, ...problemResponses },
      },
    },
    async request => {
      const principal = principalOf(request);
      const { name, role, clearance } = request.body;
      requireHolds(principal, role);
      requireCleared(principal, clearance ?? roleClearance[role]);
      return write(tenants, principal.actor, now(), request, async tx =>
        show(await createServiceAccount(tx, principal.actor, now(), { name, role, clearance })),
      );
    },
  );

  server.post(
    '/api/v1/service-accounts/:id/disable',
    {
      config: { permission: 'service_account.manage' },
      schema: {
        tags,
        summary: 'Disable a service account for good, with its keys and tokens',
        params: z.strictObject({ id: z.string().regex(idPattern('svc')) }),
        response: { 200: accountView, ...problemResponses },
      },
    },
    async request => {
      const principal = principalOf(request);
      return write(tenants, principal.actor, now(), request, async tx => {
        const account = await getServiceAccount(tx, principal.actor, request.params.id);
        requireHolds(principal, account.role);
        return show(await disableServiceAccount(tx, principal.actor, now(), account.id));
      });
    },
  );
}
