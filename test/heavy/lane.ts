/**
 * A lane of the crash matrix: one database with two workers and a sweeper as real processes. In each case one worker
 * is killed at a point, the other one has to go on, and a new one is started for the next case.
 */
import { rm } from 'node:fs/promises';
import { type AgentInput, createTeam } from '../../src/features/agents/agents.ts';
import { addPrice } from '../../src/features/budgets/prices.ts';
import { transact } from '../../src/platform/db/db.ts';
import { brokenAdd, makeRepository } from '../harness/app.ts';
import { call, roleOf, type Turn } from '../harness/model.ts';
import { type Fleet, type GuildhallProcess, startFleet } from '../harness/processes.ts';
import { repairTeam } from '../harness/team.ts';
import { startWireTeam, type WireTeam } from '../harness/wire-team.ts';
import { type Result, readResult, readSteps, requireSameEnd } from './evidence.ts';
import { type Gates, installGates } from './gates.ts';

/** Nothing else on the machine sleeps exactly so long: the command can be found by it. */
export const slowSeconds = `1.5${process.pid}`;

const soloist: AgentInput = {
  name: 'soloist',
  title: 'Engineer',
  role: 'soloist',
  reports_to: null,
  description: 'Works alone.',
  instructions: 'Repair it.',
  model: 'default',
  tools: ['run_command', 'edit_file', 'write_file', 'git_commit', 'submit_result'],
  max_output_tokens: 1_000,
};

/** A test that costs nothing, so that the matrix is about Guildhall. */
const cheapTest = 'grep "a + b" sum.js';

/** Ten steps: a notice, and four turns with five tool calls. */
const soloTurns = (slow: boolean): Turn[] => [
  { calls: [call('run_command', { command: `${slow ? `sleep ${slowSeconds}; ` : ''}${cheapTest}` })] },
  { calls: [call('edit_file', { path: 'sum.js', old_text: 'a - b', new_text: 'a + b' })] },
  {
    calls: [
      call('run_command', { command: cheapTest }),
      call('git_commit', { message: 'Add rather than subtract' }),
    ],
  },
  { calls: [call('submit_result', { decision: 'done', summary: 'Fixed.' })] },
];

export interface LaneCase {
  /** `solo`: one agent, one run. `team`: lead, coder, tester. */
  who: 'solo' | 'team';
  slow?: 'command' | 'check';
  /** Comes before the task is created; the returned function waits for the point and gives who is to be killed. */
  arm(lane: Lane): Promise<Strike>;
}

export interface Strike {
  victim(taskId: string): Promise<GuildhallProcess>;
  /** After the kill. */
  afterwards?(): Promise<void>;
}

export interface Lane extends AsyncDisposable {
  fleet: Fleet;
  team: WireTeam;
  gates: Gates;
  /** @returns milliseconds from the kill to the first step that somebody else journaled. */
  run(lane: LaneCase): Promise<number>;
}

export async function openLane(): Promise<Lane> {
  await using opening = new AsyncDisposableStack();
  const team = await startWireTeam(request =>
    roleOf(request) === 'soloist'
      ? (soloTurns(JSON.stringify(request.messages[0]).includes('slow command'))[
          request.messages.filter(m => m.role === 'assistant').length
        ] as Turn)
      : repairTeam(request),
  );
  opening.use(team);
  const fleet = opening.use(await startFleet({ modelUrl: team.url }));
  const { database, app } = fleet.guildhall;
  const actor = { id: 'system', organizationId: app.installation.organizationId, requestId: 'lane' };
  await transact(database.db, async tx => {
    const template = { name: 'solo', description: 'One agent.', agents: [soloist] };
    await createTeam(tx, actor, new Date(), 'solo', template);
    await addPrice(tx, {
      provider: 'openai-compatible',
      model: 'test',
      valid_from: new Date(0),
      input_micros: 1_000_000,
      cached_read_micros: 100_000,
      cached_write_micros: 1_000_000,
      output_micros: 5_000_000,
      source: 'test',
    });
  });
  const gates = opening.use(await installGates(database));
  for (const role of ['sweeper', 'worker', 'worker'] as const) await fleet.start(role);
  const undisturbed = new Map<string, Result>();
  let spare: Promise<unknown> = Promise.resolve();

  async function begin({ who, slow }: LaneCase): Promise<{ id: string; repository: string }> {
    const repository = await makeRepository(brokenAdd);
    const { status, body } = await fleet.guildhall.api<{ id: string }>('POST', '/api/v1/tasks', {
      request: `The test of add fails. Fix it.${slow === 'command' ? ' (slow command)' : ''}`,
      team: who === 'solo' ? 'solo' : 'software-team',
      repository: { location: repository },
      checks: [slow === 'check' ? `sleep ${slowSeconds}; ${cheapTest}` : cheapTest],
      budget_usd: 5,
    });
    if (status !== 200) throw new Error(JSON.stringify(body));
    return { id: body.id, repository };
  }

  const end = (id: string) => fleet.guildhall.untilTask(id, ['succeeded', 'failed', 'dead_letter'], 60_000);

  async function resultOf(what: LaneCase): Promise<Result> {
    const kind = `${what.who} ${what.slow}`;
    const known = undisturbed.get(kind);
    if (known) return known;
    const { id, repository } = await begin(what);
    await end(id);
    const result = await readResult(database, id, repository);
    await rm(repository, { recursive: true, force: true });
    undisturbed.set(kind, result);
    return result;
  }

  const lane: Lane = {
    fleet,
    team,
    gates,
    async run(what) {
      const wanted = await resultOf(what);
      const strike = await what.arm(lane);
      const { id, repository } = await begin(what);
      const victim = await strike.victim(id);
      await victim.kill();
      const killedAt = Date.now();
      await strike.afterwards?.();
      const before = await readSteps(database, id);
      await spare;
      spare = fleet.start('worker');
      spare.catch(() => {}); // It is awaited by the next case.
      await end(id);
      await requireSameEnd(database, team, id, repository, wanted, before);
      await rm(repository, { recursive: true, force: true });
      const next = (await readSteps(database, id)).find(
        step => !before.some(b => b.run_id === step.run_id && b.seq === step.seq),
      );
      return next ? next.ended_at.getTime() - killedAt : 0;
    },
    async [Symbol.asyncDispose]() {
      await spare.catch(() => {});
      await parts.disposeAsync();
    },
  };
  const parts = opening.move();
  return lane;
}
