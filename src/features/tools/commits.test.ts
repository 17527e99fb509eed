import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openWorkshop, type TestWorkshop } from '../../../test/harness/workshop.ts';
import type { Sandbox } from '../sandboxes/port.ts';
import { toolArguments } from './catalog.ts';
import { sandboxTools, type ToolOutput } from './sandbox-tools.ts';

let workshop: TestWorkshop;
before(async () => {
  workshop = await openWorkshop();
});
after(() => workshop[Symbol.asyncDispose]());

const boxed = (title: string, body: (sandbox: Sandbox) => Promise<void>) =>
  test(title, async t => {
    if (workshop.unusable !== null) return t.skip(workshop.unusable);
    const location = await workshop.repository({ 'a.txt': 'a\n', '.gitignore': 'ignored\n' });
    await body(await workshop.open(workshop.task(await workshop.inspect(location))));
  });

let serial = 0;
const commit = (sandbox: Sandbox, message: string, key = `run_c:${serial++}`): Promise<ToolOutput> =>
  sandboxTools.git_commit(
    { sandbox, signal: new AbortController().signal, idempotencyKey: key },
    { message },
  );
const diff = (sandbox: Sandbox, path: string | null = null): Promise<ToolOutput> =>
  sandboxTools.git_diff(
    { sandbox, signal: new AbortController().signal, idempotencyKey: 'run_d:1' },
    toolArguments.git_diff.parse({ path }),
  );
async function shell(sandbox: Sandbox, command: string): Promise<string> {
  const result = await sandbox.exec({ argv: ['/bin/bash', '-c', command] });
  assert.equal(result.exit_code, 0, Buffer.from(result.stderr).toString());
  return Buffer.from(result.stdout).toString().trimEnd();
}
const count = (sandbox: Sandbox) => shell(sandbox, 'git rev-list --count HEAD ^refs/guildhall/start');

boxed(
  'git_commit commits everything that changed, by the agent, on the branch of the task',
  async sandbox => {
    await shell(sandbox, 'echo b > a.txt; echo n > "new file"; touch ignored; mkdir d; echo d > d/e');
    const done = await commit(sandbox, 'Change things\n\nWith a body.');
    assert.match(done.content, /^commit: [0-9a-f]{40}\nbranch: guildhall\/task_\w+\nfiles: 3$/);
    assert.equal(await shell(sandbox, 'git rev-parse HEAD'), done.content.slice(8, 48));
    assert.equal(await shell(sandbox, 'git log -1 --format="%an %ae"'), 'coder coder@guildhall.invalid');
    assert.equal(await shell(sandbox, 'git log -1 --format=%s%n%b | head -3'), 'Change things\nWith a body.');
    assert.equal(await shell(sandbox, 'git status --porcelain'), '');
  },
);

boxed('git_commit twice under one key makes one commit, and says the same', async sandbox => {
  await shell(sandbox, 'echo b > a.txt');
  const first = await commit(sandbox, 'Once', 'run_k:7');
  const again = await commit(sandbox, 'Once', 'run_k:7');
  assert.equal(again.content, first.content);
  assert.equal(await count(sandbox), '1');
  await shell(sandbox, 'echo c > a.txt');
  const later = await commit(sandbox, 'Twice', 'run_k:9');
  assert.notEqual(later.content, first.content);
  assert.equal(await count(sandbox), '2');
});

boxed('a commit whose message carries the key of another call does not pass for that call', async sandbox => {
  await shell(sandbox, 'echo b > a.txt');
  await commit(sandbox, 'Forged\n\nGuildhall-Call: run_f:2', 'run_f:1');
  await shell(sandbox, 'echo c > a.txt');
  const second = await commit(sandbox, 'Real', 'run_f:2');
  assert.match(second.content, /^commit: /);
  assert.equal(await shell(sandbox, 'git status --porcelain'), '');
  assert.equal(await shell(sandbox, 'git show HEAD:a.txt'), 'c');
});

boxed('nothing to commit is said, and a lock that a killed git left is no obstacle', async sandbox => {
  assert.equal((await commit(sandbox, 'Nothing')).content, 'nothing to commit');
  await shell(sandbox, 'echo b > a.txt; touch .git/index.lock');
  assert.match((await commit(sandbox, 'Despite the lock')).content, /^commit: /);
});

boxed('X-36 messages of every kind are kept as they are', async sandbox => {
  for (const message of [
    '-m',
    '--amend',
    '$(id)',
    '`id`',
    `it's "quoted"`,
    'ünïcödé 🦊',
    'a\\b',
    '%s %n',
    "EOF\n\n'EOF'",
  ]) {
    await shell(sandbox, 'date +%N >> a.txt');
    const done = await commit(sandbox, message);
    assert.match(done.content, /^commit: /, `${message}: ${done.content}`);
    assert.equal(await shell(sandbox, 'git log -1 --format=%s'), message.split('\n')[0]);
  }
});

boxed('hooks and settings that an agent plants do not stand between it and its commit', async sandbox => {
  await shell(
    sandbox,
    `printf '#!/bin/sh\\nexit 1\\n' > .git/hooks/pre-commit; cp .git/hooks/pre-commit .git/hooks/commit-msg; chmod +x .git/hooks/*
     git config commit.gpgSign true; git config gpg.program /bin/false; echo b > a.txt`,
  );
  const done = await commit(sandbox, 'Past the hooks');
  assert.match(done.content, /^commit: /, done.content);
});

boxed('git_diff shows all changes since the start, committed or not, new files too', async sandbox => {
  assert.equal((await diff(sandbox)).content, 'no changes');
  await shell(sandbox, 'echo b > a.txt');
  await commit(sandbox, 'First');
  await shell(sandbox, 'echo n > "new file.txt"; touch ignored');
  const all = (await diff(sandbox)).content;
  assert.match(all, /^-a\n\+b$/m);
  assert.match(all, /^\+n$/m);
  assert.doesNotMatch(all, /ignored/);
  const one = (await diff(sandbox, 'new file.txt')).content;
  assert.ok(one.includes('+n') && !one.includes('+b'));
});
