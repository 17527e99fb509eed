/**
 * The crash matrix: a worker process is killed (SIGKILL) at every point of a run, and another one goes on. Each
 * recovery has to end as the undisturbed run did, with its journal kept row by row, one usage record per model
 * call, the same idempotency key for a repeated call, and books that agree.
 */
import assert from 'node:assert/strict';
import { after, describe, type TestContext, test } from 'node:test';
import { processesWith, until } from '../harness/processes.ts';
import { type Lane, type LaneCase, openLane, slowSeconds } from './lane.ts';

const soloSteps = [
  'notice',
  'model',
  'run_command',
  'model',
  'edit_file',
  'model',
  'run_command',
  'git_commit',
  'model',
  'submit_result',
];

/** Right after a step has been journaled. */
const afterStep = (who: LaneCase['who'], agent: string, seq: number): LaneCase => ({
  who,
  arm: async ({ gates, fleet }) => {
    const committed = gates.afterStep(agent, seq);
    return { victim: async () => fleet.processOf(await committed) };
  },
});

/** When a step's effect has happened but its row is not committed, and never will be. */
const beforeCommit = (who: LaneCase['who'], agent: string, gateName: string): LaneCase => ({
  who,
  arm: async ({ gates, fleet }) => {
    const gate = await gates.close(gateName);
    return {
      victim: async taskId => {
        await gate.reached();
        return gateName.startsWith('end ')
          ? fleet.lockerOf('task.review')
          : fleet.holderOf(await runOf(fleet.guildhall.database.db, taskId, agent));
      },
      afterwards: gate.open,
    };
  },
});

async function runOf(db: Lane['fleet']['guildhall']['database']['db'], taskId: string, agent: string) {
  const run = await db
    .selectFrom('runs as r')
    .innerJoin('tasks as t', 't.id', 'r.task_id')
    .innerJoin('agents as a', 'a.id', 'r.agent_id')
    .where('t.root_task_id', '=', taskId)
    .where('a.name', '=', agent)
    .select('r.id')
    .executeTakeFirstOrThrow();
  return run.id;
}

const insideCommand: LaneCase = {
  who: 'solo',
  slow: 'command',
  arm: async ({ fleet }) => ({
    victim: async taskId => {
      await until('the command sleeps', 30_000, () => processesWith('sleep', slowSeconds).length > 0);
      return fleet.holderOf(await runOf(fleet.guildhall.database.db, taskId, 'soloist'));
    },
    afterwards: async () => {
      const killed = performance.now();
      await until(
        'the command died with its worker',
        1_000,
        () => processesWith('sleep', slowSeconds).length === 0,
      );
      assert.ok(performance.now() - killed < 1_000);
    },
  }),
};

const insideModelCall: LaneCase = {
  who: 'solo',
  arm: async ({ fleet, team }) => {
    const hold = team.hold(
      ({ request }) => request.messages.filter(m => m.role === 'assistant').length === 1,
    );
    return {
      victim: async taskId => {
        await hold.reached;
        return fleet.holderOf(await runOf(fleet.guildhall.database.db, taskId, 'soloist'));
      },
      afterwards: async () => hold.release(),
    };
  },
};

const insideCheck: LaneCase = {
  who: 'solo',
  slow: 'check',
  arm: async ({ fleet }) => ({
    victim: async () => {
      await until('the check sleeps', 30_000, () => processesWith('sleep', slowSeconds).length > 0);
      return fleet.lockerOf('task.review');
    },
  }),
};

const recoveries: number[] = [];

function lane(name: string, cases: [title: string, what: LaneCase][]): void {
  test(name, { timeout: 300_000 }, async (t: TestContext) => {
    await using opened = await openLane();
    for (const [title, what] of cases) {
      await t.test(title, async t => {
        const ms = await opened.run(what);
        if (ms > 0) recoveries.push(ms);
        assert.ok(ms < 10_000, `it took ${ms} ms until somebody went on`);
        t.diagnostic(`next step after ${ms} ms`);
      });
    }
  });
}

describe('JOB-01 kill -9 of the worker', { concurrency: 3 }, () => {
  lane(
    'JOB-01 after each step of a run',
    soloSteps.map((name, seq) => [`after step ${seq} (${name})`, afterStep('solo', 'soloist', seq)]),
  );
  lane('X-02 between the effect and the journal', [
    ...soloSteps.map((name, seq): [string, LaneCase] => [
      `step ${seq} (${name}) done, not journaled`,
      beforeCommit('solo', 'soloist', `step soloist ${seq}`),
    ]),
  ]);
  lane('JOB-01 inside calls, and in a team', [
    ['inside a command', insideCommand],
    ['inside a model call', insideModelCall],
    ['inside a check', insideCheck],
    ['branch delivered, end not written', beforeCommit('solo', 'soloist', 'end soloist')],
    ['child opened, parent not waiting yet', beforeCommit('team', 'lead', 'wait lead')],
    ['child accepts', beforeCommit('team', 'coder', 'step coder 2')],
    ['child checked, end not written', beforeCommit('team', 'coder', 'end coder')],
    ['result of the child arrives', beforeCommit('team', 'lead', 'step lead 2')],
    ['verdict arrives', beforeCommit('team', 'lead', 'step lead 4')],
    ['lead hands in', beforeCommit('team', 'lead', 'step lead 6')],
  ]);
  after(() => {
    const sorted = [...recoveries].sort((a, b) => a - b);
    console.log(
      `${sorted.length} recoveries: next step after ${sorted[sorted.length >> 1]} ms (median), ${sorted.at(-1)} ms (longest)`,
    );
  });
});
