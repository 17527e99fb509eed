/**
 * The source of a task tree: a git repository on this server, or one fetched by https. It is only ever read, and
 * git looks at it inside a sandbox: a repository's configuration can run programs.
 */
import { readFile, realpath, stat } from 'node:fs/promises';
import { isAbsolute, join, resolve } from 'node:path';
import { Problem } from '../../base/problem.ts';
import type { TaskSource } from '../../platform/db/schema.ts';
import { gitScript, runGit } from './git.ts';
import type { SandboxMount } from './port.ts';
import { parseRepositoryUrl, pinnedGitOptions, resolvePublicly } from './repository-url.ts';
import type { Workshop } from './workshop.ts';

export interface SourceRequest {
  location: string;
  branch: string | null;
  setup: string | null;
  allow_dirty: boolean;
}

const isUrl = (location: string): boolean =>
  /^[a-z][a-z0-9+.-]*:/i.test(location) || /^[^/]+@[^/]+:/.test(location);

/** Folders that hold installed dependencies: shown read-only in workspaces when git ignores them. */
const dependencyFolders = [
  'node_modules',
  '.venv',
  'venv',
  'vendor',
  '.bundle',
  '.yarn',
  'deps',
  '.pnpm-store',
];

/** Looks at a repository before anything is created. @throws Problem that names what is wrong and what to do. */
export async function inspectSource(shop: Workshop, request: SourceRequest): Promise<TaskSource> {
  return isUrl(request.location) ? inspectUrl(shop, request) : inspectPath(shop, request);
}

async function inspectUrl(shop: Workshop, request: SourceRequest): Promise<TaskSource> {
  const repository = parseRepositoryUrl(request.location, shop.hosts);
  const options = pinnedGitOptions(repository, await resolvePublicly(repository));
  const result = await runGit(shop, {
    identity: 0,
    workspace: null,
    mounts: [],
    network: 'host',
    argv: [
      'git',
      ...options,
      'ls-remote',
      '--symref',
      '--',
      repository.url,
      'HEAD',
      `refs/heads/${request.branch ?? '*'}`,
    ],
    timeoutMs: 60_000,
  });
  if (result.exitCode !== 0) {
    throw new Problem(
      'unavailable',
      'repository_unreachable',
      `The repository ${repository.url} cannot be read: ${lastLine(result.stderr)}`,
    );
  }
  const branch = request.branch ?? /^ref: refs\/heads\/(\S+)\tHEAD$/m.exec(result.stdout)?.[1];
  const commit =
    branch &&
    new RegExp(`^([0-9a-f]{40,64})\\trefs/heads/${escapePattern(branch)}$`, 'm').exec(result.stdout)?.[1];
  if (!branch || !commit) throw branchMissing(request.branch ?? 'HEAD', []);
  return { kind: 'url', location: repository.url, branch, commit, setup: request.setup, dependencies: [] };
}

const escapePattern = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
/** What git says is wrong: its last complaint, or else its last line. */
const lastLine = (text: string): string => {
  const lines = text.trim().split('\n');
  const complaint = lines.findLast(line => /^(fatal|error):/.test(line));
  return (complaint ?? lines.at(-1))?.slice(0, 300) || 'git gave no reason';
};

function branchMissing(branch: string, branches: string[]): Problem {
  const known =
    branches.length > 0
      ? ` It has ${branches.slice(0, 10).join(', ')}${branches.length > 10 ? ' …' : ''}.`
      : '';
  return new Problem('invalid', 'branch_missing', `The repository has no branch ${branch}.${known}`, {
    detail: { branch, branches: branches.slice(0, 50) },
  });
}

async function inspectPath(shop: Workshop, request: SourceRequest): Promise<TaskSource> {
  if (!shop.allowLocal) {
    throw new Problem(
      'forbidden',
      'local_repositories_off',
      'Repositories on the server itself are not allowed here: give an https URL.',
    );
  }
  if (!isAbsolute(request.location) || request.location.includes('\0')) {
    throw new Problem('invalid', 'repository_path_relative', 'Give the absolute path of the repository.');
  }
  const location = await existingRepository(request.location);
  const result = await gitScript(
    shop,
    { identity: 0, workspace: null, mounts: await sourceMounts(location), timeoutMs: 120_000 },
    inspectScript,
    [request.branch ?? '', dependencyFolders.join('|')],
  );
  if (result.exitCode === 3) throw branchMissing(request.branch ?? '', listed(result.stdout, 'branches'));
  if (result.exitCode === 4) {
    throw new Problem(
      'invalid',
      'repository_empty',
      'The repository has no commit yet: commit something first.',
    );
  }
  if (result.exitCode === 5) {
    throw new Problem(
      'invalid',
      'repository_unreadable',
      `${location} is not readable by the sandbox user. Allow it with: chmod -R o+rX ${location}`,
    );
  }
  if (result.exitCode !== 0) {
    throw new Problem(
      'invalid',
      'not_a_repository',
      `git cannot read ${location}: ${lastLine(result.stderr)}`,
    );
  }
  const dirty = listed(result.stdout, 'dirty').map(name => name.replaceAll('\u001e', ' '));
  if (dirty.length > 0 && !request.allow_dirty) {
    throw new Problem(
      'invalid',
      'repository_dirty',
      `The repository has uncommitted changes (${dirty.slice(0, 3).join(', ')}${dirty.length > 3 ? ' …' : ''}). Commit or stash them, or allow it (--allow-dirty): agents then work from the last commit without them.`,
      { detail: { files: dirty.slice(0, 50) } },
    );
  }
  return {
    kind: 'path',
    location,
    branch: field(result.stdout, 'branch'),
    commit: field(result.stdout, 'commit'),
    setup: request.setup,
    // Nothing can be mounted at a name with a line break.
    dependencies: listed(result.stdout, 'dependencies').filter(name => !name.includes('\u001e')),
  };
}

const field = (text: string, name: string): string => new RegExp(`^${name}=(.*)$`, 'm').exec(text)?.[1] ?? '';

/**
 * $1 branch or empty, $2 alternation of dependency folders. Prints `key=value` lines. Lists are joined by US (0x1f),
 * a line break in a name is RS (0x1e). Nothing here closes a pipe early: git would die of it, and the script with git.
 */
const inspectScript = `
cd /source
git rev-parse --git-dir >/dev/null || { [ -z "$(find . -maxdepth 2 ! -readable -print -quit 2>/dev/null)" ] || exit 5; exit 2; }
list() { sed -zn "1,$1p" | tr '\\n\\0' '\\036\\037'; echo; }
if [ -n "$1" ]; then
  branch=$1
  git show-ref --verify --quiet "refs/heads/$1" && commit=$(git rev-parse --verify --quiet "refs/heads/$1^{commit}") || {
    printf 'branches='; git for-each-ref --format='%(refname:lstrip=2)%00' refs/heads | tr -d '\\n' | list 50; exit 3; }
else
  commit=$(git rev-parse --verify --quiet 'HEAD^{commit}') || exit 4
  branch=$(git symbolic-ref --quiet --short HEAD || echo HEAD)
fi
echo "branch=$branch"
echo "commit=$commit"
if [ "$(git rev-parse --is-bare-repository)" = false ]; then
  printf 'dirty='
  git status --porcelain=v1 -z --no-renames --untracked-files=no --ignore-submodules=all | cut -z -c4- | list 100
  printf 'dependencies='
  git ls-files -z --others --ignored --exclude-standard --directory | { grep -zE "(^|/)($2)/$" || true; } | sed -z 's,/$,,' | list 200
fi`;

/** A list that the script printed. */
const listed = (text: string, name: string): string[] => field(text, name).split('\u001f').filter(Boolean);

/** @throws Problem `repository_missing`, `not_a_repository`. */
async function existingRepository(path: string): Promise<string> {
  let location: string;
  try {
    location = await realpath(path);
    if (!(await stat(location)).isDirectory()) throw new Error('not a directory');
  } catch (error) {
    throw new Problem(
      'invalid',
      'repository_missing',
      `There is no directory ${path} that the server can read.`,
      { cause: error },
    );
  }
  const bare = (await exists(join(location, 'HEAD'))) && (await exists(join(location, 'objects')));
  if (!bare && !(await exists(join(location, '.git')))) {
    throw new Problem(
      'invalid',
      'not_a_repository',
      `${path} is not a git repository (it has no .git). Give its root, or run \`git init\` and commit.`,
    );
  }
  return location;
}

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );

/** The git directory of a repository: `.git`, what a worktree's `.git` file points to, or a bare one itself. */
export async function commonGitDirectory(location: string): Promise<string> {
  const dot = join(location, '.git');
  const info = await stat(dot).catch(() => null);
  if (!info) return location;
  if (info.isDirectory()) return dot;
  const pointer = /^gitdir: (.+)$/m.exec(await readFile(dot, 'utf8'))?.[1];
  if (!pointer) throw new Problem('invalid', 'not_a_repository', `${dot} is not a git directory.`);
  const gitDirectory = resolve(location, pointer.trim());
  const common = await readFile(join(gitDirectory, 'commondir'), 'utf8').catch(() => '.');
  const path = resolve(gitDirectory, common.trim());
  return realpath(path).catch(cause => {
    throw new Problem('invalid', 'not_a_repository', `${dot} leads to ${path}, which is not there.`, {
      cause,
    });
  });
}

/** What git needs to see of a source: itself at /source, and what it borrows from, at the same paths. Read-only. */
export async function sourceMounts(location: string): Promise<SandboxMount[]> {
  const mounts: SandboxMount[] = [{ source: location, target: '/source', read_only: true }];
  const common = await commonGitDirectory(location);
  const alternates = await readFile(join(common, 'objects/info/alternates'), 'utf8').catch(() => '');
  const borrowed = alternates
    .split('\n')
    .filter(line => line !== '' && !line.startsWith('#'))
    .map(line => resolve(join(common, 'objects'), line));
  const outside = common.startsWith(`${location}/`) || common === location ? borrowed : [common, ...borrowed];
  for (const path of outside) {
    if (/^\/(usr|etc|proc|dev|sys|run|tmp|workspace|source|repository)(\/|$)/.test(path)) {
      throw new Problem(
        'invalid',
        'repository_unsupported',
        `The repository keeps its objects in ${path}, which cannot be shown in a sandbox. Make a plain clone of it.`,
      );
    }
    mounts.push({ source: path, target: path, read_only: true });
  }
  return mounts;
}
