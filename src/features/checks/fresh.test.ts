import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { openWorkshop, type TestWorkshop } from '../../../test/harness/workshop.ts';
import { collectCommit, type TreeTask } from '../sandboxes/workspaces.ts';
import { runCommands } from './checks.ts';

let workshop: TestWorkshop;
before(async () => {
  workshop = await openWorkshop();
});
after(() => workshop[Symbol.asyncDispose]());

const boxed = (title: string, body: () => Promise<void>) =>
  test(title, async t => (workshop.unusable === null ? await body() : t.skip(workshop.unusable)));

/** A task and a commit in which its agent has run this. */
async function delivered(
  command: string,
  files: Record<string, string> = {},
): Promise<{ task: TreeTask; commit: string }> {
  const location = await workshop.repository({ 'a.txt': 'a\n', '.gitignore': 'ignored.txt\n', ...files });
  const task = workshop.task(await workshop.inspect(location));
  const sandbox = await workshop.open(task);
  const script = `${command}\ngit add -A && git commit -qm Work --allow-empty && git rev-parse HEAD`;
  const { stdout, exit_code, stderr } = await sandbox.exec({ argv: ['/bin/bash', '-ec', script] });
  assert.equal(exit_code, 0, Buffer.from(stderr).toString());
  return { task, commit: await collectCommit(workshop.shop, task, Buffer.from(stdout).toString().trim()) };
}
const run = (of: { task: TreeTask; commit: string | null }, ...commands: string[]) =>
  runCommands(workshop.shop, of.task, of.commit, commands, new AbortController().signal);

boxed(
  'X-03 a check is executed: its exit code, its output and its verdict are what the command did',
  async () => {
    const of = await delivered('echo b > a.txt');
    const results = await run(
      of,
      'cat a.txt',
      'echo out; echo err >&2; exit 3',
      'no-such-program',
      'kill -9 $$',
    );
    assert.deepEqual(
      results.map(r => [r.passed, r.exit_code, r.outcome, r.commit]),
      [
        [true, 0, 'exit code 0', of.commit],
        [false, 3, 'exit code 3', of.commit],
        [false, 127, 'exit code 127', of.commit],
        [false, results[3]?.exit_code, results[3]?.outcome, of.commit],
      ],
    );
    assert.match(results[3]?.outcome ?? '', /SIGKILL|137/);
    assert.equal(results[0]?.output, 'b\n');
    assert.equal(results[1]?.output, 'out\n\nerr\n');
    for (const result of results) assert.ok(result.duration_ms > 0);
  },
);

boxed('a check sees the commit, not the workspace of whoever made it', async () => {
  const of = await delivered(
    'touch ignored.txt; echo secret > /tmp/left; mkdir -p .git/hooks; printf "#!/bin/sh\\nexit 1\\n" > .git/hooks/post-checkout; chmod +x .git/hooks/post-checkout',
  );
  const results = await run(
    of,
    'test ! -e ignored.txt',
    'test ! -e /tmp/left',
    'git status --porcelain | wc -l | grep -qx 0',
    'test "$(git config user.name)" = guildhall',
    `test "$(git rev-parse HEAD)" = ${of.commit}`,
  );
  assert.deepEqual(
    results.map(r => [r.command, r.passed]),
    results.map(r => [r.command, true]),
  );
});

boxed('each check begins afresh: what one leaves the next does not see', async () => {
  const of = await delivered('true');
  const results = await run(
    of,
    'echo spoiled > a.txt; touch new; rm -rf .git',
    'cat a.txt; test ! -e new && git status',
    'sleep 300 & echo started',
    '! cat /proc/[0-9]*/comm | grep -qx sleep',
  );
  assert.deepEqual(
    results.map(r => r.passed),
    [true, true, true, true],
    JSON.stringify(results),
  );
  assert.match(results[1]?.output ?? '', /^a\n/);
});

boxed('the base of the tree is checked where nothing was delivered', async () => {
  const { task } = await delivered('echo b > a.txt');
  const [result] = await run({ task, commit: null }, 'cat a.txt');
  assert.deepEqual([result?.output, result?.commit], ['a\n', null]);
});

boxed('a check that takes too long or writes without end is stopped, and has failed', async () => {
  const of = await delivered('true');
  const shop = { ...workshop.shop, policy: { ...workshop.shop.policy, wall_ms: 1_500 } };
  const [slow] = await runCommands(shop, of.task, of.commit, ['sleep 60'], new AbortController().signal);
  assert.deepEqual([slow?.passed, slow?.outcome, slow?.exit_code], [false, 'timed_out', null]);
  const [flood] = await run(of, 'yes');
  assert.deepEqual([flood?.passed, flood?.outcome], [false, 'output_limit']);
  assert.ok((flood?.output.length ?? 0) <= 20_000);
});

boxed('X-36 a check of any text is run as it is; binary output does no harm', async () => {
  const of = await delivered('true');
  const results = await run(
    of,
    `test "it's" = 'it'"'"'s'`,
    'cat <<EOF | grep -q "\\$HOME"\n\\$HOME\nEOF',
    'head -c 300 /dev/zero; printf "\\377\\376"',
    'a=1\n[ $a = 1 ]',
  );
  assert.deepEqual(
    results.map(r => r.passed),
    [true, true, true, true],
    JSON.stringify(results),
  );
  assert.ok(!results[2]?.output.includes('\0'));
});

boxed('checks leave no clone behind, and stop when they are told to', async () => {
  const of = await delivered('true');
  await run(of, 'true');
  const left = await readdir(join(workshop.shop.dataDir, 'work', of.task.root_task_id));
  assert.deepEqual(
    left.filter(name => name.startsWith('check_')),
    [],
  );
  const abort = new AbortController();
  setTimeout(() => abort.abort(new Error('the worker stops')), 300);
  const stopped = runCommands(workshop.shop, of.task, of.commit, ['sleep 60', 'true'], abort.signal);
  await assert.rejects(stopped, /the worker stops|cancelled/);
});
