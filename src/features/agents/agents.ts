/**
 * Agents: AI workers with a role, a manager and a versioned definition. A run keeps the version it began with.
 * The chain of command (`reports_to`) is a forest: a change that would close a circle is refused.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sql } from 'kysely';
import { z } from 'zod';
import { newId } from '../../base/ids.ts';
import { Problem } from '../../base/problem.ts';
import type { Reader, Tx } from '../../platform/db/db.ts';
import type { Row } from '../../platform/db/schema.ts';
import { type Actor, appendAudit, appendEvent } from '../../platform/journal/facts.ts';
import { type ToolName, toolArguments } from '../tools/catalog.ts';

const toolNames = Object.keys(toolArguments) as [ToolName, ...ToolName[]];

/** What an agent is: everything that a change of makes a new version. */
export const agentDefinitionInput = z.strictObject({
  title: z.string().min(1).max(200),
  role: z.string().regex(/^[a-z][a-z0-9-]{0,39}$/, 'lower-case letters, digits and dashes'),
  description: z.string().min(1).max(500),
  instructions: z.string().min(1).max(50_000),
  model: z
    .string()
    .max(200)
    .default('default')
    .describe('`<provider>/<model>`, or `default` for the installation’s.'),
  tools: z.array(z.enum(toolNames)).max(50),
  max_output_tokens: z.number().int().min(100).max(200_000).default(8_000),
});
export type AgentDefinitionInput = z.output<typeof agentDefinitionInput>;

export const agentName = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,39}$/, 'lower-case letters, digits and dashes, at most 40');

export const agentInput = z.strictObject({
  ...agentDefinitionInput.shape,
  name: agentName,
  reports_to: agentName.nullable().default(null).describe('Name of the manager in the same team.'),
});
export type AgentInput = z.output<typeof agentInput>;

const templateSchema = z.strictObject({
  name: z.string(),
  description: z.string(),
  agents: z.array(agentInput).min(1),
});
export type TeamTemplate = z.output<typeof templateSchema>;

/** An agent with the definition that is now in force. */
export type Agent = Row<'agents'> &
  Omit<Row<'agent_definitions'>, 'agent_id' | 'version' | 'organization_id' | 'created_at'>;

/** The team templates that ship, by name. Each is a file beside this one. */
export async function readTeamTemplates(): Promise<Map<string, TeamTemplate>> {
  const folder = join(import.meta.dirname, 'templates');
  const templates = new Map<string, TeamTemplate>();
  for (const file of (await readdir(folder)).sort()) {
    const template = templateSchema.parse(JSON.parse(await readFile(join(folder, file), 'utf8')));
    templates.set(template.name, template);
  }
  return templates;
}

/** Makes a team from a template. @throws Problem `team_exists`. */
export async function createTeam(
  tx: Tx,
  actor: Actor,
  now: Date,
  name: string,
  template: TeamTemplate,
): Promise<Row<'teams'>> {
  const taken = await findTeam(tx, actor, name);
  if (taken) throw new Problem('conflict', 'team_exists', `There is a team named ${name} already.`);
  const team = await tx
    .insertInto('teams')
    .values({
      id: newId('team'),
      organization_id: actor.organizationId,
      name,
      template: template.name,
      parent_team_id: null,
      created_at: now,
    })
    .returningAll()
    .executeTakeFirstOrThrow();
  for (const agent of inOrderOfCommand(template.agents)) await createAgent(tx, actor, now, team.id, agent);
  await appendAudit(tx, actor, now, 'team.create', team.id, 'ok', { name, template: template.name });
  await appendEvent(tx, actor, now, 'team.created', {}, { id: team.id, name });
  return team;
}

function inOrderOfCommand(agents: readonly AgentInput[]): AgentInput[] {
  const placed = new Set<string>();
  const ordered: AgentInput[] = [];
  while (ordered.length < agents.length) {
    const next = agents.filter(
      a => !placed.has(a.name) && (a.reports_to === null || placed.has(a.reports_to)),
    );
    if (next.length === 0)
      throw new Problem('invalid', 'reporting_cycle', 'The agents report to each other in a circle.');
    for (const agent of next) {
      placed.add(agent.name);
      ordered.push(agent);
    }
  }
  return ordered;
}

export async function findTeam(db: Reader, actor: Actor, name: string): Promise<Row<'teams'> | null> {
  const row = await db
    .selectFrom('teams')
    .selectAll()
    .where('organization_id', '=', actor.organizationId)
    .where('name', '=', name)
    .executeTakeFirst();
  return row ?? null;
}

/** @throws Problem `team_missing`, `agent_exists`, `agent_missing` (the manager). */
export async function createAgent(
  tx: Tx,
  actor: Actor,
  now: Date,
  teamId: string,
  input: AgentInput,
): Promise<string> {
  const team = await tx
    .selectFrom('teams')
    .select('id')
    .where('id', '=', teamId)
    .where('organization_id', '=', actor.organizationId)
    .executeTakeFirst();
  if (!team) throw new Problem('missing', 'team_missing', 'There is no such team.');
  const inTeam = await listAgents(tx, actor, teamId);
  if (inTeam.some(a => a.name === input.name)) {
    throw new Problem('conflict', 'agent_exists', `The team has an agent named ${input.name} already.`);
  }
  const manager = input.reports_to === null ? null : inTeam.find(a => a.name === input.reports_to);
  if (manager === undefined)
    throw new Problem('invalid', 'agent_missing', `The team has no agent named ${input.reports_to}.`);
  const id = newId('agt');
  await tx
    .insertInto('agents')
    .values({
      id,
      organization_id: actor.organizationId,
      team_id: teamId,
      name: input.name,
      reports_to: manager?.id ?? null,
      state: 'active',
      version: 1,
      created_at: now,
    })
    .execute();
  await insertDefinition(tx, actor, now, id, 1, input);
  await appendAudit(tx, actor, now, 'agent.create', id, 'ok', { name: input.name, role: input.role });
  await appendEvent(tx, actor, now, 'agent.created', {}, { id, name: input.name });
  return id;
}

async function insertDefinition(
  tx: Tx,
  actor: Actor,
  now: Date,
  agentId: string,
  version: number,
  d: AgentDefinitionInput,
): Promise<void> {
  await tx
    .insertInto('agent_definitions')
    .values({
      agent_id: agentId,
      version,
      organization_id: actor.organizationId,
      title: d.title,
      role: d.role,
      description: d.description,
      instructions: d.instructions,
      model: d.model,
      tools: d.tools,
      max_output_tokens: d.max_output_tokens,
      created_by: actor.id,
      created_at: now,
    })
    .execute();
}

export const agentChange = z.strictObject({
  ...agentDefinitionInput.partial().shape,
  // `partial` keeps defaults, and a default would overwrite what the change does not name.
  model: z.string().max(200).optional(),
  max_output_tokens: z.number().int().min(100).max(200_000).optional(),
  reports_to: agentName.nullable().optional(),
  state: z.enum(['active', 'draining', 'paused']).optional(),
});
export type AgentChange = z.output<typeof agentChange>;

/** Changes an agent; a change of its definition makes the next version. @throws Problem `agent_missing`, `reporting_cycle`. */
export async function changeAgent(
  tx: Tx,
  actor: Actor,
  now: Date,
  id: string,
  change: AgentChange,
): Promise<Agent> {
  const { team_id } = await getAgent(tx, actor, id);
  // The team before the agent: two changes of its chain of command could close a circle only together.
  if (change.reports_to !== undefined)
    await tx.selectFrom('teams').select('id').where('id', '=', team_id).forUpdate().execute();
  await tx.selectFrom('agents').select('id').where('id', '=', id).forUpdate().execute();
  const agent = await getAgent(tx, actor, id);
  const { reports_to: managerName, state, ...definition } = change;
  if (managerName !== undefined) await setManager(tx, actor, agent, managerName);
  if (state !== undefined) await tx.updateTable('agents').set({ state }).where('id', '=', id).execute();
  if (Object.values(definition).some(value => value !== undefined)) {
    const version = agent.version + 1;
    const merged = {
      ...agent,
      ...Object.fromEntries(Object.entries(definition).filter(([, v]) => v !== undefined)),
    } as Agent;
    await insertDefinition(tx, actor, now, id, version, { ...merged, tools: merged.tools as ToolName[] });
    await tx.updateTable('agents').set({ version }).where('id', '=', id).execute();
  }
  await appendAudit(tx, actor, now, 'agent.update', id, 'ok', { fields: Object.keys(change) });
  await appendEvent(tx, actor, now, 'agent.updated', {}, { id, name: agent.name });
  return getAgent(tx, actor, id);
}

async function setManager(tx: Tx, actor: Actor, agent: Agent, managerName: string | null): Promise<void> {
  const team = await listAgents(tx, actor, agent.team_id);
  const manager = managerName === null ? null : team.find(a => a.name === managerName);
  if (manager === undefined)
    throw new Problem('invalid', 'agent_missing', `The team has no agent named ${managerName}.`);
  for (let above = manager; above; above = team.find(a => a.id === above?.reports_to) ?? null) {
    if (above.id === agent.id) {
      throw new Problem(
        'invalid',
        'reporting_cycle',
        `${agent.name} cannot report to ${managerName}: that closes a circle.`,
      );
    }
  }
  await tx
    .updateTable('agents')
    .set({ reports_to: manager?.id ?? null })
    .where('id', '=', agent.id)
    .execute();
}

const withDefinition = (db: Reader) =>
  db
    .selectFrom('agents as a')
    .innerJoin('agent_definitions as d', join =>
      join.onRef('d.agent_id', '=', 'a.id').onRef('d.version', '=', 'a.version'),
    )
    .selectAll('a')
    .select([
      'd.title',
      'd.role',
      'd.description',
      'd.instructions',
      'd.model',
      'd.tools',
      'd.max_output_tokens',
      'd.created_by',
    ]);

export function listAgents(db: Reader, actor: Actor, teamId?: string): Promise<Agent[]> {
  let query = withDefinition(db).where('a.organization_id', '=', actor.organizationId);
  if (teamId) query = query.where('a.team_id', '=', teamId);
  return query.orderBy('a.id').limit(1_000).execute();
}

/** A team by name with its agents. */
export interface Roster {
  team: string;
  agents: Agent[];
}

export async function readRoster(db: Reader, actor: Actor, teamId: string): Promise<Roster> {
  const [team, agents] = await Promise.all([
    db.selectFrom('teams').select('name').where('id', '=', teamId).executeTakeFirstOrThrow(),
    listAgents(db, actor, teamId),
  ]);
  return { team: team.name, agents };
}

/** @throws Problem `agent_missing`. */
export async function getAgent(db: Reader, actor: Actor, id: string): Promise<Agent> {
  const agent = await withDefinition(db)
    .where('a.organization_id', '=', actor.organizationId)
    .where('a.id', '=', id)
    .executeTakeFirst();
  if (!agent) throw new Problem('missing', 'agent_missing', 'There is no such agent.');
  return agent;
}

/** The agent as it was when a run began. */
export async function getAgentVersion(db: Reader, actor: Actor, id: string, version: number): Promise<Agent> {
  const agent = await getAgent(db, actor, id);
  if (agent.version === version) return agent;
  const definition = await db
    .selectFrom('agent_definitions')
    .selectAll()
    .where('agent_id', '=', id)
    .where('version', '=', version)
    .executeTakeFirst();
  if (!definition) throw new Problem('missing', 'agent_missing', 'There is no such version of the agent.');
  return { ...agent, ...definition, id: agent.id, created_at: agent.created_at };
}

export function listTeams(db: Reader, actor: Actor): Promise<Row<'teams'>[]> {
  return db
    .selectFrom('teams')
    .selectAll()
    .where('organization_id', '=', actor.organizationId)
    .orderBy('name')
    .execute();
}

/** How many unfinished runs each agent has: what tells busy from idle. */
export async function countOpenRuns(db: Reader, actor: Actor): Promise<Map<string, number>> {
  const rows = await db
    .selectFrom('runs')
    .where('organization_id', '=', actor.organizationId)
    .where('state', 'in', ['queued', 'running', 'waiting', 'lost'])
    .groupBy('agent_id')
    .select(['agent_id', sql<number>`count(*)`.as('count')])
    .execute();
  return new Map(rows.map(row => [row.agent_id, row.count]));
}
