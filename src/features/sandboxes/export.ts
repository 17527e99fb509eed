/**
 * Delivering a branch into a repository on this server without running git there: that repository's configuration
 * and hooks could run programs as the server. A sandbox packs the new objects and checks the pack; the server then
 * only places two files and one reference, each by rename, owned by whoever owns the repository.
 */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { newId } from '../../base/ids.ts';
import { Problem } from '../../base/problem.ts';
import { type Owner, openBelow, placeFile, placeReference } from './export-files.ts';
import { requireGit } from './git.ts';
import { readReference, requireFreeName } from './references.ts';
import { commonGitDirectory } from './source.ts';
import { repositoryDirectory, type Workshop } from './workshop.ts';
import { findCommit, type TreeTask } from './workspaces.ts';

export interface ExportRequest {
  location: string;
  branch: string;
  /** Full name of the commit that the branch will point to. */
  commit: string;
  /** Commit that the source has already. */
  base: string;
  now: Date;
}

/**
 * Places the branch; placing the same again changes nothing.
 * @throws Problem `delivery_refused`, which a retry does not help, or `delivery_locked`, `delivery_failed`.
 */
export async function exportBranch(shop: Workshop, task: TreeTask, request: ExportRequest): Promise<void> {
  try {
    await deliver(shop, task, request);
  } catch (error) {
    throw asProblem(error);
  }
}

async function deliver(shop: Workshop, task: TreeTask, request: ExportRequest): Promise<void> {
  const common = await commonGitDirectory(request.location);
  const owner = await stat(join(common, 'objects'));
  await requirePlainReferences(common);
  await requireFreeName(common, request.branch);
  const present = await readReference(common, request.branch);
  if (present === request.commit) return;
  if (present !== null) await requireOurs(shop, task, request.branch, present);
  await placePack(shop, task, request, common, owner);
  await placeReference(common, request.branch, { from: present, to: request.commit }, owner, request.now);
}

async function requirePlainReferences(common: string): Promise<void> {
  const config = await readFile(join(common, 'config'), 'utf8').catch(() => '');
  if (!/refstorage\s*=\s*reftable/i.test(config)) return;
  throw new Problem(
    'invalid',
    'delivery_refused',
    'The source keeps its references as a reftable, which cannot be written to from outside. Take the change from the diff.',
  );
}

/** A branch of that name is moved only from a commit that the tree knows: nobody's own commits are lost by it. */
async function requireOurs(shop: Workshop, task: TreeTask, branch: string, present: string): Promise<void> {
  if (/^[0-9a-f]{40,64}$/.test(present) && (await findCommit(shop, task, present))) return;
  throw new Problem(
    'invalid',
    'delivery_refused',
    `The branch ${branch} of the source has commits that did not come from Guildhall: it is left as it is. Rename it, then try the task again.`,
  );
}

async function placePack(
  shop: Workshop,
  task: TreeTask,
  request: ExportRequest,
  common: string,
  owner: Owner,
): Promise<void> {
  const directory = repositoryDirectory(shop, task);
  const name = `export-${newId('call')}`;
  const place = { identity: task.identity, workspace: directory, mounts: [], timeoutMs: 300_000 };
  try {
    const out = await requireGit(shop, place, packScript, [name, request.commit, request.base]);
    const hash = /^pack=([0-9a-f]{40,64})$/m.exec(out)?.[1];
    if (!hash) return;
    await using folder = await openBelow(common, ['objects', 'pack'], owner);
    await placeFile(join(directory, `${name}.pack`), folder, `pack-${hash}.pack`, owner);
    // The index last: git sees a pack by its index.
    await placeFile(join(directory, `${name}.idx`), folder, `pack-${hash}.idx`, owner);
  } finally {
    await requireGit(shop, { ...place, timeoutMs: 60_000 }, 'rm -f -- "/workspace/$1".*', [name]);
  }
}

/** $1 name, $2 commit, $3 base. Prints `pack=<hash>`, or nothing when the source has all of it. */
const packScript = `
cd /workspace/repo.git
count=$(git rev-list --count "$2" "^$3")
[ "$count" -gt 0 ] || exit 0
printf '%s\\n^%s\\n' "$2" "$3" | git pack-objects -q --revs --stdout > "/workspace/$1.pack"
hash=$(git index-pack --strict -o "/workspace/$1.idx" "/workspace/$1.pack" | grep -oE '[0-9a-f]{40,64}')
echo "pack=$hash"`;

/** What the file system says, as a refusal: only a full disk may pass by itself. */
function asProblem(error: unknown): unknown {
  const { code, message } = error as NodeJS.ErrnoException;
  if (error instanceof Problem || typeof code !== 'string') return error;
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    const title = 'There is no space left where the source repository lies.';
    return new Problem('unavailable', 'delivery_failed', title, { cause: error });
  }
  const title = `The branch cannot be written to the source repository: ${message}.`;
  return new Problem('invalid', 'delivery_refused', title, { cause: error });
}
