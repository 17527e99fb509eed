/** Who does what: leads delegate and hand in what was shown, testers judge by what they run, others say that they cannot. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { JsonObject } from '../../../base/json.ts';
import type { ModelMessage, ModelSuccess } from '../../../features/models/port.ts';
import { type ToolName, toolArguments } from '../../../features/tools/catalog.ts';
import { createScriptedDriver } from './driver.ts';
import { briefOf, callOptions, decisions, rehearse, requestOf } from './rehearsal.test.ts';

const leadTools = [
  'list_files',
  'read_file',
  'search_files',
  'git_diff',
  'delegate',
  'ask_human',
  'send_message',
  'submit_result',
];
const reports = ['- carl (role: coder): Repairs.', '- tess (role: tester): Verifies.'];
const sha = 'a'.repeat(40);

interface Scripted {
  system?: string;
  brief?: string;
  tools?: string[];
  choice?: string;
}

function systemOf(role: string, team: string[] = []): string {
  const chain = team.length > 0 ? `Your direct reports:\n${team.join('\n')}\n` : '';
  return `You are lea, Lead in the team test.\nRole: ${role}\nYou report to the people who run this installation.\n${chain}\nDo your part.`;
}

const repair = briefOf({ checks: ['npm test'] }, decisions('done', 'gave_up'));

/** Plays a conversation: each result answers the calls of one turn, in order; gives all calls that were made. */
async function converse(
  given: Scripted,
  results: (string | { error: string })[][],
): Promise<{ name: string; args: JsonObject }[]> {
  const driver = createScriptedDriver();
  const messages: ModelMessage[] = [
    { role: 'user', content: [{ type: 'text', text: given.brief ?? repair }] },
  ];
  const made: { name: string; args: JsonObject }[] = [];
  for (const turn of [...results, []]) {
    const request = requestOf(given.system ?? systemOf('lead', reports), messages, given.tools ?? leadTools);
    const choice = given.choice ? { tool_choice: { name: given.choice } } : {};
    const outcome = (await driver.call({ ...request, ...choice }, callOptions())) as ModelSuccess;
    assert.equal(outcome.ok, true);
    messages.push({ role: 'assistant', content: outcome.content });
    const calls = outcome.content.filter(part => part.type === 'tool_call');
    for (const { name, arguments: args } of calls)
      made.push({ name, args: toolArguments[name as ToolName].parse(args) as JsonObject });
    if (turn.length === 0) break;
    assert.equal(calls.length, turn.length, `${calls.map(call => call.name)} was called`);
    messages.push({
      role: 'tool',
      content: calls.map((call, index) => {
        const result = turn[index]!;
        const failed = typeof result !== 'string';
        return {
          type: 'tool_result' as const,
          tool_call_id: call.id,
          content: failed ? result.error : result,
          is_error: failed,
        };
      }),
    });
  }
  return made;
}

const child = (id: string, assignee: string, rest: string) => `task: ${id}\nassignee: ${assignee}\n${rest}`;
const worked = (id = 'tsk_w1', commit = sha) =>
  child(
    id,
    'carl',
    `state: succeeded\ndecision: done\ncommit: ${commit}\nchecks: passed\n---\nReplaced - by +.`,
  );
const verified = (decision: string) =>
  child(
    'tsk_v1',
    'tess',
    `state: succeeded\ndecision: ${decision}\nchecks: none\n---\n\`npm test\` exited with ${decision === 'pass' ? 0 : 1}.`,
  );
const files = 'package.json\nsrc/code.js\ntest/code.test.js';

describe('the lead', () => {
  test('delegates the work, has it verified, and hands in the verified commit', async () => {
    const calls = await converse({}, [[files], [worked()], [verified('pass')]]);
    assert.deepEqual(
      calls.map(call => call.name),
      ['list_files', 'delegate', 'delegate', 'submit_result'],
    );
    const [, work, check, result] = calls.map(call => call.args);
    assert.equal(work!.assignee, 'carl');
    assert.equal(work!.objective, 'A test fails. Fix the code.');
    assert.deepEqual(work!.checks, ['npm test']);
    assert.deepEqual([check!.assignee, check!.kind, check!.subject_task], ['tess', 'verification', 'tsk_w1']);
    assert.deepEqual([result!.decision, result!.commit], ['done', sha]);
    assert.match(String(result!.summary), /tess verified it \(task tsk_v1\): pass/);
  });

  test('X-03 never hands in what the verification failed: the report goes back twice, then it gives up', async () => {
    const calls = await converse({}, [
      [files],
      [worked('tsk_w1')],
      [verified('fail')],
      [worked('tsk_w2')],
      [verified('fail')],
      [worked('tsk_w3')],
      [verified('fail')],
    ]);
    const work = calls.filter(call => call.args.kind === 'work').map(call => call.args);
    assert.deepEqual(
      work.map(args => args.subject_task),
      [null, 'tsk_w1', 'tsk_w2'],
    );
    assert.match(
      String((work[1]!.inputs as string[]).at(-1)),
      /verification of tsk_w1 failed[\s\S]*exited with 1/,
    );
    assert.deepEqual([calls.at(-1)!.args.decision, calls.at(-1)!.args.commit], ['gave_up', null]);
  });

  test('gives up with the evidence when the worker did', async () => {
    const gaveUp = child(
      'tsk_w1',
      'carl',
      'state: failed\ndecision: gave_up\nchecks: failed\n---\nnot ok 1 - adds',
    );
    const calls = await converse({}, [[files], [gaveUp]]);
    assert.deepEqual([calls.at(-1)!.args.decision, calls.at(-1)!.args.commit], ['gave_up', null]);
    assert.match(String(calls.at(-1)!.args.summary), /not ok 1 - adds/);
  });

  test('hands in without a commit where there was nothing to change', async () => {
    const nothing = child(
      'tsk_w1',
      'carl',
      'state: succeeded\ndecision: done\nchecks: passed\n---\nAlready passes.',
    );
    const calls = await converse({}, [[files], [nothing]]);
    assert.deepEqual([calls.at(-1)!.args.decision, calls.at(-1)!.args.commit], ['done', null]);
  });

  test('asks the next report when one rejects, and gives up when all did', async () => {
    const system = systemOf('lead', ['- carl (role: coder): Repairs.', '- cleo (role: engineer): Repairs.']);
    const rejected = child(
      'tsk_w1',
      'carl',
      'state: failed\ndecision: rejected\nchecks: none\n---\nRejected by carl: no time',
    );
    const calls = await converse({ system }, [
      [files],
      [rejected],
      [{ error: 'cleo rejected the assignment: no access' }],
    ]);
    assert.deepEqual(
      calls.filter(call => call.name === 'delegate').map(call => call.args.assignee),
      ['carl', 'cleo'],
    );
    assert.equal(calls.at(-1)!.args.decision, 'gave_up');
    assert.match(String(calls.at(-1)!.args.summary), /carl: .*no time[\s\S]*cleo: .*no access/);
  });

  test('says that nobody verified where there is no tester', async () => {
    const calls = await converse({ system: systemOf('manager', [reports[0]!]) }, [[files], [worked()]]);
    assert.deepEqual([calls.at(-1)!.args.decision, calls.at(-1)!.args.commit], ['done', sha]);
    assert.match(String(calls.at(-1)!.args.summary), /nobody verified it independently/);
  });

  test('looks for the test command when no check is named, and says that it is a guess', async () => {
    const manifest = 'path: package.json\nlines: 1-1 of 1\n---\n{"scripts":{"test":"node --test"}}\n';
    const calls = await converse({ brief: briefOf({}, decisions('done', 'gave_up')) }, [
      [files],
      [manifest],
      [worked()],
    ]);
    assert.deepEqual(calls[2]!.args.checks, ['npm test']);
    assert.match(
      JSON.stringify(calls[2]!.args.inputs),
      /`npm test` is a guess, because package.json has the test script/,
    );
  });

  test('asks people once when the objective is a question, and works with the answer', async () => {
    const brief = briefOf({ objective: 'Why is it slow?' }, decisions('done', 'gave_up'));
    const calls = await converse({ brief }, [
      ['answer: The totals are wrong, fix src/code.js.'],
      ['src/code.js'],
      [worked()],
    ]);
    assert.equal(calls[0]!.name, 'ask_human');
    assert.equal(calls.filter(call => call.name === 'ask_human').length, 1);
    assert.equal(calls[2]!.args.objective, 'The totals are wrong, fix src/code.js.');
  });

  test('a chief executive gives the work to the manager, not to people for staff or machines', async () => {
    const team = [
      '- hugo (role: hr): Staff.',
      '- ivan (role: it): Machines.',
      '- mona (role: manager): Engineering.',
    ];
    const calls = await converse({ system: systemOf('ceo', team) }, [[files], [worked()]]);
    assert.equal(calls[1]!.args.assignee, 'mona');
    assert.equal(calls.at(-1)!.args.commit, sha);
  });

  test('messages of colleagues between the turns do no harm', async () => {
    const driver = createScriptedDriver();
    const messages: ModelMessage[] = [
      { role: 'user', content: [{ type: 'text', text: repair }] },
      {
        role: 'user',
        content: [{ type: 'text', text: '[message from carl] I am free.\n[notice] Budget at 80 %.' }],
      },
    ];
    const outcome = await driver.call(
      requestOf(systemOf('lead', reports), messages, leadTools),
      callOptions(),
    );
    assert.equal(outcome.ok && outcome.stop, 'tool_calls');
  });
});

const judged =
  (...more: string[]) =>
  (head: string) =>
    [
      `## Subject\nTask tsk_w1 delivered commit ${head}. Judge it against the acceptance criteria.`,
      decisions('pass', 'fail'),
      ...more,
    ].join('\n\n');

describe('the tester', () => {
  const manifest = '{"type":"module","scripts":{"test":"node --test"}}\n';
  const testFile =
    "import assert from 'node:assert/strict';\nimport test from 'node:test';\nimport { add } from '../src/code.js';\ntest('adds', () => { assert.equal(add(1, 2), 3); });\n";
  const wrong = {
    'package.json': manifest,
    'src/code.js': 'export const add = (a, b) => a - b;\n',
    'test/code.test.js': testFile,
  };
  const right = { 'src/code.js': 'export const add = (a, b) => a + b;\n' };
  const scene = { role: 'tester', files: wrong, objective: 'Judge the commit.', sections: judged() };

  test('passes what it saw pass', async () => {
    const outcome = await rehearse({ ...scene, delivered: right, checks: ['npm test'] });
    assert.equal(outcome.decision, 'pass', outcome.summary);
    assert.match(outcome.summary, /`npm test` exited with 0[\s\S]*src\/code\.js \(\+1 -1\)/);
  });

  test('X-03 a failing repository makes QA fail, with what was printed', async () => {
    const outcome = await rehearse({
      ...scene,
      role: 'qa',
      delivered: { 'src/code.js': 'export const add = (a, b) => a * b;\n' },
      checks: ['npm test'],
    });
    assert.equal(outcome.decision, 'fail');
    assert.match(outcome.summary, /`npm test` exited with 1:[\s\S]*2 !== 3/);
  });

  test('fails a change that weakens tests, though the check passes', async () => {
    const weakened = { 'test/code.test.js': testFile.replace("test('adds'", "test.skip('adds'") };
    const outcome = await rehearse({ ...scene, delivered: weakened, checks: ['npm test'] });
    assert.equal(outcome.decision, 'fail');
    assert.match(
      outcome.summary,
      /exited with 0[\s\S]*test\/code\.test\.js is a test, and the change touches it[\s\S]*skips tests/,
    );
  });

  test('fails a change of the command that runs the tests', async () => {
    const outcome = await rehearse({
      ...scene,
      delivered: { 'package.json': '{"type":"module","scripts":{"test":"true"}}\n' },
      checks: ['npm test'],
    });
    assert.equal(outcome.decision, 'fail');
    assert.match(outcome.summary, /package\.json changes the test script/);
  });

  test('finds the test command itself, and fails where there is none', async () => {
    assert.equal((await rehearse({ ...scene, delivered: right })).decision, 'pass');
    const bare = await rehearse({
      ...scene,
      files: { 'readme.md': 'x\n' },
      delivered: { 'readme.md': 'y\n' },
    });
    assert.equal(bare.decision, 'fail');
    assert.match(bare.summary, /Nothing was shown/);
  });
});

describe('assignments', () => {
  const decide = async (brief: string, system = systemOf('coder')) =>
    (await converse({ brief, system, tools: ['decide_assignment'], choice: 'decide_assignment' }, []))[0]!
      .args;

  test('what can be done is accepted', async () => {
    assert.equal((await decide(repair)).decision, 'accept');
  });

  test('work without an objective and a verification without a subject are rejected, with a reason', async () => {
    const empty = await decide(`# Task tsk_1: Something\n\n${decisions('done', 'gave_up')}`);
    assert.deepEqual([empty.decision, /no objective/.test(String(empty.reason))], ['reject', true]);
    const blind = await decide(
      briefOf({ objective: 'Judge it.' }, decisions('pass', 'fail')),
      systemOf('tester'),
    );
    assert.deepEqual([blind.decision, /needs a subject/.test(String(blind.reason))], ['reject', true]);
  });
});

test('staff that can neither delegate nor repair says so', async () => {
  const calls = await converse(
    {
      system: systemOf('hr'),
      tools: ['send_message', 'submit_result'],
      brief: briefOf({ objective: 'Hire a tester for the team.' }, decisions('done', 'gave_up')),
    },
    [],
  );
  assert.deepEqual(
    calls.map(call => [call.name, call.args.decision]),
    [['submit_result', 'gave_up']],
  );
  assert.match(String(calls[0]!.args.summary), /real model/);
});

test('a result that the server refuses is not handed in again and again', async () => {
  const error = { error: 'The decision must be one of: done, gave_up.' };
  const driver = createScriptedDriver();
  const tools = ['submit_result'];
  const brief = briefOf({ objective: 'Hire a tester.' }, decisions('done', 'gave_up'));
  assert.equal((await converse({ system: systemOf('hr'), tools, brief }, [[error], [error]])).length, 3);
  const messages: ModelMessage[] = [{ role: 'user', content: [{ type: 'text', text: brief }] }];
  for (let turn = 0; turn < 3; turn += 1) {
    messages.push({
      role: 'assistant',
      content: [{ type: 'tool_call', id: `c${turn}`, name: 'submit_result', arguments: {} }],
    });
    messages.push({
      role: 'tool',
      content: [{ type: 'tool_result', tool_call_id: `c${turn}`, content: error.error, is_error: true }],
    });
  }
  const outcome = await driver.call(requestOf(systemOf('hr'), messages, tools), callOptions());
  assert.equal(outcome.ok && outcome.stop, 'end');
});
