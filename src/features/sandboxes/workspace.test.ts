import assert from 'node:assert/strict';
import { mkdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import {
  git,
  listing,
  openWorkshop,
  repositoryDirectory,
  type TestWorkshop,
  workspaceDirectory,
  write,
} from '../../../test/harness/workshop.ts';
import type { Sandbox } from './port.ts';
import {
  collectCommit,
  diffFromBase,
  ensureRepository,
  findCommit,
  readHead,
  removeTree,
} from './workspaces.ts';

let workshop: TestWorkshop;
before(async () => {
  workshop = await openWorkshop();
});
after(() => workshop[Symbol.asyncDispose]());

const boxed = (title: string, body: () => Promise<void>) =>
  test(title, async t => (workshop.unusable === null ? await body() : t.skip(workshop.unusable)));

async function run(sandbox: Sandbox, command: string): Promise<string> {
  const result = await sandbox.exec({ argv: ['/bin/bash', '-c', command] });
  const [out, err] = [Buffer.from(result.stdout).toString(), Buffer.from(result.stderr).toString()];
  assert.equal(result.exit_code, 0, `${command}\n${out}${err}`);
  return out.trimEnd();
}
const fails = async (sandbox: Sandbox, command: string) =>
  assert.notEqual((await sandbox.exec({ argv: ['/bin/bash', '-c', command] })).exit_code, 0, command);

const oddNames = [
  'with space.txt',
  'new\nline.txt',
  '-rf',
  '--help',
  '"q".txt',
  "it's.txt",
  'ünï/漢字 🦊.txt',
  '$(id).txt',
  'a\tb',
  '*',
  '.hidden',
  'a\\b',
];

boxed(
  'a workspace is a clone at the commit, on a branch of its own, whatever the files are called and hold',
  async () => {
    const every = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
    const files = {
      ...Object.fromEntries(oddNames.map(name => [name, every])),
      'crlf.txt': 'a\r\nb\r\n',
      empty: '',
    };
    const location = await workshop.repository(files);
    const task = workshop.task(await workshop.inspect(location));
    const sandbox = await workshop.open(task);
    assert.equal(await run(sandbox, 'git rev-parse HEAD'), task.base_commit);
    assert.equal(await run(sandbox, 'git symbolic-ref --short HEAD'), `guildhall/${task.id}`);
    assert.equal(await run(sandbox, 'git status --porcelain'), '');
    for (const [name, content] of Object.entries(files)) {
      const { stdout } = await sandbox.exec({ argv: ['cat', '--', name] });
      assert.ok(Buffer.from(stdout).equals(Buffer.from(content)), JSON.stringify(name));
    }
  },
);

boxed(
  'sources of every kind become workspaces: bare, worktree, borrowed objects, detached, shallow, another branch',
  async () => {
    const location = await workshop.repository();
    await git(location, 'commit', '-q', '--allow-empty', '-m', 'Second');
    const at = (name: string) => join(workshop.base, `kind-${name}`);
    await git(location, 'clone', '-q', '--bare', location, at('bare'));
    await git(location, 'worktree', 'add', '-q', '-b', 'side', at('worktree'));
    await git(location, 'clone', '-q', '--shared', location, at('shared'));
    await git(location, 'clone', '-q', location, at('detached'));
    await git(at('detached'), 'checkout', '-q', '--detach', 'HEAD~1');
    await git(location, 'branch', 'dé/jà', 'HEAD~1');
    const sources = [
      await workshop.inspect(at('bare')),
      await workshop.inspect(at('worktree')),
      await workshop.inspect(at('shared')),
      await workshop.inspect(at('detached')),
      await workshop.inspect(location, { branch: 'dé/jà' }),
    ];
    for (const source of sources) {
      const task = workshop.task(source);
      const sandbox = await workshop.open(task);
      assert.equal(
        await run(sandbox, 'git rev-parse HEAD && cat a.txt'),
        `${source.commit}\na`,
        source.location,
      );
    }
  },
);

boxed('a branch that moves on after the task was made does not move the task', async () => {
  const location = await workshop.repository();
  const task = workshop.task(await workshop.inspect(location));
  await git(location, 'commit', '-q', '--allow-empty', '-m', 'Later');
  const sandbox = await workshop.open(task);
  assert.equal(
    await run(sandbox, 'git rev-parse HEAD refs/remotes/origin/base'),
    `${task.base_commit}\n${task.base_commit}`,
  );
});

boxed(
  'a commit that is no longer on the branch is a clear failure, and leaves nothing half-made',
  async () => {
    const location = await workshop.repository();
    await git(location, 'commit', '-q', '--allow-empty', '-m', 'Withdrawn');
    const task = workshop.task(await workshop.inspect(location));
    await git(location, 'reset', '-q', '--hard', 'HEAD~1');
    await assert.rejects(ensureRepository(workshop.shop, task), {
      code: 'git_failed',
      message: /no longer on refs\/heads\/main/,
    });
    await assert.rejects(stat(join(repositoryDirectory(workshop.shop, task), 'ready')), { code: 'ENOENT' });
  },
);

boxed('dependencies are there read-only, are not copied, and are none of git’s business', async () => {
  const location = await workshop.repository({ '.gitignore': 'node_modules\n', 'packages/a/index.js': '' });
  await write(location, {
    'node_modules/left-pad/index.js': 'module.exports = 1;\n',
    'packages/a/node_modules/dep/index.js': 'module.exports = 2;\n',
  });
  const task = workshop.task(await workshop.inspect(location));
  const before = await listing(join(location, 'node_modules'));
  const sandbox = await workshop.open(task);
  assert.equal(
    await run(sandbox, `node -p "require('left-pad') + require('/workspace/packages/a/node_modules/dep')"`),
    '3',
  );
  for (const command of [
    'echo x >> node_modules/left-pad/index.js',
    'touch node_modules/new',
    'rm -rf node_modules/left-pad',
    'mv node_modules elsewhere',
    'chmod -R 777 node_modules',
  ]) {
    await fails(sandbox, command);
  }
  assert.equal(await run(sandbox, 'git add -A && git status --porcelain'), '');
  const copied = await stat(join(workspaceDirectory(workshop.shop, task), 'node_modules/left-pad')).catch(
    () => null,
  );
  assert.equal(copied, null);
  assert.deepEqual(await listing(join(location, 'node_modules')), before);
});

boxed('a dependency folder that has become a link to elsewhere is not followed', async () => {
  const location = await workshop.repository({ '.gitignore': 'node_modules\n', 'a.js': '' });
  await write(location, { 'node_modules/x.js': '' });
  const task = workshop.task(await workshop.inspect(location));
  const secret = join(workshop.base, 'elsewhere');
  await mkdir(secret);
  await writeFile(join(secret, 'secret.txt'), 'secret');
  await rm(join(location, 'node_modules'), { recursive: true });
  await symlink(secret, join(location, 'node_modules'));
  const sandbox = await workshop.open(task);
  await fails(sandbox, 'cat node_modules/secret.txt');
  await rm(join(location, 'node_modules'));
  await workshop.open({ ...task, id: `${task.id}b` });
});

boxed('the set-up command runs once in every fresh clone, and its failure is told', async () => {
  const location = await workshop.repository({ '.gitignore': 'made\n', 'a.txt': '' });
  const source = await workshop.inspect(location, { setup: 'echo $((1+1)) >> made' });
  const task = workshop.task(source);
  assert.equal(await run(await workshop.open(task), 'cat made'), '2');
  assert.equal(await run(await workshop.open(task), 'cat made'), '2', 'the clone is found, not made anew');
  const failing = workshop.task({ ...source, setup: 'echo no network >&2; exit 3' });
  await assert.rejects(workshop.open(failing), { code: 'setup_failed', message: /exit code 3.*no network/s });
  await assert.rejects(
    workshop.open(failing),
    { code: 'setup_failed' },
    'and half a clone is not taken for a whole one',
  );
});

boxed('a workspace without a source is an empty repository', async () => {
  const task = workshop.task(null);
  const sandbox = await workshop.open(task);
  assert.equal(await run(sandbox, 'git ls-files; git log --format=%s'), 'Empty workspace');
});

boxed('X-35 a sandbox has no keys, no settings of the server, no sockets of the host', async () => {
  const sandbox = await workshop.open(workshop.task(null));
  const env = await run(sandbox, 'env');
  assert.doesNotMatch(env, /KEY|TOKEN|SECRET|PASSWORD|DATABASE_URL|^GUILDHALL_|TEST_POSTGRES/im);
  assert.equal(await run(sandbox, 'find / -type s -not -path "/proc/*" 2>/dev/null | head'), '');
  await fails(sandbox, 'test -e /var/run/docker.sock || test -e /run/docker.sock');
});

boxed(
  'a commit gets into the tree by its full name, and only one that is on the branch of the workspace',
  async () => {
    const location = await workshop.repository();
    const task = workshop.task(await workshop.inspect(location));
    const sandbox = await workshop.open(task);
    assert.deepEqual(await readHead(workshop.shop, task), { head: task.base_commit, moved: false });
    await run(sandbox, 'echo b > b.txt && git add -A && git commit -qm Change');
    const head = await run(sandbox, 'git rev-parse HEAD');
    assert.deepEqual(await readHead(workshop.shop, task), { head, moved: true });
    assert.equal(await collectCommit(workshop.shop, task, head.slice(0, 8)), head);
    assert.equal(await findCommit(workshop.shop, task, head), head);
    const diff = await diffFromBase(workshop.shop, task, head);
    assert.match(diff, /^diff --git a\/b\.txt b\/b\.txt\nnew file mode 100644$/m);
    await run(
      sandbox,
      'git checkout -q -b other && echo c > c && git add -A && git commit -qm Elsewhere && git checkout -q -',
    );
    const elsewhere = await run(sandbox, 'git rev-parse other');
    for (const wrong of [elsewhere, 'f'.repeat(40), 'HEAD~9', '--all', '$(id)']) {
      await assert.rejects(collectCommit(workshop.shop, task, wrong), { code: 'commit_missing' }, wrong);
    }
  },
);

boxed(
  'what an agent plants in its own git directory runs nowhere but in sandboxes, and cannot touch the tree’s repository',
  async () => {
    const location = await workshop.repository();
    const task = workshop.task(await workshop.inspect(location));
    const sandbox = await workshop.open(task);
    await run(sandbox, 'echo b > b.txt && git add -A && git commit -qm Change');
    const head = await run(sandbox, 'git rev-parse HEAD');
    await run(
      sandbox,
      `printf '#!/bin/sh\\n(id; date) > /repository/planted; (id; date) > /workspace/repo.git/planted; git --git-dir=/workspace/repo.git update-ref refs/heads/base %s; touch /tmp/planted\\n' ${head} > .git/plant
     chmod +x .git/plant
     for hook in post-checkout pre-push reference-transaction post-update update pre-receive; do cp .git/plant .git/hooks/$hook; done
     for key in core.fsmonitor core.pager core.sshCommand uploadpack.packObjectsHook core.alternateRefsCommand credential.helper diff.external; do git config $key /workspace/.git/plant; git config --add $key /delivery/.git/plant; done
     git config remote.origin.uploadpack /delivery/.git/plant
     git config remote.origin.promisor true
     git config extensions.partialClone origin`,
    );
    const base = task.base_commit as string;
    await collectCommit(workshop.shop, task, head).catch(error =>
      assert.match(error.code, /^(commit_refused|git_failed|commit_missing)$/),
    );
    await readHead(workshop.shop, task).catch(() => {});
    const repository = repositoryDirectory(workshop.shop, task);
    for (const path of [join(repository, 'planted'), join(repository, 'repo.git/planted'), '/tmp/planted']) {
      await assert.rejects(stat(path), { code: 'ENOENT' }, path);
    }
    const kept = await git(
      join(repository, 'repo.git'),
      '-c',
      'safe.directory=*',
      'rev-parse',
      'refs/heads/base',
    );
    assert.equal(kept, base);
  },
);

boxed('a commit with broken or missing objects is refused', async () => {
  const location = await workshop.repository();
  const edits = [`s/^tree .*/tree ${'1'.repeat(40)}/`, 's/^author .*/author nobody/', 's/^parent .*//'];
  for (const edit of edits) {
    const task = workshop.task(await workshop.inspect(location));
    const sandbox = await workshop.open(task);
    await run(sandbox, 'git commit -q --allow-empty -m Good');
    const forged = await run(
      sandbox,
      `git cat-file commit HEAD | sed '${edit}' | git hash-object -t commit -w --stdin --literally`,
    );
    await run(sandbox, `echo ${forged} > .git/$(git symbolic-ref HEAD)`);
    await assert.rejects(
      collectCommit(workshop.shop, task, forged),
      (error: { code: string }) => /^commit_(refused|missing)$/.test(error.code),
      edit,
    );
    assert.equal(await findCommit(workshop.shop, task, forged), null);
  }
});

boxed('removing a tree removes all of its files', async () => {
  const task = workshop.task(null);
  await workshop.open(task);
  assert.ok(await stat(workspaceDirectory(workshop.shop, task)));
  await removeTree(workshop.shop, task.root_task_id);
  await assert.rejects(stat(join(workshop.shop.dataDir, 'work', task.root_task_id)), { code: 'ENOENT' });
});
