import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { after, test } from 'node:test';
import { brokenAdd, git, makeRepository, startTestApp } from '../../../test/harness/app.ts';
import { call, lastResult, programmedModel, roleOf, type Turn } from '../../../test/harness/model.ts';
import { repairTeam } from '../../../test/harness/team.ts';
import type { ModelRequest } from '../models/port.ts';

// Agents that claim what is not so. What they say is one thing, what is executed another.
type Team = (request: ModelRequest, turn: number) => Turn;
let team: Team = repairTeam;
const model = programmedModel((request, turn) =>
  request.tools.some(tool => tool.name === 'decide_assignment')
    ? { calls: [call('decide_assignment', { decision: 'accept' })] }
    : team(request, turn),
);
const guildhall = await startTestApp({ modelDrivers: [model], env: { GUILDHALL_MODEL: 'programmed/team' } });
const repositories: string[] = [];
after(async () => {
  await guildhall[Symbol.asyncDispose]();
  for (const path of repositories) await rm(path, { recursive: true, force: true });
});

interface Check {
  kind: string;
  command: string;
  passed: boolean;
  exit_code: number | null;
  outcome: string;
  output: string;
  round: number;
  task_id: string;
  commit: string | null;
}
interface Node {
  id: string;
  state: string;
  state_reason: string | null;
  round: number;
  agent: { name: string };
  decision: string | null;
}

async function work(
  acting: Team,
  checks: string[],
  prepare: (location: string) => Promise<unknown> = async () => {},
) {
  team = acting;
  const location = await makeRepository(brokenAdd);
  repositories.push(location);
  await prepare(location);
  const created = await guildhall.api<{ id: string }>('POST', '/api/v1/tasks', {
    request: 'The test of add fails. Fix it.',
    repository: { location },
    checks,
  });
  assert.equal(created.status, 200, JSON.stringify(created.body));
  const task = await guildhall.untilTask(created.body.id, ['succeeded', 'failed', 'dead_letter']);
  const get = async <T>(what: string) =>
    (await guildhall.api<{ items: T[] }>('GET', `/api/v1/tasks/${task.id}/${what}`)).body.items;
  return { task, location, checks: await get<Check>('checks'), tree: await get<Node>('tree') };
}

/** The turn of a run that is not its accepting. */
const turnOf = (request: ModelRequest): number =>
  request.messages.filter(
    m => m.role === 'assistant' && !JSON.stringify(m.content).includes('decide_assignment'),
  ).length;
const field = (text: string, name: string): string =>
  new RegExp(`^${name}: (.*)$`, 'm').exec(text)?.[1] ?? '';
const delegateWork = (checks: string[]): Turn => ({
  calls: [
    call('delegate', {
      assignee: 'coder',
      title: 'Fix add',
      objective: 'Fix it',
      acceptance_criteria: ['it works'],
      checks,
    }),
  ],
});
/** A coder that commits nonsense and says that it is done. */
function liar(request: ModelRequest): Turn {
  return turnOf(request) === 0
    ? {
        calls: [
          call('write_file', { path: 'sum.js', content: `export const add = () => ${Math.random()};\n` }),
          call('git_commit', { message: 'Fix add' }),
        ],
      }
    : { calls: [call('submit_result', { decision: 'done', summary: 'All tests pass now.' })] };
}
const giveUp: Turn = {
  calls: [call('submit_result', { decision: 'gave_up', summary: 'It cannot be done.' })],
};
const branches = (location: string) =>
  git(location, 'for-each-ref', '--format=%(refname:short)', 'refs/heads');

test('X-03 failing checks go back with their report, three rounds in all; then the task has failed, with the evidence', async () => {
  const first = model.requests.length;
  const { task, location, checks, tree } = await work(
    (request, turn) => {
      if (roleOf(request) !== 'lead') return liar(request);
      return turn === 0 ? delegateWork(['node --test']) : giveUp;
    },
    ['node --test'],
  );
  assert.equal(task.state, 'failed');
  const child = tree.find(t => t.agent.name === 'coder');
  assert.deepEqual([child?.state, child?.round], ['failed', 3]);
  assert.match(child?.state_reason ?? '', /Checks failed in all 3 rounds: `node --test` \(exit code 1\)/);
  const ofChild = checks.filter(c => c.task_id === child?.id);
  assert.deepEqual(
    ofChild.map(c => [c.round, c.kind, c.passed, c.exit_code]),
    [
      [1, 'command', false, 1],
      [2, 'command', false, 1],
      [3, 'command', false, 1],
    ],
  );
  for (const check of ofChild) assert.match(check.output, /not ok|✖|AssertionError/);
  assert.equal(new Set(ofChild.map(c => c.commit)).size, 3, 'each round delivered a commit of its own');
  const coder = model.requests.slice(first).filter(r => roleOf(r.request) === 'coder');
  const briefs = coder.map(r => JSON.stringify(r.request.messages[0]));
  assert.ok(
    briefs.some(b => /Report of the previous round.*Check `node --test` failed \(exit code 1\)/s.test(b)),
    'the report went back',
  );
  assert.equal(await branches(location), 'main', 'nothing was delivered');
  const lead = model.requests.filter(r => roleOf(r.request) === 'lead').at(-1);
  assert.match(
    lastResult(lead?.request as ModelRequest),
    /state: failed.*checks: failed/s,
    'the lead was told the truth',
  );
});

test('X-03 an agent that verifies cannot pass what fails: the checks of the task decide', async () => {
  const { task, location, checks } = await work(
    (request, turn) => {
      const role = roleOf(request);
      if (role === 'coder') return liar(request);
      if (role === 'tester')
        return { calls: [call('submit_result', { decision: 'pass', summary: 'Looks good.' })] };
      if (JSON.stringify(request.messages[0]).includes('Report of the previous round')) return giveUp;
      const result = lastResult(request);
      if (turn === 0) return delegateWork([]);
      if (turn === 1)
        return {
          calls: [
            call('delegate', {
              assignee: 'tester',
              kind: 'verification',
              subject_task: field(result, 'task'),
              title: 'Verify',
              objective: 'Verify',
              acceptance_criteria: ['it works'],
            }),
          ],
        };
      const delivered = request.messages.find(m => m.role === 'tool');
      const commit = delivered?.role === 'tool' ? field(delivered.content[0]?.content ?? '', 'commit') : '';
      return { calls: [call('submit_result', { decision: 'done', summary: 'Verified.', commit })] };
    },
    ['node --test'],
  );
  assert.equal(task.state, 'failed');
  assert.ok(
    checks.some(c => c.kind === 'verification' && c.passed),
    'the verifier did say pass',
  );
  const own = checks.filter(c => c.task_id === task.id && c.kind === 'command');
  assert.ok(own.length >= 1 && own.every(c => !c.passed && c.exit_code === 1));
  assert.equal(checks.filter(c => c.kind === 'delivery').length, 0);
  assert.equal(await branches(location), 'main');
});

test('X-03 done without any check and without a verification is not done', async () => {
  const { task, location } = await work((request, turn) => {
    if (roleOf(request) === 'coder') return liar(request);
    if (turn === 0) return delegateWork([]);
    return {
      calls: [
        call('submit_result', {
          decision: 'done',
          summary: 'Done.',
          commit: field(lastResult(request), 'commit'),
        }),
      ],
    };
  }, []);
  assert.equal(task.state, 'failed');
  assert.match(task.state_reason, /Nothing was shown about the delivered commit/);
  assert.equal(await branches(location), 'main');
});

test('a commit that nobody delivered cannot be handed in', async () => {
  let answered = '';
  const { task } = await work((request, turn) => {
    if (turn === 0)
      return { calls: [call('submit_result', { decision: 'done', summary: 'Done.', commit: 'deadbeef' })] };
    answered = lastResult(request);
    return giveUp;
  }, []);
  assert.match(answered, /no commit deadbeef/);
  assert.equal(task.state, 'failed');
});

test('a decision that the task does not offer is refused to the agent', async () => {
  let answered = '';
  await work((request, turn) => {
    if (turn === 0) return { calls: [call('submit_result', { decision: 'approved', summary: 'x' })] };
    answered = lastResult(request);
    return giveUp;
  }, []);
  assert.match(answered, /one of: done, gave_up/);
});

test('giving up is a failure with the agent’s words and what the checks really say', async () => {
  const { task, checks } = await work(() => giveUp, ['node --test', 'true']);
  assert.equal(task.state, 'failed');
  assert.match(task.state_reason, /The agent gave up: It cannot be done\./);
  assert.deepEqual(
    checks.map(c => [c.command, c.passed, c.commit]),
    [
      ['node --test', false, null],
      ['true', true, null],
    ],
  );
});

test('a delivery that the source refuses is a failed task with the reason, not one that is tried for ever', async () => {
  const { task, location, checks } = await work(repairTeam, ['node --test'], path =>
    git(path, 'branch', 'guildhall'),
  );
  assert.equal(task.state, 'failed', task.state_reason);
  assert.match(task.state_reason, /branch guildhall.*Rename it/);
  const delivery = checks.find(c => c.kind === 'delivery');
  assert.deepEqual([delivery?.passed, delivery?.outcome], [false, 'refused']);
  assert.equal((await branches(location)).split('\n').join(), 'guildhall,main');
  await git(location, 'branch', '-m', 'guildhall', 'other');
  await guildhall.api('POST', `/api/v1/tasks/${task.id}/retry`);
  const again = await guildhall.untilTask(task.id, ['succeeded', 'dead_letter']);
  assert.equal(await git(location, 'rev-parse', `guildhall/${task.id}`), again.delivered_commit);
});
