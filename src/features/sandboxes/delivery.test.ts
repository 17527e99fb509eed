import assert from 'node:assert/strict';
import { chmod, mkdir, readdir, readFile, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { git, listing, openWorkshop, type TestWorkshop } from '../../../test/harness/workshop.ts';
import { exportBranch } from './export.ts';
import { collectCommit, type TreeTask } from './workspaces.ts';

let workshop: TestWorkshop;
before(async () => {
  workshop = await openWorkshop();
});
after(() => workshop[Symbol.asyncDispose]());

const boxed = (title: string, body: () => Promise<void>) =>
  test(title, async t => (workshop.unusable === null ? await body() : t.skip(workshop.unusable)));

interface Work {
  location: string;
  task: TreeTask;
  branch: string;
  commit: string;
  deliver(commit?: string): Promise<void>;
  /** Another commit on the same branch of the workspace. */
  again(): Promise<string>;
}

/** A task whose workspace has a commit, collected into its tree. */
async function work(location: string): Promise<Work> {
  const source = await workshop.inspect(location);
  const task = workshop.task(source);
  const sandbox = await workshop.open(task);
  let serial = 0;
  const again = async (): Promise<string> => {
    const script = `echo ${serial++} > change.txt && git add -A && git commit -qm "Change ${serial}" && git rev-parse HEAD`;
    const { stdout, exit_code } = await sandbox.exec({ argv: ['/bin/bash', '-c', script] });
    assert.equal(exit_code, 0);
    return collectCommit(workshop.shop, task, Buffer.from(stdout).toString().trim());
  };
  const commit = await again();
  const branch = `guildhall/${task.id}`;
  return {
    location,
    task,
    branch,
    commit,
    again,
    deliver: (which = commit) =>
      exportBranch(workshop.shop, task, {
        location,
        branch,
        commit: which,
        base: source.commit,
        now: new Date(),
      }),
  };
}

const headOf = (w: Work) => git(w.location, 'rev-parse', `refs/heads/${w.branch}`);

boxed('the branch appears in the source, whole and sound; nothing else in it is touched', async () => {
  const location = await workshop.repository({ 'a.txt': 'a\n', 'dir/b.txt': 'b\n' });
  await git(location, 'tag', 'v1');
  const w = await work(location);
  const entries = async () =>
    new Map((await listing(location)).map(line => [line.split(' ')[0] as string, line]));
  const before = await entries();
  await w.deliver();
  const now = await entries();
  const added = [...now.keys()].filter(name => !before.has(name));
  assert.deepEqual(
    new Set(added.map(name => name.replace(/[0-9a-f]{40}/, 'HASH'))),
    new Set([
      '.git/objects/pack/pack-HASH.idx',
      '.git/objects/pack/pack-HASH.pack',
      '.git/refs/heads/guildhall',
      `.git/refs/heads/${w.branch}`,
    ]),
  );
  // Of what was there, only the folders that got a new entry have another time.
  const changed = [...before.keys()].filter(name => now.get(name) !== before.get(name));
  assert.deepEqual(new Set(changed), new Set(['.git/objects/pack', '.git/refs/heads']));
  assert.equal(await headOf(w), w.commit);
  assert.equal(await git(location, 'show', `${w.branch}:change.txt`), '0');
  await git(location, 'fsck', '--strict', '--full');
  assert.equal(await git(location, 'status', '--porcelain'), '');
  assert.equal(await git(location, 'symbolic-ref', '--short', 'HEAD'), 'main');
});

boxed('what is delivered belongs to whom the repository belongs to', async () => {
  const location = await workshop.repository();
  const owner = await stat(join(location, '.git/objects'));
  const w = await work(location);
  await w.deliver();
  for (const path of [`.git/refs/heads/${w.branch}`, '.git/refs/heads/guildhall']) {
    const info = await stat(join(location, path));
    assert.deepEqual([info.uid, info.gid], [owner.uid, owner.gid], path);
  }
});

boxed('delivering twice changes nothing', async () => {
  const w = await work(await workshop.repository());
  await w.deliver();
  const before = await listing(w.location);
  await w.deliver();
  assert.deepEqual(await listing(w.location), before);
});

boxed('a second delivery after a new attempt moves the branch', async () => {
  const w = await work(await workshop.repository());
  await w.deliver();
  const second = await w.again();
  await w.deliver(second);
  assert.equal(await headOf(w), second);
  await w.deliver(w.commit);
  assert.equal(await headOf(w), w.commit, 'also to another of its own commits');
});

boxed('delivery into bare repositories, worktrees, and ones with packed references', async () => {
  const location = await workshop.repository();
  const bare = join(workshop.base, 'deliver-bare.git');
  await git(location, 'clone', '-q', '--bare', location, bare);
  const worktree = join(workshop.base, 'deliver-worktree');
  await git(location, 'worktree', 'add', '-q', '-b', 'side', worktree);
  const packed = join(workshop.base, 'deliver-packed');
  await git(location, 'clone', '-q', location, packed);
  await git(packed, 'pack-refs', '--all', '--prune');
  await git(packed, 'gc', '-q');
  for (const place of [bare, worktree, packed]) {
    const w = await work(place);
    await w.deliver();
    assert.equal(await headOf(w), w.commit, place);
    await git(place, 'fsck', '--strict');
  }
});

boxed('after the delivered branch was packed away, delivering it again is no harm', async () => {
  const w = await work(await workshop.repository());
  await w.deliver();
  await git(w.location, 'pack-refs', '--all', '--prune');
  await git(w.location, 'gc', '-q');
  await w.deliver();
  assert.equal(await headOf(w), w.commit);
  await git(w.location, 'fsck', '--strict');
});

for (const packed of [false, true]) {
  boxed(
    `a branch named guildhall${packed ? ', packed,' : ''} stands in the way: a clear refusal, and nothing changes`,
    async () => {
      const w = await work(await workshop.repository());
      await git(w.location, 'branch', 'guildhall');
      if (packed) await git(w.location, 'pack-refs', '--all', '--prune');
      const before = await listing(w.location);
      await assert.rejects(w.deliver(), {
        code: 'delivery_refused',
        status: 422,
        message: /branch guildhall.*[Rr]ename/,
      });
      assert.deepEqual(await listing(w.location), before);
      assert.equal(await git(w.location, 'rev-parse', 'guildhall'), w.task.base_commit);
      await git(w.location, 'branch', '-m', 'guildhall', 'other');
      await w.deliver();
      assert.equal(await headOf(w), w.commit, 'and once it is out of the way, it is delivered');
    },
  );
}

for (const packed of [false, true]) {
  boxed(
    `a delivered branch on which somebody went on${packed ? ', packed since,' : ''} is not overwritten`,
    async () => {
      const w = await work(await workshop.repository());
      await w.deliver();
      await git(w.location, 'checkout', '-q', w.branch);
      await git(w.location, 'commit', '-q', '--allow-empty', '-m', 'By hand');
      if (packed) await git(w.location, 'pack-refs', '--all', '--prune');
      const theirs = await headOf(w);
      await assert.rejects(w.deliver(await w.again()), {
        code: 'delivery_refused',
        message: /has commits that did not come from Guildhall/,
      });
      assert.equal(await headOf(w), theirs);
    },
  );
}

boxed(
  'a branch that is locked by git at this moment is tried again later; a lock that was left behind is taken away',
  async () => {
    const w = await work(await workshop.repository());
    const lock = join(w.location, '.git/refs/heads', `${w.branch}.lock`);
    await mkdir(join(w.location, '.git/refs/heads/guildhall'));
    await writeFile(lock, '');
    await assert.rejects(w.deliver(), { code: 'delivery_locked', status: 503 });
    assert.equal(await readFile(lock, 'utf8'), '');
    const longAgo = new Date(Date.now() - 3_600_000);
    await utimes(lock, longAgo, longAgo);
    await w.deliver();
    assert.equal(await headOf(w), w.commit);
    await assert.rejects(stat(lock), { code: 'ENOENT' });
  },
);

boxed('a source that cannot be written to, or is gone, is a clear refusal', async () => {
  const filed = await work(await workshop.repository());
  await rm(join(filed.location, '.git/objects/pack'), { recursive: true });
  await writeFile(join(filed.location, '.git/objects/pack'), 'in the way');
  await assert.rejects(filed.deliver(), { code: 'delivery_refused', status: 422 });
  const gone = await work(await workshop.repository());
  await rm(gone.location, { recursive: true });
  await assert.rejects(gone.deliver(), { code: 'delivery_refused', status: 422 });
});

boxed(
  'links that are planted on the way are not followed: nothing is written outside the repository',
  async () => {
    const elsewhere = join(workshop.base, 'planted-elsewhere');
    await mkdir(elsewhere);
    for (const folder of ['refs/heads/guildhall', 'objects/pack', 'refs/heads', 'refs']) {
      const w = await work(await workshop.repository());
      const path = join(w.location, '.git', folder);
      await rm(path, { recursive: true, force: true });
      await symlink(elsewhere, path);
      await assert.rejects(w.deliver(), { code: 'delivery_refused' }, folder);
      assert.deepEqual(await readdir(elsewhere), [], folder);
    }
    const w = await work(await workshop.repository());
    await mkdir(join(w.location, '.git/refs/heads/guildhall'));
    const victim = join(workshop.base, 'victim');
    await writeFile(victim, 'kept');
    await symlink(victim, join(w.location, '.git/refs/heads', w.branch));
    await assert.rejects(w.deliver(), { code: 'delivery_refused' });
    assert.equal(await readFile(victim, 'utf8'), 'kept');
  },
);

boxed('a repository that keeps its references in another way is refused', async () => {
  const w = await work(await workshop.repository());
  await writeFile(
    join(w.location, '.git/config'),
    '[core]\n\trepositoryformatversion = 1\n[extensions]\n\trefstorage = reftable\n',
  );
  await assert.rejects(w.deliver(), { code: 'delivery_refused', message: /reftable/ });
});

boxed('hooks and settings of the source do not run at its delivery', async () => {
  const location = await workshop.repository();
  const w = await work(location);
  const mark = join(workshop.base, 'delivery-canary');
  for (const hook of [
    'reference-transaction',
    'update',
    'post-update',
    'pre-receive',
    'post-receive',
    'post-index-change',
    'fsmonitor-watchman',
  ]) {
    await writeFile(join(location, '.git/hooks', hook), `#!/bin/sh\nid > ${mark}\n`);
    await chmod(join(location, '.git/hooks', hook), 0o755);
  }
  for (const name of ['core.fsmonitor', 'uploadpack.packObjectsHook', 'core.sshCommand'])
    await git(location, 'config', name, join(location, '.git/hooks/update'));
  await rm(mark, { force: true });
  await w.deliver();
  await assert.rejects(stat(mark), { code: 'ENOENT' });
  // The control: git on the host runs them.
  await git(location, 'branch', 'control');
  assert.ok(await stat(mark));
});

boxed('two deliveries of the same at the same moment both succeed', async () => {
  const w = await work(await workshop.repository());
  const results = await Promise.allSettled([w.deliver(), w.deliver(), w.deliver()]);
  const refused = results.flatMap(r => (r.status === 'rejected' ? [r.reason] : []));
  for (const error of refused) assert.equal(error.code, 'delivery_locked', String(error));
  await w.deliver();
  assert.equal(await headOf(w), w.commit);
  await git(w.location, 'fsck', '--strict');
});
