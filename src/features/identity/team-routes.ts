/** Routes of the tree of teams and of the people in them. */
import { z } from 'zod';
import { idPattern } from '../../base/ids.ts';
import type { Clock } from '../../base/time.ts';
import type { Tenants } from '../../platform/db/db.ts';
import { problemResponses } from '../../platform/http/schemas.ts';
import type { Server } from '../../platform/http/server.ts';
import { write } from '../../platform/http/write.ts';
import { principalOf } from './access.ts';
import { classifications } from './permissions.ts';
import { addTeamMember, changeTeam, listTeamMembers, removeTeamMember, teamFor } from './teams.ts';

const place = z.object({
  id: z.string(),
  name: z.string(),
  parent_team_id: z.string().nullable(),
  clearance: z.enum(classifications),
});
const teamId = z.strictObject({ id: z.string().regex(idPattern('team')) });
const teamMember = teamId.extend({ member_id: z.string().regex(idPattern('mem')) });
const tags = ['access'];

export function teamRoutes(server: Server, deps: { tenants: Tenants; clock: Clock }): void {
  const { tenants, clock } = deps;
  const now = () => new Date(clock.now());

  server.patch(
    '/api/v1/teams/:id',
    {
      config: { permission: 'team.manage' },
      schema: {
        tags,
        summary: 'Put a team below another one, or change the clearance of its agents',
        params: teamId,
        body: z.strictObject({
          parent_team_id: z.string().regex(idPattern('team')).nullable().optional(),
          clearance: z.enum(classifications).optional(),
        }),
        response: { 200: place, ...problemResponses },
      },
    },
    async request => {
      const principal = principalOf(request);
      const { parent_team_id: parentTeamId, clearance } = request.body;
      return write(tenants, principal.actor, now(), request, async tx => {
        const team = await changeTeam(tx, principal, now(), request.params.id, { parentTeamId, clearance });
        return {
          id: team.id,
          name: team.name,
          parent_team_id: team.parent_team_id,
          clearance: team.clearance,
        };
      });
    },
  );

  server.get(
    '/api/v1/teams/:id/members',
    {
      config: { permission: 'team.read' },
      schema: {
        tags,
        summary: 'The people of a team',
        params: teamId,
        response: {
          200: z.object({ items: z.array(z.object({ id: z.string(), name: z.string() })) }),
          ...problemResponses,
        },
      },
    },
    async request => {
      const principal = principalOf(request);
      return tenants.within(principal.actor, async tx => {
        const team = await teamFor(tx, principal, 'team.read', request.params.id);
        return { items: await listTeamMembers(tx, team.id) };
      });
    },
  );

  server.put(
    '/api/v1/teams/:id/members/:member_id',
    {
      config: { permission: 'team.manage' },
      schema: {
        tags,
        summary: 'Add a person to a team',
        params: teamMember,
        response: { 200: z.object({ added: z.literal(true) }), ...problemResponses },
      },
    },
    async request => {
      const principal = principalOf(request);
      const { id, member_id: memberId } = request.params;
      return write(tenants, principal.actor, now(), request, async tx => {
        await addTeamMember(tx, principal, now(), id, memberId);
        return { added: true as const };
      });
    },
  );

  server.delete(
    '/api/v1/teams/:id/members/:member_id',
    {
      config: { permission: 'team.manage' },
      schema: {
        tags,
        summary: 'Take a person out of a team',
        params: teamMember,
        response: { 200: z.object({ removed: z.literal(true) }), ...problemResponses },
      },
    },
    async request => {
      const principal = principalOf(request);
      const { id, member_id: memberId } = request.params;
      return write(tenants, principal.actor, now(), request, async tx => {
        await removeTeamMember(tx, principal, now(), id, memberId);
        return { removed: true as const };
      });
    },
  );
}
