import assert from 'node:assert/strict';
import { chmod, mkdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { git, listing, openWorkshop, type TestWorkshop, write } from '../../../test/harness/workshop.ts';
import { Problem } from '../../base/problem.ts';
import { inspectSource, type SourceRequest } from './source.ts';

let workshop: TestWorkshop;
before(async () => {
  workshop = await openWorkshop();
});
after(() => workshop[Symbol.asyncDispose]());

/** Defines a test that needs sandboxes. */
const boxed = (title: string, body: () => Promise<void>) =>
  test(title, async t => (workshop.unusable === null ? await body() : t.skip(workshop.unusable)));

/** The problem that looking at a repository ends with. */
async function refusal(location: string, more: Partial<SourceRequest> = {}): Promise<Problem> {
  const error = await workshop.inspect(location, more).then(
    source => assert.fail(`it was accepted: ${JSON.stringify(source)}`),
    problem => problem,
  );
  assert.ok(error instanceof Problem, String(error));
  assert.match(error.message, /^(\S+ ){3}/, 'a sentence for people');
  return error;
}

describe('repositories that can be worked on', () => {
  boxed('a plain clone: its branch, its commit', async () => {
    const location = await workshop.repository();
    const source = await workshop.inspect(location);
    const commit = await git(location, 'rev-parse', 'HEAD');
    assert.deepEqual(source, {
      kind: 'path',
      location,
      branch: 'main',
      commit,
      setup: null,
      dependencies: [],
    });
  });

  boxed(
    'another branch than the one that is checked out, also one with slashes and odd letters',
    async () => {
      const location = await workshop.repository();
      for (const branch of ['feature/x', 'dé-jà.vu', 'a@b', '+plus', 'x'.repeat(120)]) {
        await git(location, 'branch', branch);
        assert.equal((await workshop.inspect(location, { branch })).branch, branch);
      }
    },
  );

  boxed('a bare repository, one with packed references, and one that is a link', async () => {
    const location = await workshop.repository();
    const bare = join(workshop.base, 'bare.git');
    await git(location, 'clone', '-q', '--bare', location, bare);
    assert.equal((await workshop.inspect(bare)).branch, 'main');
    await git(location, 'pack-refs', '--all');
    await git(location, 'gc', '-q');
    assert.equal((await workshop.inspect(location)).branch, 'main');
    const link = join(workshop.base, 'link');
    await symlink(location, link);
    assert.equal((await workshop.inspect(link)).location, location);
  });

  boxed('a worktree, whose objects lie with the main one', async () => {
    const location = await workshop.repository();
    const worktree = join(workshop.base, 'worktree');
    await git(location, 'worktree', 'add', '-q', '-b', 'side', worktree);
    const source = await workshop.inspect(worktree);
    assert.deepEqual([source.branch, source.commit], ['side', await git(location, 'rev-parse', 'HEAD')]);
  });

  boxed('a repository that borrows objects from another', async () => {
    const location = await workshop.repository();
    const borrower = join(workshop.base, 'borrower');
    await git(location, 'clone', '-q', '--shared', location, borrower);
    assert.equal((await workshop.inspect(borrower)).commit, await git(location, 'rev-parse', 'HEAD'));
  });

  boxed('a detached HEAD', async () => {
    const location = await workshop.repository();
    await git(location, 'checkout', '-q', '--detach');
    const source = await workshop.inspect(location);
    assert.deepEqual([source.branch, source.commit], ['HEAD', await git(location, 'rev-parse', 'HEAD')]);
  });

  boxed('a shallow clone', async () => {
    const location = await workshop.repository();
    await git(location, 'commit', '-q', '--allow-empty', '-m', 'Second');
    const shallow = join(workshop.base, 'shallow');
    await git(location, 'clone', '-q', '--depth', '1', `file://${location}`, shallow);
    assert.equal((await workshop.inspect(shallow)).commit, await git(location, 'rev-parse', 'HEAD'));
  });

  boxed(
    'names with spaces, line breaks, quotes, dashes, other scripts; also of the repository itself',
    async () => {
      const plain = await workshop.repository({
        'with space.txt': '',
        'new\nline.txt': '',
        '-rf': '',
        '"quoted"': '',
        "it's": '',
        'ünïcödé/漢字 🦊.txt': '',
        '$(touch pwned)': '',
        'a\tb': '',
      });
      const odd = join(workshop.base, `-odd $(id) 'name' "x" ünï`);
      await git(plain, 'clone', '-q', plain, odd);
      for (const location of [plain, odd]) {
        const source = await workshop.inspect(location);
        assert.deepEqual([source.location, source.commit], [location, await git(plain, 'rev-parse', 'HEAD')]);
      }
    },
  );

  boxed('files that git does not know are not in the way', async () => {
    const location = await workshop.repository();
    await writeFile(join(location, 'untracked.txt'), '');
    assert.equal((await workshop.inspect(location)).branch, 'main');
  });

  boxed(
    'folders of dependencies that git ignores are found, wherever they are and however they are named',
    async () => {
      const location = await workshop.repository({
        '.gitignore': 'node_modules/\n.venv\nbuild/\nvendor/\n',
        'a.js': '',
      });
      await write(location, {
        'node_modules/x/index.js': '',
        'packages/ünï/node_modules/y/index.js': '',
        'with space/node_modules/z/index.js': '',
        '.venv/bin/python': '',
        'build/out.js': '',
        'vendor/lib.js': '',
      });
      const source = await workshop.inspect(location);
      assert.deepEqual(
        new Set(source.dependencies),
        new Set(['node_modules', 'packages/ünï/node_modules', 'with space/node_modules', '.venv', 'vendor']),
      );
    },
  );
});

describe('repositories that cannot', () => {
  boxed('what is not there, is a file, or is no repository', async () => {
    assert.equal((await refusal(join(workshop.base, 'nowhere'))).code, 'repository_missing');
    const file = join(workshop.base, 'file');
    await writeFile(file, '');
    assert.equal((await refusal(file)).code, 'repository_missing');
    const empty = join(workshop.base, 'no-repository');
    await mkdir(empty);
    const problem = await refusal(empty);
    assert.deepEqual([problem.code, problem.status], ['not_a_repository', 422]);
    assert.match(problem.message, /git init/);
  });

  boxed('a folder inside a repository: its root is asked for', async () => {
    const location = await workshop.repository({ 'sub/a.txt': '' });
    const problem = await refusal(join(location, 'sub'));
    assert.equal(problem.code, 'not_a_repository');
    assert.match(problem.message, /Give its root/);
  });

  boxed('a broken repository, or a .git that leads nowhere', async () => {
    const broken = await workshop.repository();
    await writeFile(join(broken, '.git/HEAD'), 'nonsense');
    assert.equal((await refusal(broken)).code, 'not_a_repository');
    const lost = join(workshop.base, 'lost');
    await mkdir(lost);
    await writeFile(join(lost, '.git'), 'gitdir: /nowhere/at/all\n');
    assert.equal((await refusal(lost)).code, 'not_a_repository');
    await writeFile(join(lost, '.git'), 'nonsense\n');
    assert.equal((await refusal(lost)).code, 'not_a_repository');
  });

  boxed(
    'a repository with thousands of changes and of dependency folders: the first ones are named',
    async () => {
      const names = Array.from({ length: 3_000 }, (_, i) => `f${i}-${'x'.repeat(60)}`);
      const location = await workshop.repository({
        '.gitignore': 'node_modules\n',
        ...Object.fromEntries(names.map(n => [n, ''])),
      });
      await Promise.all(names.map(name => writeFile(join(location, name), 'changed')));
      await write(location, Object.fromEntries(names.slice(0, 400).map(n => [`d/${n}/node_modules/x`, ''])));
      const problem = await refusal(location);
      assert.equal(problem.code, 'repository_dirty');
      assert.equal(Array.isArray(problem.detail?.files) && problem.detail.files.length, 50);
      assert.equal((await workshop.inspect(location, { allow_dirty: true })).dependencies.length, 200);
    },
  );

  boxed('a repository without a commit', async () => {
    const location = join(workshop.base, 'unborn');
    await mkdir(location);
    await git(location, 'init', '-q');
    const problem = await refusal(location);
    assert.equal(problem.code, 'repository_empty');
    assert.match(problem.message, /commit something first/);
  });

  boxed('a branch that is not there: those that are, are named', async () => {
    const location = await workshop.repository();
    await git(location, 'branch', 'develop');
    const commit = await git(location, 'rev-parse', 'HEAD');
    await git(location, 'tag', 'v1');
    for (const branch of [
      'missing',
      'v1',
      commit,
      'refs/heads/main',
      '-x',
      '--all',
      'main~0',
      'main..develop',
      'a\nb',
      '',
    ]) {
      if (branch === '') continue;
      const problem = await refusal(location, { branch });
      assert.equal(problem.code, 'branch_missing', branch);
      assert.deepEqual(problem.detail?.branches, ['develop', 'main']);
    }
  });

  boxed(
    'changes that are not committed, staged or not: the files are named; or they are left out on request',
    async () => {
      const location = await workshop.repository({ 'a.txt': 'a\n', 'b c.txt': 'b\n' });
      await writeFile(join(location, 'a.txt'), 'changed\n');
      await writeFile(join(location, 'b c.txt'), 'changed\n');
      await git(location, 'add', 'b c.txt');
      const problem = await refusal(location);
      assert.equal(problem.code, 'repository_dirty');
      assert.deepEqual(new Set(problem.detail?.files as string[]), new Set(['a.txt', 'b c.txt']));
      assert.match(problem.message, /--allow-dirty/);
      assert.equal((await workshop.inspect(location, { allow_dirty: true })).branch, 'main');
      await rm(join(location, 'a.txt'));
      assert.equal((await refusal(location)).code, 'repository_dirty', 'a deleted file is a change');
    },
  );

  boxed('a repository that the sandbox may not read: the command that mends it', async () => {
    const location = await workshop.repository();
    await chmod(location, 0o700);
    if (process.getuid?.() !== 0) return;
    const problem = await refusal(location);
    assert.equal(problem.status, 422);
    assert.match(problem.message, /chmod -R o\+rX/);
    await chmod(location, 0o755);
    await chmod(join(location, '.git/objects'), 0o700);
    const inner = await refusal(location);
    assert.equal(inner.code, 'repository_unreadable');
    assert.match(inner.message, /chmod -R o\+rX/);
  });

  boxed('paths that are relative, or hold what no path holds', async () => {
    for (const location of ['.', 'a/b', '../x', '~/x', '', '/a\0b']) {
      assert.equal((await refusal(location)).code, 'repository_path_relative', location);
    }
  });

  boxed('VAL-05 what looks like an address goes the way of addresses', async () => {
    for (const location of [
      'file:///etc',
      'https://localhost/a/b',
      'ssh://x/y',
      'git@github.com:a/b',
      'ext::sh -c id',
      'C:\\x',
    ]) {
      assert.equal((await refusal(location)).code, 'repository_url_refused', location);
    }
  });

  boxed('local paths, where they are switched off', async () => {
    const location = await workshop.repository();
    const shop = { ...workshop.shop, allowLocal: false };
    await assert.rejects(inspectSource(shop, { location, branch: null, setup: null, allow_dirty: false }), {
      code: 'local_repositories_off',
      status: 403,
    });
  });

  boxed('one that keeps its objects where no sandbox can show them', async () => {
    const location = await workshop.repository();
    await writeFile(join(location, '.git/objects/info/alternates'), '/etc/objects\n');
    assert.equal((await refusal(location)).code, 'repository_unsupported');
  });
});

boxed('looking at a repository changes nothing in it, not even a time', async () => {
  const location = await workshop.repository({ 'a.txt': 'a\n', '.gitignore': 'node_modules\n' });
  await write(location, { 'node_modules/x.js': '' });
  // A stale index is what git would like to refresh.
  await git(location, 'update-index', '--really-refresh');
  await writeFile(join(location, 'a.txt'), 'a\n');
  const before = await listing(location);
  await workshop.inspect(location);
  await refusal(location, { branch: 'none' });
  assert.deepEqual(await listing(location), before);
});

boxed('what a repository configures to be run is run in no place but the sandbox', async () => {
  const location = await workshop.repository();
  const mark = join(workshop.base, 'canary');
  const plant = join(location, 'plant.sh');
  await writeFile(
    plant,
    `#!/bin/sh\nid > ${mark} 2>/dev/null\nid > /tmp/guildhall-canary\necho planted >&2\n`,
    { mode: 0o755 },
  );
  for (const hook of [
    'post-checkout',
    'pre-commit',
    'reference-transaction',
    'post-index-change',
    'fsmonitor-watchman',
    'pre-auto-gc',
  ]) {
    await writeFile(join(location, '.git/hooks', hook), `#!/bin/sh\nexec ${plant}\n`, { mode: 0o755 });
  }
  const config = [
    ['core.fsmonitor', plant],
    ['core.pager', plant],
    ['core.sshCommand', plant],
    ['core.editor', plant],
    ['diff.external', plant],
    ['filter.x.clean', plant],
    ['filter.x.smudge', plant],
    ['uploadpack.packObjectsHook', plant],
    ['credential.helper', plant],
    ['alias.rev-parse', `!${plant}`],
  ];
  for (const [name = '', value = ''] of config) await git(location, 'config', name, value);
  await writeFile(join(location, '.gitattributes'), '* filter=x diff=x\n');
  assert.equal((await workshop.inspect(location, { allow_dirty: true })).branch, 'main');
  await assert.rejects(stat(mark), { code: 'ENOENT' });
  await assert.rejects(stat('/tmp/guildhall-canary'), { code: 'ENOENT' });
  // The control: git on the host does run it.
  await git(location, 'status').catch(() => {});
  assert.ok(await stat(mark));
  await rm('/tmp/guildhall-canary', { force: true });
});
