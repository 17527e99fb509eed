/**
 * Small files written whole or not at all. When root writes into a folder of somebody else, the file becomes that
 * owner's; as he could have laid traps there, the file is made anew and changed only through its handle.
 */
import { randomBytes } from 'node:crypto';
import { type FileHandle, mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

/** The text of a file; undefined when there is none. */
export async function readIfThere(file: string): Promise<string | undefined> {
  return readFile(file, 'utf8').catch(error => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  });
}

/**
 * Makes a folder and those above it. Node's own recursive mkdir never returns where a file system answers ENOENT
 * for a folder whose parent exists, as /proc does.
 */
export async function makeDirs(dir: string, mode: number): Promise<void> {
  const make = () =>
    mkdir(dir, { mode }).catch(async error => {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || !(await stat(dir)).isDirectory()) throw error;
    });
  try {
    await make();
  } catch (error) {
    const parent = dirname(dir);
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || parent === dir) throw error;
    await makeDirs(parent, mode);
    await make();
  }
}

/** Writes through a neighbour and a rename, so that a reader or a power cut finds the old or the new text. */
export async function writeWhole(file: string, text: string, mode = 0o600): Promise<void> {
  const partial = `${file}.${randomBytes(4).toString('hex')}.partial`;
  try {
    const handle = await open(partial, 'wx', mode);
    try {
      await handle.writeFile(text);
      await giveToOwnerOf(dirname(file), handle);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(partial, file);
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
  await syncDir(dirname(file));
}

/** Makes a rename in this folder durable. */
export async function syncDir(dir: string): Promise<void> {
  const handle = await open(dir, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** When root works in somebody's folder, what it writes there stays his. */
export async function giveToOwnerOf(dir: string, handle: FileHandle): Promise<void> {
  if (process.getuid?.() !== 0) return;
  const { uid, gid } = await stat(dir);
  if (uid !== 0) await handle.chown(uid, gid);
}
