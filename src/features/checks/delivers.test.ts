import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { test } from 'node:test';
import { brokenAdd, git, makeRepository, startTestApp } from '../../../test/harness/app.ts';
import { programmedModel } from '../../../test/harness/model.ts';
import { repairTeam } from '../../../test/harness/team.ts';

test('X-34 a team delivers a verified change: task, children, checks, branch in the source', async () => {
  const model = programmedModel(repairTeam);
  await using guildhall = await startTestApp({
    modelDrivers: [model],
    env: { GUILDHALL_MODEL: 'programmed/team' },
  });
  const repository = await makeRepository(brokenAdd);
  try {
    const created = await guildhall.api<{ id: string }>('POST', '/api/v1/tasks', {
      request: 'The test of add fails. Fix it.',
      repository: { location: repository },
      checks: ['node --test'],
    });
    assert.equal(created.status, 200, JSON.stringify(created.body));
    const task = await guildhall.untilTask(created.body.id, ['succeeded', 'failed', 'dead_letter']);
    assert.equal(task.state, 'succeeded', task.state_reason);
    const branch = `guildhall/${task.id}`;
    assert.equal(task.delivered_branch, branch);
    assert.equal(await git(repository, 'rev-parse', branch), task.delivered_commit);
    assert.match(await git(repository, 'show', `${branch}:sum.js`), /a \+ b/);
    assert.equal(await git(repository, 'status', '--porcelain'), '');
    await git(repository, 'fsck', '--strict');
    const tree = await guildhall.api<{
      items: { agent: { name: string }; state: string; decision: string }[];
    }>('GET', `/api/v1/tasks/${task.id}/tree`);
    assert.deepEqual(
      tree.body.items.map(t => [t.agent.name, t.state, t.decision]),
      [
        ['lead', 'succeeded', 'done'],
        ['coder', 'succeeded', 'done'],
        ['tester', 'succeeded', 'pass'],
      ],
    );
    const checks = await guildhall.api<{
      items: { kind: string; passed: boolean; exit_code: number | null }[];
    }>('GET', `/api/v1/tasks/${task.id}/checks`);
    assert.deepEqual(
      checks.body.items.map(c => [c.kind, c.passed, c.exit_code]),
      [
        ['command', true, 0],
        ['verification', true, null],
        ['command', true, 0],
        ['delivery', true, null],
      ],
    );
    const diff = await guildhall.api<{ diff: string }>('GET', `/api/v1/tasks/${task.id}/diff`);
    assert.match(diff.body.diff, /^- {2}return a - b;$/m);
    assert.match(diff.body.diff, /^\+ {2}return a \+ b;$/m);
  } finally {
    await rm(repository, { recursive: true, force: true });
  }
});
