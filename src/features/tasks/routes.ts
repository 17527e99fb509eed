/** Routes of tasks: create, list, look into, and the four things a person may do with one. */
import { z } from 'zod';
import { idPattern } from '../../base/ids.ts';
import { Problem } from '../../base/problem.ts';
import type { Clock } from '../../base/time.ts';
import type { Reader, Tenants } from '../../platform/db/db.ts';
import type { TaskSource } from '../../platform/db/schema.ts';
import { cursorQuery, pageOf, problemResponses, time, toPage } from '../../platform/http/schemas.ts';
import type { Server } from '../../platform/http/server.ts';
import { findAnswer, write } from '../../platform/http/write.ts';
import type { Actor } from '../../platform/journal/facts.ts';
import { findTeam, listAgents } from '../agents/agents.ts';
import { actorOf, principalOf } from '../identity/access.ts';
import { inProjects, type Principal } from '../identity/principal.ts';
import { projectForTask, requireDependencies, taskFor } from './task-access.ts';
import { openStates } from './task-states.ts';
import {
  agentsById,
  checkView,
  messageView,
  showCheck,
  showStep,
  showTask,
  showTaskDetail,
  stepView,
  taskDetail,
  taskSummary,
} from './task-views.ts';
import {
  cancelTask,
  createTask,
  type NewTask,
  pauseTask,
  resumeTask,
  retryTask,
  type Task,
} from './tasks.ts';

const lines = z.array(z.string().min(1).max(2_000)).max(50).default([]);

/** What a person gives to have work done. */
export const taskInput = z.strictObject({
  request: z.string().trim().min(1, 'say what is to be done').max(20_000),
  title: z.string().trim().min(1).max(200).optional().describe('Default: the first line of the request.'),
  team: z.string().max(100).default('software-team'),
  project: z.string().max(100).default('default'),
  repository: z
    .strictObject({
      location: z.string().min(1).max(2_000).describe('Path on the server, or https URL.'),
      branch: z
        .string()
        .min(1)
        .max(250)
        .nullable()
        .default(null)
        .describe('Default: the branch that is checked out.'),
      setup: z
        .string()
        .max(2_000)
        .nullable()
        .default(null)
        .describe('Command that prepares a fresh clone, before the work and before checks.'),
      allow_dirty: z
        .boolean()
        .default(false)
        .describe('Work from the last commit although there are uncommitted changes.'),
    })
    .nullable()
    .default(null),
  checks: z
    .array(z.string().trim().min(1).max(2_000))
    .max(20)
    .default([])
    .describe('Commands that must exit with 0 on the delivered commit.'),
  acceptance_criteria: lines,
  requirements: lines,
  out_of_scope: lines,
  inputs: lines,
  budget_usd: z.number().positive().max(1_000_000).nullable().default(null),
  deadline_minutes: z.number().int().min(1).max(10_080).default(240),
  max_turns: z.number().int().min(1).max(500).default(100),
  depends_on: z
    .array(z.string().regex(idPattern('task')))
    .max(50)
    .default([]),
});
export type TaskInput = z.output<typeof taskInput>;

export interface TaskDeps {
  tenants: Tenants;
  clock: Clock;
  /** Looks at a repository before anything is created. @throws Problem that says what is wrong with it. */
  inspectRepository(input: NonNullable<TaskInput['repository']>): Promise<TaskSource>;
  /** @throws Problem when tasks cannot run now: no sandbox, no key for the model. */
  requireReady(actor: Actor, agentModels: string[], needsSandbox: boolean): Promise<void>;
  /** The unified diff that a task delivered, or null. */
  readDiff(db: Reader, actor: Actor, task: Task): Promise<string | null>;
}

const idParams = z.strictObject({ id: z.string().regex(idPattern('task')) });
const reasonBody = z
  .strictObject({ reason: z.string().max(2_000).nullable().default(null) })
  .default({ reason: null });

export function taskRoutes(server: Server, deps: TaskDeps): void {
  const { tenants, clock } = deps;
  const now = () => new Date(clock.now());

  server.post(
    '/api/v1/tasks',
    {
      config: { permission: 'task.create' },
      schema: {
        tags: ['tasks'],
        summary: 'Give a team work',
        body: taskInput,
        response: { 200: taskDetail, ...problemResponses },
      },
    },
    async request => {
      const principal = principalOf(request);
      const { actor } = principal;
      const input = request.body;
      // The look at models, sandbox and repository takes its time: it is made between two transactions.
      const { stored, place } = await tenants.within(actor, async tx => {
        const answer = await findAnswer<z.output<typeof taskDetail>>(tx, actor, request);
        return answer
          ? { stored: answer, place: null }
          : { stored: null, place: await findPlace(tx, principal, input) };
      });
      if (stored) return stored;
      await deps.requireReady(actor, place.models, true);
      const source = input.repository ? await deps.inspectRepository(input.repository) : null;
      return write(tenants, actor, now(), request, async tx => {
        await requireDependencies(tx, principal, input.depends_on);
        const task = await createTask(tx, actor, now(), newTask(now(), input, place, source));
        return showTaskDetail(tx, actor, task);
      });
    },
  );

  server.get(
    '/api/v1/tasks',
    {
      config: { permission: 'task.read' },
      schema: {
        tags: ['tasks'],
        summary: 'List tasks, newest first',
        querystring: cursorQuery.extend({
          state: taskSummary.shape.state.optional(),
          open: z.enum(['true', 'false']).optional(),
          roots: z
            .enum(['true', 'false'])
            .default('true')
            .describe('Only tasks that people gave, not delegated ones.'),
        }),
        response: { 200: pageOf(taskSummary), ...problemResponses },
      },
    },
    async request => {
      const actor = actorOf(request);
      const { cursor, limit, state, open, roots } = request.query;
      return tenants.within(actor, async tx => {
        let query = tx.selectFrom('tasks').selectAll().where('organization_id', '=', actor.organizationId);
        query = query.where(inProjects(principalOf(request), 'task.read', 'tasks.project_id'));
        if (cursor) query = query.where('id', '<', cursor);
        if (state) query = query.where('state', '=', state);
        if (open === 'true') query = query.where('state', 'in', [...openStates]);
        if (open === 'false') query = query.where('state', 'not in', [...openStates]);
        if (roots === 'true') query = query.where('parent_task_id', 'is', null);
        const rows = await query
          .orderBy('id', 'desc')
          .limit(limit + 1)
          .execute();
        const agents = await agentsById(tx, actor);
        const page = toPage(rows, limit);
        return { ...page, items: page.items.map(row => showTask(row, agents)) };
      });
    },
  );

  server.get(
    '/api/v1/tasks/:id',
    {
      config: { permission: 'task.read', agents: true },
      schema: {
        tags: ['tasks'],
        summary: 'One task',
        params: idParams,
        response: { 200: taskDetail, ...problemResponses },
      },
    },
    async request => {
      const actor = actorOf(request);
      return tenants.within(actor, async tx =>
        showTaskDetail(tx, actor, await taskFor(tx, principalOf(request), 'task.read', request.params.id)),
      );
    },
  );

  server.get(
    '/api/v1/tasks/:id/tree',
    {
      config: { permission: 'task.read' },
      schema: {
        tags: ['tasks'],
        summary: 'All tasks of the tree that a task belongs to, parents before children',
        params: idParams,
        response: { 200: z.object({ items: z.array(taskSummary) }), ...problemResponses },
      },
    },
    async request => {
      const actor = actorOf(request);
      return tenants.within(actor, async tx => {
        const task = await taskFor(tx, principalOf(request), 'task.read', request.params.id);
        const rows = await tx
          .selectFrom('tasks')
          .selectAll()
          .where('root_task_id', '=', task.root_task_id)
          .where('organization_id', '=', actor.organizationId)
          .orderBy('depth')
          .orderBy('id')
          .limit(1_000)
          .execute();
        const agents = await agentsById(tx, actor);
        return { items: rows.map(row => showTask(row, agents)) };
      });
    },
  );

  server.get(
    '/api/v1/tasks/:id/steps',
    {
      config: { permission: 'task.read' },
      schema: {
        tags: ['tasks'],
        summary: 'The journal of a task, or with tree=true of its whole tree, in the order of time',
        params: idParams,
        querystring: z.strictObject({
          tree: z.enum(['true', 'false']).default('false'),
          limit: z.coerce.number().int().min(1).max(2_000).default(500),
          after: z.iso.datetime().optional().describe('Only steps that began after this time.'),
        }),
        response: { 200: z.object({ items: z.array(stepView) }), ...problemResponses },
      },
    },
    async request => {
      const actor = actorOf(request);
      const { tree: whole, after, limit } = request.query;
      const rows = await tenants.within(actor, async tx => {
        const task = await taskFor(tx, principalOf(request), 'task.read', request.params.id);
        const tree = whole === 'true';
        let query = tx
          .selectFrom('steps')
          .innerJoin('runs as r', 'r.id', 'steps.run_id')
          .innerJoin('tasks as t', 't.id', 'r.task_id')
          .selectAll('steps')
          .where('steps.organization_id', '=', actor.organizationId)
          .where(tree ? 't.root_task_id' : 't.id', '=', tree ? task.root_task_id : task.id);
        if (after) query = query.where('steps.started_at', '>', new Date(after));
        return query
          .orderBy('steps.started_at')
          .orderBy('steps.run_id')
          .orderBy('steps.seq')
          .limit(limit)
          .execute();
      });
      return { items: rows.map(showStep) };
    },
  );

  server.get(
    '/api/v1/tasks/:id/checks',
    {
      config: { permission: 'task.read' },
      schema: {
        tags: ['tasks'],
        summary: 'Checks that the server ran for a task and all below it',
        params: idParams,
        response: { 200: z.object({ items: z.array(checkView) }), ...problemResponses },
      },
    },
    async request => {
      const actor = actorOf(request);
      const rows = await tenants.within(actor, async tx => {
        const task = await taskFor(tx, principalOf(request), 'task.read', request.params.id);
        return tx
          .selectFrom('checks as c')
          .innerJoin('tasks as t', 't.id', 'c.task_id')
          .selectAll('c')
          .where('c.organization_id', '=', actor.organizationId)
          .where('t.root_task_id', '=', task.root_task_id)
          .where(eb => (task.parent_task_id ? eb('t.id', '=', task.id) : eb.val(true)))
          .orderBy('c.id')
          .limit(1_000)
          .execute();
      });
      return { items: rows.map(showCheck) };
    },
  );

  server.get(
    '/api/v1/tasks/:id/diff',
    {
      // Runs git in a sandbox.
      config: { permission: 'task.read', limit: 'costly' },
      schema: {
        tags: ['tasks'],
        summary: 'The change that a task delivered, as a unified diff',
        params: idParams,
        response: { 200: z.object({ diff: z.string().nullable() }), ...problemResponses },
      },
    },
    async request => {
      const actor = actorOf(request);
      return tenants.within(actor, async tx => ({
        diff: await deps.readDiff(
          tx,
          actor,
          await taskFor(tx, principalOf(request), 'task.read', request.params.id),
        ),
      }));
    },
  );

  server.get(
    '/api/v1/tasks/:id/messages',
    {
      config: { permission: 'task.read' },
      schema: {
        tags: ['tasks'],
        summary: 'Messages between agents in the tree of a task',
        params: idParams,
        response: { 200: z.object({ items: z.array(messageView) }), ...problemResponses },
      },
    },
    async request => {
      const actor = actorOf(request);
      const rows = await tenants.within(actor, async tx => {
        const task = await taskFor(tx, principalOf(request), 'task.read', request.params.id);
        return tx
          .selectFrom('messages as m')
          .innerJoin('tasks as t', 't.id', 'm.task_id')
          .selectAll('m')
          .where('m.organization_id', '=', actor.organizationId)
          .where('t.root_task_id', '=', task.root_task_id)
          .orderBy('m.id')
          .limit(1_000)
          .execute();
      });
      return {
        items: rows.map(m => ({
          id: m.id,
          task_id: m.task_id,
          sender: m.sender,
          recipient: m.recipient_agent_id,
          subject: m.subject,
          body: m.body,
          created_at: time(m.created_at),
        })),
      };
    },
  );

  const actions = {
    cancel: { summary: 'Cancel a task and all below it', run: cancelTask },
    pause: { summary: 'Pause a task after the step under way', run: pauseTask },
    resume: { summary: 'Let a paused task go on', run: resumeTask },
    retry: { summary: 'Try a task again that ended without success', run: retryTask },
  };
  for (const [name, action] of Object.entries(actions)) {
    server.post(
      `/api/v1/tasks/:id/${name}`,
      {
        config: { permission: 'task.control' },
        schema: {
          tags: ['tasks'],
          summary: action.summary,
          params: idParams,
          body: reasonBody,
          response: { 200: taskDetail, ...problemResponses },
        },
      },
      async request => {
        const actor = actorOf(request);
        const { id } = request.params as { id: string };
        const { reason } = request.body as { reason: string | null };
        return write(tenants, actor, now(), request, async tx => {
          await taskFor(tx, principalOf(request), 'task.control', id);
          return showTaskDetail(tx, actor, await action.run(tx, actor, now(), id, reason));
        });
      },
    );
  }
}

/** Where a task goes: the project, and the agent at the top of the team. */
interface Place {
  projectId: string;
  agentId: string;
  /** Of all agents of the team. */
  models: string[];
}

async function findPlace(db: Reader, principal: Principal, input: TaskInput): Promise<Place> {
  const { actor } = principal;
  const teamName = input.team;
  const team = await findTeam(db, actor, teamName);
  if (!team)
    throw new Problem(
      'invalid',
      'team_missing',
      `There is no team named ${teamName}. POST /api/v1/teams makes one from a template.`,
    );
  const agents = await listAgents(db, actor, team.id);
  const lead = agents.find(agent => agent.reports_to === null && agent.state === 'active');
  if (!lead)
    throw new Problem('conflict', 'team_has_no_lead', `The team ${teamName} has no active agent at its top.`);
  return {
    projectId: await projectForTask(db, principal, input.project, team),
    agentId: lead.id,
    models: [...new Set(agents.map(agent => agent.model))],
  };
}

function newTask(at: Date, input: TaskInput, place: Place, source: TaskSource | null): NewTask {
  return {
    projectId: place.projectId,
    agentId: place.agentId,
    title: input.title ?? titleOf(input.request),
    kind: 'work' as const,
    brief: {
      objective: input.request,
      requirements: input.requirements,
      out_of_scope: input.out_of_scope,
      inputs: input.inputs,
      expected_outputs: [],
      acceptance_criteria: input.acceptance_criteria,
    },
    checks: input.checks,
    source,
    baseCommit: source?.commit ?? null,
    maxTurns: input.max_turns,
    deadlineAt: new Date(at.getTime() + input.deadline_minutes * 60_000),
    budgetMicros: input.budget_usd === null ? null : Math.round(input.budget_usd * 1_000_000),
    dependsOn: input.depends_on,
  };
}

function titleOf(request: string): string {
  const line = request.split('\n')[0]?.trim() ?? '';
  return line.length > 100 ? `${line.slice(0, 99)}…` : line;
}
