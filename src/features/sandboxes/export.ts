/**
 * Delivering a branch into a repository on this server without running git there: that repository's configuration
 * and hooks could run programs as the server. A sandbox packs the new objects and checks the pack; the server then
 * only places two files and one reference, each by rename, owned by whoever owns the repository.
 */
import { constants } from 'node:fs';
import { chmod, type FileHandle, lchown, mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { newId } from '../../base/ids.ts';
import { Problem } from '../../base/problem.ts';
import { requireGit } from './git.ts';
import { commonGitDirectory } from './source.ts';
import { repositoryDirectory, type Workshop } from './workshop.ts';
import type { TreeTask } from './workspaces.ts';

export interface ExportRequest {
  location: string;
  branch: string;
  /** Full name of the commit that the branch will point to. */
  commit: string;
  /** Commit that the source has already. */
  base: string;
}

/** Places the branch; placing the same again changes nothing. @throws Problem `delivery_refused`. */
export async function exportBranch(shop: Workshop, task: TreeTask, request: ExportRequest): Promise<void> {
  const common = await commonGitDirectory(request.location);
  const config = await readFile(join(common, 'config'), 'utf8').catch(() => '');
  if (/refstorage\s*=\s*reftable/i.test(config)) {
    throw new Problem(
      'invalid',
      'delivery_refused',
      'The source keeps its references as a reftable, which cannot be written to from outside. Take the change from the diff.',
    );
  }
  const reference = join(common, 'refs/heads', request.branch);
  const present = (await readFile(reference, 'utf8').catch(() => '')).trim();
  if (present === request.commit) return;
  const owner = await stat(join(common, 'objects'));
  const directory = repositoryDirectory(shop, task);
  const name = `export-${newId('call')}`;
  try {
    const place = { identity: task.identity, workspace: directory, mounts: [], timeoutMs: 300_000 };
    const out = await requireGit(shop, place, packScript, [name, request.commit, request.base]);
    const hash = /^pack=([0-9a-f]{40,64})$/m.exec(out)?.[1];
    if (hash) {
      const target = join(common, 'objects/pack', `pack-${hash}`);
      await placeFile(join(directory, `${name}.pack`), `${target}.pack`, owner);
      // The index last: git sees a pack by its index.
      await placeFile(join(directory, `${name}.idx`), `${target}.idx`, owner);
    }
    await placeReference(reference, request.commit, owner);
  } finally {
    await requireGit(
      shop,
      { identity: task.identity, workspace: directory, mounts: [], timeoutMs: 60_000 },
      'rm -f -- "/workspace/$1".*',
      [name],
    );
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

interface Owner {
  uid: number;
  gid: number;
}

async function placeFile(source: string, target: string, owner: Owner): Promise<void> {
  if (
    await stat(target).then(
      () => true,
      () => false,
    )
  )
    return;
  await mkdirOwned(dirname(target), owner);
  const temporary = `${target}.guildhall-${process.pid}`;
  const from = await open(source, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    await copyTo(from, temporary);
    await chmod(temporary, 0o444);
    await giveTo(temporary, owner);
    await rename(temporary, target);
  } finally {
    await from.close();
    await rm(temporary, { force: true });
  }
}

async function copyTo(from: FileHandle, path: string): Promise<void> {
  const to = await open(
    path,
    constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW,
    0o600,
  );
  try {
    for await (const chunk of from.createReadStream({ autoClose: false })) await to.write(chunk as Buffer);
    await to.sync();
  } finally {
    await to.close();
  }
}

/** As git does it: an exclusive `.lock`, then a rename. */
async function placeReference(path: string, commit: string, owner: Owner): Promise<void> {
  await mkdirOwned(dirname(path), owner);
  const lock = `${path}.lock`;
  let handle: FileHandle;
  try {
    handle = await open(
      lock,
      constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW,
      0o644,
    );
  } catch (error) {
    throw new Problem('unavailable', 'delivery_locked', `The source repository is locked (${lock} exists).`, {
      cause: error,
    });
  }
  try {
    await handle.writeFile(`${commit}\n`);
    await handle.sync();
    await handle.close();
    await giveTo(lock, owner);
    await rename(lock, path);
  } catch (error) {
    await rm(lock, { force: true });
    throw error;
  }
}

/** Makes missing folders one by one, so that each gets the owner of the repository. */
async function mkdirOwned(path: string, owner: Owner): Promise<void> {
  if (
    await stat(path).then(
      info => info.isDirectory(),
      () => false,
    )
  )
    return;
  await mkdirOwned(dirname(path), owner);
  await mkdir(path).catch(error => {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return;
    throw new Problem(
      'invalid',
      'delivery_refused',
      `The branch cannot be written to the source repository: ${(error as Error).message}.`,
      { cause: error },
    );
  });
  await giveTo(path, owner);
}

async function giveTo(path: string, owner: Owner): Promise<void> {
  if (process.getuid?.() === 0) await lchown(path, owner.uid, owner.gid);
}
