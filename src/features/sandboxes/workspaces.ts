/**
 * Workspaces: the repository of a task tree, the clone that a task works in, and how a commit gets from one to the
 * other. All of it can be interrupted anywhere: what is half-made has no marker and is made anew.
 */
import { realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { newId } from '../../base/ids.ts';
import { Problem } from '../../base/problem.ts';
import type { Row } from '../../platform/db/schema.ts';
import { type GitPlace, gitScript, requireGit } from './git.ts';
import type { ExecResult, Sandbox, SandboxMount } from './port.ts';
import { parseRepositoryUrl, pinnedGitOptions, resolvePublicly } from './repository-url.ts';
import { sourceMounts } from './source.ts';
import { repositoryDirectory, treeDirectory, type Workshop, workspaceDirectory } from './workshop.ts';

/** What is needed to know of a task here. `identity` is the sequence of its root task. */
export interface TreeTask extends Pick<Row<'tasks'>, 'id' | 'root_task_id' | 'source' | 'base_commit'> {
  identity: number;
}

const repositoryMount = (shop: Workshop, task: TreeTask): SandboxMount => ({
  source: repositoryDirectory(shop, task),
  target: '/repository',
  read_only: true,
});

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );

/** Makes the repository of the tree from its source, once. A tree without a source gets an empty one. */
export async function ensureRepository(shop: Workshop, task: TreeTask): Promise<void> {
  const directory = repositoryDirectory(shop, task);
  if (await exists(join(directory, 'ready'))) return;
  await shop.driver.removeDirectory(directory);
  await shop.driver.prepareDirectory(directory, task.identity);
  const place: GitPlace = { identity: task.identity, workspace: directory, mounts: [], timeoutMs: 600_000 };
  const source = task.source;
  if (!source) {
    await requireGit(shop, place, `${initScript}\n${emptyScript}`, []);
  } else if (source.kind === 'path') {
    const mounts = await sourceMounts(source.location);
    const ref = source.branch === 'HEAD' ? 'HEAD' : `refs/heads/${source.branch}`;
    await requireGit(shop, { ...place, mounts }, `${initScript}\n${fetchScript}`, [
      'file:///source',
      ref,
      source.commit,
    ]);
  } else {
    const repository = parseRepositoryUrl(source.location, shop.hosts);
    const options = pinnedGitOptions(repository, await resolvePublicly(repository));
    const args = [repository.url, `refs/heads/${source.branch}`, source.commit, ...options];
    await requireGit(shop, { ...place, network: 'host' }, `${initScript}\n${fetchScript}`, args);
  }
  await requireGit(shop, place, 'touch /workspace/ready', []);
}

const initScript = `
rm -rf /workspace/repo.git
git init -q --bare /workspace/repo.git
cd /workspace/repo.git
git config gc.auto 0
git config uploadpack.allowAnySHA1InWant true`;

/** $1 URL, $2 ref, $3 commit, then options of git. The branch may have moved on since the task was created. */
const fetchScript = `
url=$1 ref=$2 commit=$3; shift 3
git "$@" fetch -q --no-tags -- "$url" "+$ref:refs/heads/base"
git cat-file -e "$commit^{commit}" || { echo "the commit $commit is no longer on $ref of the source" >&2; exit 1; }
git update-ref refs/heads/base "$commit"`;

const emptyScript = `
tree=$(git hash-object -t tree -w /dev/null)
commit=$(GIT_AUTHOR_NAME=Guildhall GIT_AUTHOR_EMAIL=guildhall@localhost GIT_COMMITTER_NAME=Guildhall GIT_COMMITTER_EMAIL=guildhall@localhost \\
  git commit-tree "$tree" -m 'Empty workspace')
git update-ref refs/heads/base "$commit"`;

/**
 * The mounts that every sandbox of the tree shares: its repository, and installed dependencies of the source. A folder
 * that has become a link to somewhere outside the source since it was looked at is not shown.
 */
async function treeMounts(shop: Workshop, task: TreeTask): Promise<SandboxMount[]> {
  const mounts = [repositoryMount(shop, task)];
  const { source } = task;
  for (const path of source?.kind === 'path' ? source.dependencies : []) {
    const folder = await realpath(join(source?.location ?? '', path)).catch(() => '');
    if (folder.startsWith(`${source?.location}/`))
      mounts.push({ source: folder, target: `/workspace/${path}`, read_only: true });
  }
  return mounts;
}

export interface CloneRequest {
  directory: string;
  /** Branch to work on; null: detached. */
  branch: string | null;
  /** Commit to start from; null: the base of the tree. */
  commit: string | null;
  author: string;
  signal?: AbortSignal;
}

/** A clone of the tree's repository at a commit, with the set-up command run. Made once, then found. */
export async function ensureClone(shop: Workshop, task: TreeTask, request: CloneRequest): Promise<void> {
  if (await exists(join(request.directory, '.git', 'guildhall-ready'))) return;
  await shop.driver.removeDirectory(request.directory);
  await shop.driver.prepareDirectory(request.directory, task.identity);
  const place: GitPlace = {
    identity: task.identity,
    workspace: request.directory,
    mounts: [repositoryMount(shop, task)],
    timeoutMs: 600_000,
    signal: request.signal,
  };
  await requireGit(shop, place, cloneScript, [
    request.branch ?? '',
    request.commit ?? 'refs/heads/base',
    request.author,
  ]);
  if (task.source?.setup) await runSetup(shop, task, request, task.source.setup);
  await requireGit(shop, place, 'touch /workspace/.git/guildhall-ready', []);
}

/** $1 branch or empty, $2 commit, $3 author. Objects are borrowed from the tree's repository, not copied. */
const cloneScript = `
git clone -q --shared --no-checkout --no-tags /repository/repo.git /workspace
cd /workspace
commit=$(git --git-dir=/repository/repo.git rev-parse --verify "$2^{commit}")
git update-ref refs/guildhall/start "$commit"
if [ -n "$1" ]; then git checkout -q -B "$1" "$commit"; else git checkout -q --detach "$commit"; fi
git config user.name "$3"
git config user.email "$3@guildhall.invalid"
git config gc.auto 0`;

async function runSetup(
  shop: Workshop,
  task: TreeTask,
  request: CloneRequest,
  command: string,
): Promise<void> {
  const sandbox = await openSandbox(shop, task, request.directory);
  try {
    const result = await sandbox.exec({
      argv: shell(command),
      timeout_ms: shop.policy.wall_ms,
      signal: request.signal,
    });
    if (result.outcome === 'exited' && result.exit_code === 0) return;
    const output = Buffer.concat([result.stdout, result.stderr]).toString('utf8').slice(-2_000);
    throw new Problem(
      'invalid',
      'setup_failed',
      `The set-up command failed (${describeOutcome(result)}): ${output.trim()}`,
    );
  } finally {
    await sandbox.destroy();
  }
}

/** A command line of a person or an agent, for bash: the only place where a shell is used for one. */
export const shell = (command: string): string[] => ['/bin/bash', '--norc', '--noprofile', '-c', command];

export function describeOutcome(result: ExecResult): string {
  if (result.outcome !== 'exited') return result.outcome;
  return result.exit_code === null ? `killed by ${result.signal}` : `exit code ${result.exit_code}`;
}

/** A sandbox over a clone of the tree: what agents' tools and checks run in. */
export async function openSandbox(shop: Workshop, task: TreeTask, directory: string): Promise<Sandbox> {
  return shop.driver.create({
    id: newId('sbx'),
    identity: task.identity,
    workspace: directory,
    mounts: await treeMounts(shop, task),
    policy: shop.policy,
  });
}

/**
 * Takes a commit out of a task's workspace into the tree's repository, after git has checked every object.
 * @returns its full name. @throws Problem `commit_missing`.
 */
export async function collectCommit(shop: Workshop, task: TreeTask, commit: string): Promise<string> {
  const mounts: SandboxMount[] = [
    { source: workspaceDirectory(shop, task), target: '/delivery', read_only: true },
    { source: repositoryDirectory(shop, task), target: '/repository', read_only: true },
  ];
  const place: GitPlace = {
    identity: task.identity,
    workspace: repositoryDirectory(shop, task),
    mounts,
    timeoutMs: 300_000,
  };
  const result = await gitScript(shop, place, collectScript, [commit, `refs/tasks/${task.id}`]);
  if (result.exitCode === 3) {
    throw new Problem(
      'invalid',
      'commit_missing',
      `The workspace has no commit ${commit} on its branch. Commit first, then submit that commit.`,
    );
  }
  if (result.exitCode !== 0)
    throw new Problem(
      'invalid',
      'commit_refused',
      `git refuses the commit: ${result.stderr.trim().slice(-500)}`,
    );
  return result.stdout.trim();
}

/** $1 commit, $2 ref to keep it under. */
const collectScript = `
cd /workspace/repo.git
git -c transfer.fsckObjects=true fetch -q --no-tags file:///delivery "+HEAD:refs/incoming/head"
full=$(git rev-parse --verify --quiet "$1^{commit}") || exit 3
git merge-base --is-ancestor "$full" refs/incoming/head || exit 3
git update-ref "$2" "$full"
git update-ref -d refs/incoming/head
echo "$full"`;

/** Whether the workspace has commits of its own, and which is the last. */
export async function readHead(shop: Workshop, task: TreeTask): Promise<{ head: string; moved: boolean }> {
  const place: GitPlace = {
    identity: task.identity,
    workspace: workspaceDirectory(shop, task),
    mounts: [repositoryMount(shop, task)],
    timeoutMs: 60_000,
  };
  const out = await requireGit(shop, place, 'git rev-parse HEAD refs/guildhall/start', []);
  const [head = '', start = ''] = out.trim().split('\n');
  return { head, moved: head !== start };
}

/** Whether the tree's repository holds a commit, by its full name; null when not. */
export async function findCommit(shop: Workshop, task: TreeTask, commit: string): Promise<string | null> {
  const place: GitPlace = {
    identity: task.identity,
    workspace: repositoryDirectory(shop, task),
    mounts: [],
    timeoutMs: 60_000,
  };
  const result = await gitScript(
    shop,
    place,
    'git --git-dir=/workspace/repo.git rev-parse --verify --quiet "$1^{commit}"',
    [commit],
  );
  return result.exitCode === 0 ? result.stdout.trim() : null;
}

/** The change from the base of the tree to a commit, as a unified diff of at most 4 MiB. */
export async function diffFromBase(shop: Workshop, task: TreeTask, commit: string): Promise<string> {
  const place: GitPlace = {
    identity: task.identity,
    workspace: repositoryDirectory(shop, task),
    mounts: [],
    timeoutMs: 60_000,
    maxOutputBytes: 4 * 1024 * 1024,
  };
  return requireGit(
    shop,
    place,
    'git --git-dir=/workspace/repo.git diff --no-color --no-ext-diff --no-textconv refs/heads/base "$1"',
    [commit],
  );
}

/** Removes all files of a task tree. */
export function removeTree(shop: Workshop, rootTaskId: string): Promise<void> {
  return shop.driver.removeDirectory(treeDirectory(shop, rootTaskId));
}
