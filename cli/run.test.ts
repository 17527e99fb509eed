import assert from 'node:assert/strict';
import { readFile, stat } from 'node:fs/promises';
import { test } from 'node:test';
import { type Answer, openPeer, openShell, problem, type Received } from './testing.ts';

const taskId = 'task_01m7yf7rjesj4qkatwqmsg01v7';

test('help without arguments and with --help, exit 0', async () => {
  await using shell = await openShell();
  const bare = await shell.run();
  assert.equal(bare.code, 0);
  assert.match(bare.out, /guildhall demo/);
  const help = await shell.run('task', 'create', '--help');
  assert.equal(help.code, 0);
  assert.match(help.out, /Examples:/);
  assert.equal(help.err, '');
});

test('an unknown command names the nearest one, exit 2', async () => {
  await using shell = await openShell();
  for (const [given, nearest] of [
    [['tsk'], 'task'],
    [['task', 'wacth', taskId], 'watch'],
    [['approval', 'aprove', 'x'], 'approve'],
  ] as const) {
    const { code, out, err } = await shell.run(...given);
    assert.equal(code, 2);
    assert.match(err, new RegExp(`Did you mean ${nearest}`));
    assert.equal(out, '');
  }
});

test('wrong arguments are refused before anything is sent, exit 2 and what to do', async () => {
  await using shell = await openShell();
  const cases: [string[], RegExp][] = [
    [['task', 'create'], /missing required argument 'request'/],
    [['task', 'create', '  '], /Say what is to be done: .*task create --repo/],
    [['task', 'create', 'x', '--budget', 'much'], /number above 0/],
    [['task', 'create', 'x', '--budget', '0'], /number above 0/],
    [['task', 'create', 'x', '--deadline', '1.5'], /whole number from 1 to 10080/],
    [['task', 'create', 'x', '--branch', 'main'], /--branch needs a repository/],
    [['task', 'create', '@nowhere.md'], /nowhere\.md cannot be read \(ENOENT\)/],
    [['task', 'list', '--state', 'sleeping'], /must be one of draft, queued/],
    [['key', 'create', 'x', '--scope', 'root'], /no scope root; there are read, write, admin/],
    [['budget', 'set', '5'], /one of --organization, --project <id>, --task <id>/],
    [['budget', 'set', '-5', '--organization'], /number of 0 or more/],
    [['agent', 'create', 'x', '--team', 't', '--title', 'X'], /needs --role, --description, --instructions/],
    [['agent', 'set', 'x'], /Say what to change/],
    [['approval', 'reject', 'x'], /missing required argument 'reason'/],
    [['login'], /Name the server and its key/],
    [['task', 'list', '--nope'], /unknown option '--nope'/],
    [['--server', 'ftp://x', 'task', 'list'], /takes an address such as/],
  ];
  for (const [argv, sentence] of cases) {
    const { code, out, err } = await shell.run(...argv);
    assert.equal(code, 2, argv.join(' '));
    assert.match(err, sentence);
    assert.equal(out, '');
    const json = await shell.run(...argv, '--json');
    assert.equal(json.code, 2);
    assert.equal(typeof JSON.parse(json.out).error.title, 'string', argv.join(' '));
  }
});

test('what cannot be an id is not found, exit 4, without a server', async () => {
  await using shell = await openShell();
  for (const argv of [
    ['task', 'show', '7'],
    ['dead-letter', 'show', 'x'],
    ['key', 'revoke', 'y'],
    ['approval', 'approve', 'z'],
  ]) {
    const { code, err } = await shell.run(...argv);
    assert.equal(code, 4);
    assert.match(err, /There is no .*: ids look like/);
  }
});

test('no server: exit 5 and how to start one; a foreign setting: exit 2 and its name', async () => {
  await using shell = await openShell();
  const { code, err } = await shell.run('task', 'list');
  assert.equal(code, 5);
  assert.equal(err, 'guildhall: No server is running on this data. Start it with ./guildhall up\n');
  const json = await shell.run('task', 'list', '--json');
  assert.equal(JSON.parse(json.out).error.code, 'server_not_running');
  await using misled = await openShell('', { GUILDHALL_DATE: 'x', PORT: 'y' });
  const refused = await misled.run('task', 'list');
  assert.equal(refused.code, 2);
  assert.match(
    refused.err,
    /cannot be used:\n {2}- GUILDHALL_DATE is not a setting of Guildhall\n {2}- PORT: /,
  );
});

test('problems of the server become exit codes, one sentence, and with --json one object', async () => {
  const cases: [Answer, number][] = [
    [problem(422, 'repository_dirty', 'The repository has uncommitted changes.'), 2],
    [problem(422, 'team_missing', 'There is no team named nobody. Make one.'), 2],
    [problem(401, 'sign_in_required', 'Sign in first.'), 3],
    [problem(403, 'scope_missing', 'This needs the scope write.'), 3],
    [problem(429, 'budget_exhausted', 'The budget is exhausted.'), 3],
    [problem(404, 'task_missing', 'There is no such task.'), 4],
    [problem(409, 'task_state_conflict', 'It has ended.'), 1],
    [problem(500, 'internal_error', 'Something went wrong.'), 1],
    [problem(503, 'sandbox_unusable', 'There is no sandbox.'), 5],
    [{ status: 502, body: { html: 'Bad gateway' } }, 5],
  ];
  let answer = cases[0]?.[0] as Answer;
  await using peer = await openPeer(() => answer);
  await using shell = await openShell();
  for (const [given, exitCode] of cases) {
    answer = given;
    const { code, out, err } = await shell.run(
      'task',
      'pause',
      taskId,
      '--server',
      peer.url,
      '--key',
      'ghk_x',
      '--json',
    );
    assert.equal(code, exitCode);
    const { error } = JSON.parse(out);
    assert.equal(error.status, given.status);
    assert.ok(err.startsWith(`guildhall: ${error.title}`), err);
    assert.equal(err.trim().split('\n').length, 1);
  }
});

test('a fault in the request is told without its place in the document', async () => {
  const title = 'The request is not valid: body.depends_on.0: must be the id of a task; antibody.x.';
  await using peer = await openPeer(() => problem(422, 'request_invalid', title));
  await using shell = await openShell();
  const { code, err } = await shell.run(
    'task',
    'create',
    'x',
    '--after',
    'y',
    '--server',
    peer.url,
    '--key',
    'k',
  );
  assert.equal(code, 2);
  assert.equal(
    err,
    'guildhall: The request is not valid: depends_on.0: must be the id of a task; antibody.x.\n',
  );
});

test('an address where nothing listens: exit 5', async () => {
  const peer = await openPeer(() => null);
  await peer[Symbol.asyncDispose]();
  await using shell = await openShell();
  const { code, err } = await shell.run('usage', '--server', peer.url, '--key', 'ghk_x');
  assert.equal(code, 5);
  assert.match(err, /does not answer \(ECONNREFUSED\)\. Start it with/);
});

test('task create sends what was said: paths made absolute, defaults left to the server', async () => {
  await using peer = await openPeer(() => ({ body: { id: taskId } }));
  await using shell = await openShell();
  const argv = [
    'task',
    'create',
    '--repo',
    'app',
    '--check',
    'npm test',
    '--check',
    'npm run lint',
    '--budget',
    '2.5',
    'Fix',
    'it',
  ];
  const { code, out } = await shell.run(...argv, '--server', peer.url, '--key', 'ghk_x');
  assert.equal(code, 0);
  assert.equal(out, `${taskId}\n\nWatch it:  ./guildhall task watch ${taskId}\n`);
  const [sent] = peer.received as [Received];
  assert.equal(sent.headers.authorization, 'Bearer ghk_x');
  assert.match(String(sent.headers['idempotency-key']), /^[0-9a-f-]{36}$/);
  assert.deepEqual(sent.body, {
    request: 'Fix it',
    repository: { location: `${shell.directory}/app`, branch: null, setup: null, allow_dirty: false },
    checks: ['npm test', 'npm run lint'],
    budget_usd: 2.5,
  });
  await shell.run(
    'task',
    'create',
    '--repo',
    'https://github.com/a/b',
    'x',
    '--server',
    peer.url,
    '--key',
    'k',
  );
  const location = ((peer.received[1] as Received).body as { repository: { location: string } }).repository
    .location;
  assert.equal(location, 'https://github.com/a/b');
});

test('lists are tables for people and one JSON value for programs; control characters of agents are not shown', async () => {
  const items = [
    {
      id: taskId,
      title: 'Fix \u001b[31mthe\u001b[0m test\u202e\n',
      state: 'waiting',
      waiting_on: 'approval',
      agent: { id: 'a', name: 'lead', role: 'lead', title: 'Lead' },
      created_at: '2026-01-02T03:04:05.000Z',
    },
  ];
  await using peer = await openPeer(() => ({ body: { items, next_cursor: null } }));
  await using shell = await openShell();
  const people = await shell.run('task', 'list', '--server', peer.url, '--key', 'k');
  assert.match(people.out, /^TASK +STATE +AGENT +CREATED +TITLE\n/);
  assert.match(people.out, /waiting for approval +lead +2026-01-0\d \d\d:\d\d +Fix the test\n$/);
  const program = await shell.run('task', 'list', '--json', '--open', '--server', peer.url, '--key', 'k');
  assert.deepEqual(JSON.parse(program.out), { items, next_cursor: null });
  assert.equal(peer.received[1]?.path, '/api/v1/tasks?open=true&roots=true&limit=50');
});

test('login keeps a key that works in a file of mode 0600, uses it, and forgets it', async () => {
  await using peer = await openPeer(({ headers, path }) => {
    if (headers.authorization !== 'Bearer ghk_good')
      return problem(401, 'sign_in_required', 'Sign in first.');
    if (path === '/api/v1/me')
      return { body: { member: { id: 'm', name: 'Ada', role: 'owner' }, scopes: ['read'] } };
    return { body: { calls: 1, tokens: 2, cost_micros: 30, unpriced_calls: 0 } };
  });
  await using bad = await openShell('ghk_bad\n');
  const refused = await bad.run('login', '--server', peer.url, '--key', '-');
  assert.equal(refused.code, 3);
  await using shell = await openShell('ghk_good\n');
  const unknown = await shell.run('usage', '--server', peer.url);
  assert.equal(unknown.code, 3);
  assert.match(unknown.err, /No key for .* is known\. Log in with/);
  const login = await shell.run('login', '--server', peer.url, '--key', '-');
  assert.equal(login.code, 0);
  assert.match(login.out, /as Ada \(read\)/);
  const file = `${shell.directory}/config/guildhall/credentials.json`;
  assert.equal((await stat(file)).mode & 0o777, 0o600);
  assert.match(await readFile(file, 'utf8'), /ghk_good/);
  const used = await shell.run('usage');
  assert.equal(used.out, '$0.00003, 2 tokens, 1 model call\n');
  assert.equal((await shell.run('login', '--forget')).code, 0);
  assert.doesNotMatch(await readFile(file, 'utf8'), /ghk_good/);
  assert.equal((await shell.run('usage')).code, 5);
});
