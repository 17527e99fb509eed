/**
 * A crew whose agents do what a test says, on a whole Guildhall in this process: a boss, three who report to the
 * boss, and one who reports to one of them. A test writes a program (the turns of an agent) and puts its name into
 * the objective of a task; the model finds it there, as it would find an order.
 */
import assert from 'node:assert/strict';
import { type AgentInput, createTeam } from '../../src/features/agents/agents.ts';
import type { ModelOutcome, ModelRequest } from '../../src/features/models/port.ts';
import { transact } from '../../src/platform/db/db.ts';
import { startTestApp, type TestApp, type TestAppOptions } from './app.ts';
import { call, type ProgrammedModel, programmedModel, type Turn } from './model.ts';

/** What an agent answers; `turn` does not count the decision about an assignment. */
export type Program = Turn[] | ((request: ModelRequest, turn: number) => Turn | ModelOutcome | Promise<Turn>);

export interface Crew extends AsyncDisposable {
  guildhall: TestApp;
  model: ProgrammedModel;
  /** Registers a program. @returns the objective that sets it off. @param decide the answer to the assignment. */
  order(program: Program, decide?: Turn): string;
  /** Gives the boss a task. @returns its id. */
  give(program: Program, more?: Record<string, unknown>): Promise<string>;
  /** Tool results of a task's journal, in order. */
  results(taskId: string): Promise<{ name: string; outcome: string; content: string }[]>;
  runOf(taskId: string): Promise<string>;
}

const tools: AgentInput['tools'] = [
  'list_files',
  'read_file',
  'write_file',
  'edit_file',
  'search_files',
  'run_command',
  'git_diff',
  'git_commit',
  'delegate',
  'ask_human',
  'send_message',
  'submit_result',
];

const member = (name: string, reportsTo: string | null): AgentInput => ({
  name,
  title: name,
  role: reportsTo === null ? 'boss' : 'worker',
  reports_to: reportsTo,
  description: `${name} does what the objective says.`,
  instructions: 'Do what the objective says.',
  model: 'default',
  tools,
  max_output_tokens: 1_000,
});

export const crew = [
  member('boss', null),
  member('ann', 'boss'),
  member('bob', 'boss'),
  member('cid', 'boss'),
  member('dan', 'ann'),
];

/** The turn that ends a task without a change to deliver. */
export const giveUp: Turn = { calls: [call('submit_result', { decision: 'gave_up', summary: 'Enough.' })] };
export const handIn: Turn = { calls: [call('submit_result', { decision: 'done', summary: 'Done.' })] };

export const delegate = (assignee: string, objective: string, more: object = {}) =>
  call('delegate', { assignee, title: assignee, objective, acceptance_criteria: ['done'], ...more });

export async function startCrew(options: Omit<TestAppOptions, 'modelDrivers'> = {}): Promise<Crew> {
  const programs: { program: Program; decide: Turn }[] = [];
  const model = programmedModel((request, turn) => {
    const brief = request.messages[0]?.content[0];
    const text = brief?.type === 'text' ? brief.text : '';
    const found = programs[Number(/^order number (\d+)$/m.exec(text)?.[1])];
    if (!found) throw new Error(`no program for: ${text}`);
    const { program, decide } = found;
    if (request.tools.some(tool => tool.name === 'decide_assignment')) return decide;
    const decided = request.messages.some(
      m =>
        m.role === 'assistant' &&
        m.content.some(p => p.type === 'tool_call' && p.name === 'decide_assignment'),
    );
    const own = decided ? turn - 1 : turn;
    return typeof program === 'function' ? program(request, own) : (program[own] ?? giveUp);
  });
  const guildhall = await startTestApp({
    ...options,
    modelDrivers: [model],
    env: { GUILDHALL_MODEL: 'programmed/test', ...options.env },
  });
  const { database, app } = guildhall;
  const { db } = database;
  await transact(db, tx =>
    createTeam(
      tx,
      { id: 'system', organizationId: app.installation.organizationId, requestId: 'crew' },
      new Date(),
      'crew',
      { name: 'crew', description: 'For tests.', agents: crew },
    ),
  );
  const order: Crew['order'] = (
    program,
    decide = { calls: [call('decide_assignment', { decision: 'accept' })] },
  ) => `order number ${programs.push({ program, decide }) - 1}`;
  return {
    guildhall,
    model,
    order,
    async give(program, more = {}) {
      const { status, body } = await guildhall.api<{ id: string }>('POST', '/api/v1/tasks', {
        request: order(program),
        team: 'crew',
        ...more,
      });
      assert.equal(status, 200, JSON.stringify(body));
      return body.id;
    },
    async results(taskId) {
      const steps = await db
        .selectFrom('steps')
        .selectAll()
        .where('task_id', '=', taskId)
        .where('kind', '=', 'tool')
        .orderBy('run_id')
        .orderBy('seq')
        .execute();
      return steps.map(({ name, outcome, data }) => ({ name, outcome, content: String(data.content) }));
    },
    async runOf(taskId) {
      const run = await db
        .selectFrom('runs')
        .select('id')
        .where('task_id', '=', taskId)
        .orderBy('id', 'desc')
        .executeTakeFirstOrThrow();
      return run.id;
    },
    [Symbol.asyncDispose]: () => guildhall[Symbol.asyncDispose](),
  };
}
