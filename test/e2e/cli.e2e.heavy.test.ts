/** The command line as people use it: real processes, a real server, real repositories, the scripted model. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { ended, git, type Machine, openMachine, passes, until } from './machine.ts';

let machine: Machine;
let noSandbox: string | undefined;

before(async () => {
  machine = await openMachine();
  await machine.up();
  const { value } = await machine.json('doctor');
  const sandbox = value.components.find((c: { name: string }) => c.name === 'sandbox');
  if (sandbox.state !== 'ok') noSandbox = sandbox.summary;
});
after(() => machine[Symbol.asyncDispose]());

const manifest = JSON.stringify({
  name: 'x',
  version: '1.0.0',
  type: 'module',
  scripts: { test: 'node --test' },
});
const testOf = (name: string, body: string): string =>
  `import assert from 'node:assert/strict';\nimport { test } from 'node:test';\nimport { ${name} } from '../src/${name}.js';\n\n${body}\n`;

/** Repositories that are broken in different ways; the last ones cannot be mended by small edits. */
const broken = {
  comparison: {
    'package.json': manifest,
    'src/grade.js': `/** A grade from points: 90 is an A, 75 a B. */\nexport function grade(points) {\n  if (points > 90) return 'A';\n  return points >= 75 ? 'B' : 'C';\n}\n`,
    'test/grade.test.js': testOf(
      'grade',
      `test('grades begin at their limits', () => {\n  assert.deepEqual([91, 90, 75, 74].map(grade), ['A', 'A', 'B', 'C']);\n});`,
    ),
  },
  arithmetic: {
    'src/average.js': `export function average(numbers) {\n  if (numbers.length === 0) return 0;\n  let sum = 0;\n  for (const n of numbers) sum += n;\n  return sum * numbers.length;\n}\n`,
    'test/average.test.js': testOf(
      'average',
      `test('is the middle', () => {\n  assert.equal(average([1, 2, 3]), 2);\n  assert.equal(average([]), 0);\n  assert.equal(average([7]), 7);\n});`,
    ),
    'package.json': JSON.stringify({ name: 'x', version: '1.0.0', type: 'module' }),
  },
  unfixable: {
    'package.json': manifest,
    'src/roman.js': `export function roman(n) {\n  throw new Error('not implemented');\n}\n`,
    'test/roman.test.js': testOf(
      'roman',
      `test('writes numbers', () => {\n  assert.equal(roman(4), 'IV');\n  assert.equal(roman(1990), 'MCMXC');\n});`,
    ),
  },
};

test('demo without a server: starts one, shows what was executed, stops it', async t => {
  if (noSandbox) return t.skip(noSandbox);
  await using other = await openMachine();
  const { code, out, err } = await other.cli('demo', '--json');
  assert.equal(code, 0, err);
  const result = JSON.parse(out.trimEnd().split('\n').at(-1) as string);
  assert.equal(result.state, 'succeeded');
  assert.deepEqual(
    result.agents.map((a: { name: string }) => a.name),
    ['lead', 'coder', 'tester'],
  );
  assert.ok(result.agents.every((a: { runs: number }) => a.runs >= 1));
  assert.ok(result.steps > 10 && result.usage.tokens > 0 && result.duration_ms > 0);
  assert.equal(typeof result.usage.cost, 'number');
  assert.ok(result.checks.length > 0);
  for (const check of result.checks)
    assert.deepEqual(check, { command: 'npm test', exit_code: 0, passed: true });
  assert.match(result.diff, /^diff --git a\/src\/money\.js/);
  const repository = /Repository (\S+), check/.exec(err)?.[1] as string;
  assert.equal(git(repository, 'rev-parse', result.branch), result.commit);
  assert.ok(await passes(other, repository, result.commit));
  assert.ok(!(await passes(other, repository, 'main')), 'what was given is as it was');
  assert.equal(other.serverFile(), null, 'the server is stopped');
});

for (const kind of ['comparison', 'arithmetic'] as const) {
  test(`demo on a repository with another fault (${kind}) mends that one`, async t => {
    if (noSandbox) return t.skip(noSandbox);
    const repository = await machine.repository(kind, broken[kind]);
    const { code, value } = await machine.json('demo', '--repo', kind);
    assert.equal(code, 0);
    assert.equal(value.state, 'succeeded');
    assert.equal(value.checks.at(-1).command, kind === 'comparison' ? 'npm test' : 'node --test');
    assert.ok(await passes(machine, repository, value.commit));
    assert.ok(machine.serverFile(), 'the server that was running goes on');
    const diff = await machine.cli('task', 'diff', value.task_id);
    assert.equal(diff.out, value.diff);
    git(repository, 'apply', '--check', '-R', writeDiff(repository, value));
  });
}

/** Checks the delivered branch out, so that its diff can be taken back. @returns the path of the diff. */
function writeDiff(repository: string, value: { branch: string; commit: string; diff: string }): string {
  git(repository, 'checkout', '--quiet', '--detach', value.commit);
  const [before, after] = [git(repository, 'rev-parse', 'main'), value.commit];
  assert.equal(`${git(repository, 'diff', before, after)}\n`, value.diff);
  const path = join(machine.directory, `${value.commit}.diff`);
  git(repository, 'diff', before, after, `--output=${path}`);
  return path;
}

test('X-03 demo on a repository that no small edit mends: failed, exit 1, with the evidence', async t => {
  if (noSandbox) return t.skip(noSandbox);
  const repository = await machine.repository('unfixable', broken.unfixable);
  const { code, value } = await machine.json('demo', '--repo', repository);
  assert.equal(code, 1);
  assert.equal(value.state, 'failed');
  assert.deepEqual([value.commit, value.branch, value.diff], [null, null, null]);
  assert.ok(value.checks.length > 0);
  assert.ok(
    value.checks.every((c: { exit_code: number; passed: boolean }) => c.exit_code === 1 && !c.passed),
  );
  assert.match(value.reason, /not implemented/);
  assert.equal(git(repository, 'branch', '--format=%(refname:short)'), 'main', 'no branch was made');
  const card = await machine.cli('task', 'show', value.task_id);
  assert.match(card.out, /FAIL {2}npm test {2}exit 1/);
  assert.match(card.out, /Try again: \.\/guildhall task retry/);
  assert.equal((await machine.cli('task', 'diff', value.task_id)).code, 1);
});

test('demo that is interrupted stops its server; the task finishes with the next one', async t => {
  if (noSandbox) return t.skip(noSandbox);
  await using other = await openMachine();
  const child = other.start('demo', '--json');
  let err = '';
  child.stderr?.on('data', chunk => {
    err += chunk;
  });
  await until('the coder is at work', () => {
    assert.equal(child.exitCode, null, err);
    return /coder +run_command/.test(err);
  });
  const { pid } = other.serverFile() as { pid: number };
  child.kill('SIGKILL');
  await ended(child);
  const id = /Task (task_\w+)/.exec(err)?.[1] as string;
  await until('the server is gone', () => !isAlive(pid));
  assert.equal((await other.cli('task', 'list')).code, 5);
  await other.up();
  const watched = await other.cli('task', 'watch', id);
  assert.equal(watched.code, 0, watched.err);
  assert.match(watched.out, /State +succeeded \(done\)/);
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

test('task create on bad input: a sentence and an exit code, nothing is created', async t => {
  if (noSandbox) return t.skip(noSandbox);
  const repository = await machine.repository('good', broken.comparison);
  const dirty = await machine.repository('dirty', broken.comparison);
  await writeFile(join(dirty, 'src/grade.js'), '// not committed');
  const before = (await machine.json('task', 'list')).value.items.length;
  const cases: [string[], number, RegExp][] = [
    [['--repo', machine.directory], 2, /is not a git repository/],
    [['--repo', 'nowhere'], 2, /no directory .*nowhere/],
    [['--repo', dirty], 2, /uncommitted changes \(src\/grade\.js\).*--allow-dirty/],
    [['--repo', repository, '--branch', 'release'], 2, /no branch release\. It has main/],
    [['--repo', 'https://evil.example/team/app.git'], 2, /evil\.example is not among the allowed hosts/],
    [['--repo', 'http://github.com/a/b'], 2, /only https:\/\/ is allowed/],
    [['--repo', repository, '--team', 'nobody'], 2, /no team named nobody/],
    [['--repo', repository, '--project', 'secret'], 2, /no project named secret/],
  ];
  for (const [options, exitCode, sentence] of cases) {
    const { code, out, err } = await machine.cli('task', 'create', 'Fix it', ...options);
    assert.equal(code, exitCode, `${options.join(' ')}: ${err}`);
    assert.match(err, sentence);
    assert.equal(out, '');
  }
  const after = (await machine.json('task', 'list')).value.items.length;
  assert.equal(after, before);
});

test('task create --watch tells every event, one JSON value a line, and ends with the task', async t => {
  if (noSandbox) return t.skip(noSandbox);
  await machine.repository('watched', broken.arithmetic);
  const argv = [
    'task',
    'create',
    '--repo',
    'watched',
    '--check',
    'node --test',
    '--watch',
    '--json',
    'Mend the average',
  ];
  const { code, out } = await machine.cli(...argv);
  assert.equal(code, 0);
  const events = out
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line));
  assert.equal(events[0].type, 'task.created');
  assert.equal(events.at(-1).type, 'task.succeeded');
  assert.equal(events.at(-1).task_id, events[0].task_id);
  assert.equal(new Set(events.map(e => e.id)).size, events.length, 'each once');
  const again = await machine.cli('task', 'watch', events[0].task_id, '--json');
  assert.deepEqual(again.out, out, 'who comes late sees the same');
  const retried = await machine.json('task', 'retry', events[0].task_id);
  assert.deepEqual([retried.code, retried.value.error.code], [1, 'task_state_conflict']);
});

test('a question of an agent is listed, answered from the command line, and the task goes on', async t => {
  if (noSandbox) return t.skip(noSandbox);
  await machine.repository('asked', broken.comparison);
  const { value: task } = await machine.json('task', 'create', '--repo', 'asked', 'Hm?');
  let id = '';
  await until('it asks', async () => {
    const { value } = await machine.json('approval', 'list');
    id = value.items.find((a: { task_id: string }) => a.task_id === task.id)?.id ?? '';
    return id !== '';
  });
  const card = await machine.cli('task', 'show', task.id);
  assert.match(card.out, /It waits for a decision/);
  assert.equal((await machine.cli('approval', 'approve', id)).code, 2, 'a question needs an answer');
  assert.equal((await machine.cli('approval', 'approve', id, 'Make', 'npm test pass')).code, 0);
  assert.equal((await machine.cli('approval', 'reject', id, 'late')).code, 1, 'decided is decided');
  assert.equal((await machine.cli('task', 'watch', task.id)).code, 0);
});

test('a task is paused, resumed and cancelled', async t => {
  if (noSandbox) return t.skip(noSandbox);
  await machine.repository('long', broken.comparison);
  const argv = [
    'task',
    'create',
    '--repo',
    'long',
    '--check',
    'npm test',
    '--setup',
    'sleep 30',
    'Make npm test pass',
  ];
  const { value: task } = await machine.json(...argv);
  assert.equal((await machine.json('task', 'pause', task.id, '--reason', 'lunch')).value.state, 'paused');
  assert.notEqual((await machine.json('task', 'resume', task.id)).value.state, 'paused');
  assert.equal((await machine.json('task', 'cancel', task.id)).value.state, 'cancelled');
  assert.equal((await machine.cli('task', 'watch', task.id)).code, 1);
  assert.equal((await machine.cli('task', 'resume', task.id)).code, 1);
});

test('the other nouns: teams, agents, keys, budgets, usage, sign-in link', async () => {
  assert.equal((await machine.json('team', 'create', 'second', '--template', 'software-team')).code, 0);
  assert.equal((await machine.cli('team', 'create', 'second', '--template', 'software-team')).code, 1);
  const ambiguous = await machine.cli('agent', 'show', 'coder');
  assert.equal(ambiguous.code, 2);
  assert.match(ambiguous.err, /software-team\/coder or second\/coder|second\/coder or software-team\/coder/);
  const made = await machine.json(
    'agent',
    'create',
    'writer',
    '--team',
    'second',
    '--role',
    'writer',
    '--title',
    'Writer',
    '--description',
    'Writes.',
    '--instructions',
    'Write.',
    '--tool',
    'read_file',
    '--reports-to',
    'lead',
  );
  assert.equal(made.code, 0);
  const changed = await machine.json('agent', 'set', 'second/writer', '--title', 'Author', '--no-manager');
  assert.deepEqual(
    [changed.value.version, changed.value.title, changed.value.reports_to],
    [2, 'Author', null],
  );
  assert.equal((await machine.cli('agent', 'set', 'writer', '--model', 'nobody/x')).code, 2);
  assert.equal((await machine.cli('agent', 'set', 'writer', '--state', 'asleep')).code, 2);

  const key = (await machine.cli('key', 'create', 'reader', '--scope', 'read')).out.trim();
  const { url } = machine.serverFile() as { url: string };
  assert.equal((await machine.cli('task', 'list', '--server', url, '--key', key)).code, 0);
  assert.equal(
    (await machine.cli('key', 'list', '--server', url, '--key', key)).code,
    3,
    'reading is not administration',
  );
  const { value: keys } = await machine.json('key', 'list');
  const { id } = keys.items.find((k: { name: string }) => k.name === 'reader');
  assert.equal((await machine.cli('key', 'revoke', id)).code, 0);
  assert.equal((await machine.cli('task', 'list', '--server', url, '--key', key)).code, 3, 'revoked at once');
  assert.equal((await machine.cli('key', 'revoke', id)).code, 4);

  assert.equal(
    (await machine.json('budget', 'set', '12.50', '--organization')).value.limit_micros,
    12_500_000,
  );
  assert.match((await machine.cli('budget', 'list')).out, /organization .* \$12\.50/);
  assert.equal((await machine.json('usage')).code, 0);
  assert.equal((await machine.json('dead-letter', 'list')).code, 0);
  const { value: link } = await machine.json('login', '--link');
  assert.match(link.url, /^http:\/\/127\.0\.0\.1:\d+\/sign-in#ghl_/);
  assert.equal((await machine.json('version')).value.server.url, url);
  assert.ok(existsSync(join(machine.dataDir, 'server.json')));
});
