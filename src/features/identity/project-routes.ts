/** Routes of projects. Those above somebody's clearance are not there for them. */
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
import { classifications } from './permissions.ts';
import {
  archiveProject,
  changeProject,
  createProject,
  listProjects,
  type Project,
  projectFor,
} from './projects.ts';

const projectView = z
  .object({
    id: z.string(),
    name: z.string(),
    description: z.string(),
    team_id: z.string().nullable().describe('The team that answers for it.'),
    classification: z.enum(classifications),
    created_at: z.string(),
    archived_at: z.string().nullable(),
  })
  .meta({ id: 'Project' });

const show = (p: Project): z.output<typeof projectView> => ({
  id: p.id,
  name: p.name,
  description: p.description,
  team_id: p.team_id,
  classification: p.classification,
  created_at: time(p.created_at),
  archived_at: timeOrNull(p.archived_at),
});

const fields = {
  name: z.string().regex(/^[a-z0-9][a-z0-9._-]{0,99}$/, 'lower-case letters, digits, dots, dashes'),
  description: z.string().max(2_000),
  team_id: z.string().regex(idPattern('team')).nullable(),
  classification: z.enum(classifications).describe('Who is not cleared for it does not see it.'),
};
const projectId = z.strictObject({ id: z.string().regex(idPattern('proj')) });
const tags = ['access'];

export function projectRoutes(server: Server, deps: { tenants: Tenants; clock: Clock }): void {
  const { tenants, clock } = deps;
  const now = () => new Date(clock.now());

  server.get(
    '/api/v1/projects',
    {
      config: { permission: 'project.read' },
      schema: {
        tags,
        summary: 'List projects, newest first',
        querystring: longPageQuery.extend({ archived: z.enum(['true', 'false', 'all']).default('false') }),
        response: { 200: pageOf(projectView), ...problemResponses },
      },
    },
    async request => {
      const principal = principalOf(request);
      const { cursor, limit, archived } = request.query;
      const wanted = archived === 'all' ? null : archived === 'true';
      const rows = await tenants.within(principal.actor, tx =>
        listProjects(tx, principal, { before: cursor, limit: limit + 1, archived: wanted }),
      );
      const page = toPage(rows, limit);
      return { ...page, items: page.items.map(show) };
    },
  );

  server.get(
    '/api/v1/projects/:id',
    {
      config: { permission: 'project.read' },
      schema: {
        tags,
        summary: 'One project',
        params: projectId,
        response: { 200: projectView, ...problemResponses },
      },
    },
    async request => {
      const principal = principalOf(request);
      return tenants.within(principal.actor, async tx =>
        show(await projectFor(tx, principal, 'project.read', request.params.id)),
      );
    },
  );

  server.post(
    '/api/v1/projects',
    {
      config: { permission: 'project.create' },
      schema: {
        tags,
        summary: 'Create a project',
        body: z.strictObject({
          name: fields.name,
          description: fields.description.default(''),
          team_id: fields.team_id.default(null),
          classification: fields.classification.default('internal'),
        }),
        response: { 200: projectView, ...problemResponses },
      },
    },
    async request => {
      const principal = principalOf(request);
      const { name, description, team_id: teamId, classification } = request.body;
      return write(tenants, principal.actor, now(), request, async tx =>
        show(await createProject(tx, principal, now(), { name, description, teamId, classification })),
      );
    },
  );

  server.patch(
    '/api/v1/projects/:id',
    {
      config: { permission: 'project.manage', conditional: true },
      schema: {
        tags,
        summary: 'Change a project',
        params: projectId,
        body: z.strictObject({
          name: fields.name.optional(),
          description: fields.description.optional(),
          team_id: fields.team_id.optional(),
          classification: fields.classification.optional(),
        }),
        response: { 200: projectView, ...problemResponses },
      },
    },
    async request => {
      const principal = principalOf(request);
      const { team_id: teamId, ...rest } = request.body;
      const change = teamId === undefined ? rest : { ...rest, teamId };
      const { id } = request.params;
      return write(tenants, principal.actor, now(), request, async tx => {
        await requireMatch(tx, request, projectView, async () =>
          show(await projectFor(tx, principal, 'project.manage', id)),
        );
        return show(await changeProject(tx, principal, now(), id, change));
      });
    },
  );

  for (const [verb, archived] of [
    ['archive', true],
    ['restore', false],
  ] as const) {
    server.post(
      `/api/v1/projects/:id/${verb}`,
      {
        config: { permission: 'project.manage' },
        schema: {
          tags,
          summary: archived
            ? 'Archive a project: nothing new begins in it'
            : 'Take a project out of the archive',
          params: projectId,
          response: { 200: projectView, ...problemResponses },
        },
      },
      async request => {
        const principal = principalOf(request);
        const { id } = request.params as { id: string };
        return write(tenants, principal.actor, now(), request, async tx =>
          show(await archiveProject(tx, principal, now(), id, archived)),
        );
      },
    );
  }
}
