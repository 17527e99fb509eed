/** Routes of teams and agents. */
import { z } from 'zod';
import { idPattern } from '../../base/ids.ts';
import { Problem } from '../../base/problem.ts';
import type { Clock } from '../../base/time.ts';
import type { Reader, Tenants } from '../../platform/db/db.ts';
import type { Row } from '../../platform/db/schema.ts';
import { requireMatch } from '../../platform/http/etag.ts';
import { problemResponses, time } from '../../platform/http/schemas.ts';
import type { Server } from '../../platform/http/server.ts';
import { write } from '../../platform/http/write.ts';
import type { Actor } from '../../platform/journal/facts.ts';
import { actorOf, principalOf } from '../identity/access.ts';
import { classifications, type Permission } from '../identity/permissions.ts';
import { may, type Principal, requireMay } from '../identity/principal.ts';
import {
  type Agent,
  agentChange,
  agentInput,
  agentName,
  changeAgent,
  countOpenRuns,
  createAgent,
  createTeam,
  getAgent,
  listAgents,
  listTeams,
  type TeamTemplate,
} from './agents.ts';

const agentView = z
  .object({
    id: z.string(),
    team_id: z.string(),
    name: z.string(),
    title: z.string(),
    role: z.string(),
    description: z.string(),
    instructions: z.string(),
    model: z.string(),
    tools: z.array(z.string()),
    max_output_tokens: z.number().int(),
    reports_to: z.string().nullable().describe('Id of the manager.'),
    version: z.number().int(),
    state: z.enum(['idle', 'busy', 'draining', 'paused']),
    open_runs: z.number().int(),
    created_at: z.string(),
  })
  .meta({ id: 'Agent' });

const teamView = z
  .object({
    id: z.string(),
    name: z.string(),
    template: z.string(),
    parent_team_id: z.string().nullable(),
    clearance: z.enum(classifications).describe('Its agents work on projects up to this class.'),
    created_at: z.string(),
  })
  .meta({ id: 'Team' });

function show(agent: Agent, openRuns: number): z.output<typeof agentView> {
  const { organization_id: _o, created_by: _c, ...rest } = agent;
  const state = agent.state === 'active' ? (openRuns > 0 ? 'busy' : 'idle') : agent.state;
  return { ...rest, state, open_runs: openRuns, created_at: time(agent.created_at) };
}

const showTeam = (team: Row<'teams'>): z.output<typeof teamView> => ({
  id: team.id,
  name: team.name,
  template: team.template,
  parent_team_id: team.parent_team_id,
  clearance: team.clearance,
  created_at: time(team.created_at),
});

async function showAll(
  db: Reader,
  principal: Principal,
  teamId?: string,
): Promise<z.output<typeof agentView>[]> {
  const open = await countOpenRuns(db, principal.actor);
  return (await listAgents(db, principal.actor, teamId))
    .filter(agent => may(principal, 'agent.read', { teamId: agent.team_id }))
    .map(agent => show(agent, open.get(agent.id) ?? 0));
}

/** An agent of a team in which somebody may do this. @throws Problem `agent_missing`, `permission_missing`. */
async function agentFor(
  db: Reader,
  principal: Principal,
  permission: Permission,
  id: string,
): Promise<Agent> {
  const agent = await getAgent(db, principal.actor, id);
  const missing = () => new Problem('missing', 'agent_missing', 'There is no such agent.');
  requireMay(principal, permission, { teamId: agent.team_id }, missing);
  return agent;
}

export interface AgentDeps {
  tenants: Tenants;
  clock: Clock;
  templates: Map<string, TeamTemplate>;
  /** @throws Problem `model_unknown` unless `<provider>/<model>` can be served. */
  requireModel(actor: Actor, model: string): Promise<void>;
}

export function agentRoutes(server: Server, deps: AgentDeps): void {
  const { tenants, clock } = deps;
  const now = () => new Date(clock.now());
  const agentId = z.strictObject({ id: z.string().regex(idPattern('agt')) });

  server.get(
    '/api/v1/team-templates',
    {
      config: { permission: 'agent.read' },
      schema: {
        tags: ['agents'],
        summary: 'Templates that a team can be made from',
        response: {
          200: z.object({
            items: z.array(
              z.object({ name: z.string(), description: z.string(), agents: z.array(z.string()) }),
            ),
          }),
          ...problemResponses,
        },
      },
    },
    async () => ({
      items: [...deps.templates.values()].map(t => ({
        name: t.name,
        description: t.description,
        agents: t.agents.map(a => a.name),
      })),
    }),
  );

  server.get(
    '/api/v1/teams',
    {
      config: { permission: 'team.read' },
      schema: {
        tags: ['agents'],
        summary: 'List teams',
        response: { 200: z.object({ items: z.array(teamView) }), ...problemResponses },
      },
    },
    async request => {
      const principal = principalOf(request);
      const teams = await tenants.within(principal.actor, tx => listTeams(tx, principal.actor));
      const seen = teams.filter(team => may(principal, 'team.read', { teamId: team.id }));
      return { items: seen.map(showTeam) };
    },
  );

  server.post(
    '/api/v1/teams',
    {
      config: { permission: 'team.create' },
      schema: {
        tags: ['agents'],
        summary: 'Make a team from a template',
        body: z.strictObject({ name: agentName, template: z.string().max(100) }),
        response: { 200: teamView, ...problemResponses },
      },
    },
    async request => {
      const template = deps.templates.get(request.body.template);
      if (!template) {
        throw new Problem(
          'invalid',
          'template_missing',
          `There is no template ${request.body.template}; there are ${[...deps.templates.keys()].join(', ')}.`,
        );
      }
      const actor = actorOf(request);
      return write(tenants, actor, now(), request, async tx => {
        const team = await createTeam(tx, actor, now(), request.body.name, template);
        return showTeam(team);
      });
    },
  );

  server.get(
    '/api/v1/agents',
    {
      config: { permission: 'agent.read' },
      schema: {
        tags: ['agents'],
        summary: 'List agents',
        querystring: z.strictObject({ team_id: z.string().regex(idPattern('team')).optional() }),
        response: { 200: z.object({ items: z.array(agentView) }), ...problemResponses },
      },
    },
    async request => {
      const principal = principalOf(request);
      return {
        items: await tenants.within(principal.actor, tx => showAll(tx, principal, request.query.team_id)),
      };
    },
  );

  server.get(
    '/api/v1/agents/:id',
    {
      config: { permission: 'agent.read' },
      schema: {
        tags: ['agents'],
        summary: 'One agent',
        params: agentId,
        response: { 200: agentView, ...problemResponses },
      },
    },
    async request => {
      const actor = actorOf(request);
      return tenants.within(actor, async tx =>
        show(
          await agentFor(tx, principalOf(request), 'agent.read', request.params.id),
          (await countOpenRuns(tx, actor)).get(request.params.id) ?? 0,
        ),
      );
    },
  );

  server.post(
    '/api/v1/agents',
    {
      config: { permission: 'agent.manage' },
      schema: {
        tags: ['agents'],
        summary: 'Add an agent to a team',
        body: agentInput.extend({ team_id: z.string().regex(idPattern('team')) }),
        response: { 200: agentView, ...problemResponses },
      },
    },
    async request => {
      const actor = actorOf(request);
      const { team_id: teamId, ...input } = request.body;
      await deps.requireModel(actor, input.model);
      return write(tenants, actor, now(), request, async tx => {
        const missing = () => new Problem('missing', 'team_missing', 'There is no such team.');
        requireMay(principalOf(request), 'agent.manage', { teamId }, missing);
        return show(await getAgent(tx, actor, await createAgent(tx, actor, now(), teamId, input)), 0);
      });
    },
  );

  server.patch(
    '/api/v1/agents/:id',
    {
      config: { permission: 'agent.manage', conditional: true },
      schema: {
        tags: ['agents'],
        summary: 'Change an agent: its next version',
        params: agentId,
        body: agentChange,
        response: { 200: agentView, ...problemResponses },
      },
    },
    async request => {
      const actor = actorOf(request);
      if (request.body.model) await deps.requireModel(actor, request.body.model);
      return write(tenants, actor, now(), request, async tx => {
        const { id } = request.params;
        await agentFor(tx, principalOf(request), 'agent.manage', id);
        await requireMatch(tx, request, agentView, async () =>
          show(await getAgent(tx, actor, id), (await countOpenRuns(tx, actor)).get(id) ?? 0),
        );
        return show(await changeAgent(tx, actor, now(), id, request.body), 0);
      });
    },
  );
}
