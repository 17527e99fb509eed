/**
 * Placing files in a repository that belongs to somebody else. No link is followed on the way, whoever puts one there
 * and whenever: every folder is opened from the one above it. What is left behind by a crash has a name that git
 * clears away (`tmp_…`), or is a lock that is taken over when it has grown old.
 */
import { constants } from 'node:fs';
import { chmod, type FileHandle, lchown, lstat, mkdir, open, rename, rm } from 'node:fs/promises';
import { newId } from '../../base/ids.ts';
import { Problem } from '../../base/problem.ts';
import { readReference } from './references.ts';

export interface Owner {
  uid: number;
  gid: number;
}

/** Git holds a lock on one branch for moments; a lock this old was left behind. */
const lockLifeMs = 600_000;

const { O_RDONLY, O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW, O_DIRECTORY } = constants;
const makeNew = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;

const within = (folder: FileHandle, name: string): string => `/proc/self/fd/${folder.fd}/${name}`;
const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException).code;

/** Opens a folder below another, made with that owner where it is missing. */
export async function openBelow(base: string, names: string[], owner: Owner): Promise<FileHandle> {
  let folder = await open(base, O_RDONLY | O_DIRECTORY);
  for (const name of names) {
    try {
      const path = within(folder, name);
      const made = await mkdir(path).then(
        () => true,
        error => {
          if (codeOf(error) === 'EEXIST') return false;
          throw error;
        },
      );
      if (made) await giveTo(path, owner);
      const next = await open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
      await folder.close();
      folder = next;
    } catch (error) {
      await folder.close();
      throw error;
    }
  }
  return folder;
}

/** Copies a file, or finds it there: its name is the hash of what it holds. */
export async function placeFile(
  source: string,
  folder: FileHandle,
  name: string,
  owner: Owner,
): Promise<void> {
  const target = within(folder, name);
  if (await lstat(target).catch(() => null)) return;
  const temporary = within(folder, `tmp_guildhall_${newId('call')}`);
  const from = await open(source, O_RDONLY | O_NOFOLLOW);
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
  const to = await open(path, makeNew, 0o600);
  try {
    for await (const chunk of from.createReadStream({ autoClose: false })) await to.write(chunk as Buffer);
    await to.sync();
  } finally {
    await to.close();
  }
}

/** As git does it: an exclusive `.lock`, then a rename; only from what the branch was when it was looked at. */
export async function placeReference(
  common: string,
  branch: string,
  move: { from: string | null; to: string },
  owner: Owner,
  now: Date,
): Promise<void> {
  const parts = branch.split('/');
  const name = parts.pop() as string;
  await using folder = await openBelow(common, ['refs', 'heads', ...parts], owner);
  const lock = within(folder, `${name}.lock`);
  const handle = await openLock(lock, branch, now);
  try {
    if ((await readReference(common, branch)) !== move.from) throw locked(branch);
    await handle.writeFile(`${move.to}\n`);
    await handle.sync();
    await handle.close();
    await giveTo(lock, owner);
    await rename(lock, within(folder, name));
  } catch (error) {
    await handle.close().catch(() => {});
    await rm(lock, { force: true });
    throw error;
  }
}

const locked = (branch: string, cause?: unknown): Problem =>
  new Problem('unavailable', 'delivery_locked', `Somebody else changes the branch ${branch} of the source.`, {
    cause,
  });

async function openLock(path: string, branch: string, now: Date): Promise<FileHandle> {
  const attempt = () => open(path, makeNew, 0o644);
  try {
    return await attempt();
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error;
    const info = await lstat(path).catch(() => null);
    if (info && now.getTime() - info.mtimeMs < lockLifeMs) throw locked(branch, error);
    await rm(path, { force: true });
  }
  return attempt().catch(error => {
    throw codeOf(error) === 'EEXIST' ? locked(branch, error) : error;
  });
}

async function giveTo(path: string, owner: Owner): Promise<void> {
  if (process.getuid?.() === 0) await lchown(path, owner.uid, owner.gid);
}
