/** Routes of members and of roles: who belongs to the organization, and what they may do where. */
import { z } from 'zod';
import { idPattern } from '../../base/ids.ts';
import type { Clock } from '../../base/time.ts';
import type { Tenants } from '../../platform/db/db.ts';
import { requireMatch } from '../../platform/http/etag.ts';
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
import {
  changeMember,
  deactivateMember,
  getMember,
  listMembers,
  type MemberWithEmail,
  reactivateMember,
} from './members.ts';
import { classifications, permissionTable, roleClearance, roles } from './permissions.ts';
import { grantRole, listRoleBindings, type RoleBinding } from './role-bindings.ts';

const memberView = z
  .object({
    id: z.string(),
    name: z.string(),
    email: z.string().nullable(),
    role: z.enum(roles).describe('In the organization as a whole.'),
    clearance: z.enum(classifications),
    own_clearance: z.boolean().describe('False: the clearance is that of the role.'),
    created_at: z.string(),
    deactivated_at: z.string().nullable(),
  })
  .meta({ id: 'Member' });

const showMember = (m: MemberWithEmail): z.output<typeof memberView> => ({
  id: m.id,
  name: m.name,
  email: m.email,
  role: m.role,
  clearance: m.clearance ?? roleClearance[m.role],
  own_clearance: m.clearance !== null,
  created_at: time(m.created_at),
  deactivated_at: timeOrNull(m.deactivated_at),
});

const subject = z
  .string()
  .regex(/^(member:mem|service:svc)_[0-9a-hjkmnp-tv-z]{26}$/, 'member:mem_… or service:svc_…');
const scopeId = z.string().regex(/^(team|proj)_[0-9a-hjkmnp-tv-z]{26}$/, 'team_… or proj_…');

const bindingView = z
  .object({
    subject: z.string(),
    role: z.enum(roles),
    scope: z.enum(['team', 'project']),
    scope_id: z.string(),
    granted_by: z.string(),
    created_at: z.string(),
  })
  .meta({ id: 'RoleBinding' });

const showBinding = (b: RoleBinding): z.output<typeof bindingView> => ({
  subject: b.subject,
  role: b.role,
  scope: b.scope,
  scope_id: b.scope_id,
  granted_by: b.granted_by,
  created_at: time(b.created_at),
});

const memberId = z.strictObject({ id: z.string().regex(idPattern('mem')) });
const tags = ['access'];

export function memberRoutes(server: Server, deps: { tenants: Tenants; clock: Clock }): void {
  const { tenants, clock } = deps;
  const now = () => new Date(clock.now());

  server.get(
    '/api/v1/members',
    {
      config: { permission: 'member.read' },
      schema: {
        tags,
        summary: 'List members, newest first',
        querystring: longPageQuery,
        response: { 200: pageOf(memberView), ...problemResponses },
      },
    },
    async request => {
      const { actor } = principalOf(request);
      const { cursor, limit } = request.query;
      const rows = await tenants.within(actor, tx =>
        listMembers(tx, actor.organizationId, { before: cursor, limit: limit + 1 }),
      );
      const page = toPage(rows, limit);
      return { ...page, items: page.items.map(showMember) };
    },
  );

  server.get(
    '/api/v1/members/:id',
    {
      config: { permission: 'member.read' },
      schema: {
        tags,
        summary: 'One member',
        params: memberId,
        response: { 200: memberView, ...problemResponses },
      },
    },
    async request => {
      const { actor } = principalOf(request);
      return tenants.within(actor, async tx =>
        showMember(await getMember(tx, actor.organizationId, request.params.id)),
      );
    },
  );

  server.patch(
    '/api/v1/members/:id',
    {
      config: { permission: 'member.manage', conditional: true },
      schema: {
        tags,
        summary: 'Change the role or the clearance of a member',
        params: memberId,
        body: z.strictObject({
          role: z.enum(roles).optional(),
          clearance: z.enum(classifications).nullable().optional().describe('Null: that of the role.'),
        }),
        response: { 200: memberView, ...problemResponses },
      },
    },
    async request => {
      const principal = principalOf(request);
      const { id } = request.params;
      return write(tenants, principal.actor, now(), request, async tx => {
        await requireMatch(tx, request, memberView, async () =>
          showMember(await getMember(tx, principal.actor.organizationId, id)),
        );
        return showMember(await changeMember(tx, principal, now(), id, request.body));
      });
    },
  );

  const actions = {
    deactivate: { summary: 'Shut a member out; sessions and keys end at once', run: deactivateMember },
    reactivate: { summary: 'Let a member in again; keys have to be made anew', run: reactivateMember },
  };
  for (const [name, action] of Object.entries(actions)) {
    server.post(
      `/api/v1/members/:id/${name}`,
      {
        config: { permission: 'member.manage' },
        schema: {
          tags,
          summary: action.summary,
          params: memberId,
          response: { 200: memberView, ...problemResponses },
        },
      },
      async request => {
        const principal = principalOf(request);
        const { id } = request.params as { id: string };
        return write(tenants, principal.actor, now(), request, async tx =>
          showMember(await action.run(tx, principal, now(), id)),
        );
      },
    );
  }

  server.get(
    '/api/v1/roles',
    {
      config: { permission: 'organization.read' },
      schema: {
        tags,
        summary: 'What each role may do: the table of permissions',
        response: {
          200: z.object({
            organization: z.array(z.array(z.string())),
            projects: z.array(z.array(z.string())),
          }),
          ...problemResponses,
        },
      },
    },
    async () => ({
      organization: permissionTable('organization'),
      projects: permissionTable('projects'),
    }),
  );

  server.get(
    '/api/v1/role-bindings',
    {
      config: { permission: 'role.read' },
      schema: {
        tags,
        summary: 'Roles on teams and projects, beyond those in the organization',
        querystring: z.strictObject({ subject: subject.optional(), scope_id: scopeId.optional() }),
        response: { 200: z.object({ items: z.array(bindingView) }), ...problemResponses },
      },
    },
    async request => {
      const principal = principalOf(request);
      const { subject: wanted, scope_id: of } = request.query;
      const rows = await tenants.within(principal.actor, tx =>
        listRoleBindings(tx, principal, { subject: wanted, scopeId: of }),
      );
      return { items: rows.map(showBinding) };
    },
  );

  server.put(
    '/api/v1/role-bindings',
    {
      config: { permission: 'role.grant' },
      schema: {
        tags,
        summary: 'Give somebody a role on a team or a project; `none` takes it away',
        body: z.strictObject({
          subject,
          role: z.enum(roles),
          scope: z.enum(['team', 'project']),
          scope_id: scopeId,
        }),
        response: { 200: z.object({ role: z.enum(roles) }), ...problemResponses },
      },
    },
    async request => {
      const principal = principalOf(request);
      const { scope_id: of, ...body } = request.body;
      return write(tenants, principal.actor, now(), request, async tx => {
        await grantRole(tx, principal, now(), { ...body, scopeId: of });
        return { role: body.role };
      });
    },
  );
}
