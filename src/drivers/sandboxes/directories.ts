/**
 * Host directories that belong to sandbox users: made, and removed whatever the commands left in them.
 *
 * Removal of a tree that somebody else can change while it runs is where deleting as root goes wrong. So the content
 * is removed with the rights of the tree's own user, who can only hit what is theirs; root then takes the empty rest.
 */
import { execFile } from 'node:child_process';
import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
} from 'node:fs';
import { chmod, lstat, unlink } from 'node:fs/promises';
import { dirname, isAbsolute, normalize } from 'node:path';
import { promisify } from 'node:util';
import { messageOf, Problem } from '../../base/problem.ts';
import { type Host, pooledUid } from './host.ts';

const run = promisify(execFile);

/** Parents that are made here can be passed by everyone and listed by nobody else (0711); others stay as they are. */
export function prepareDirectory(host: Host, path: string, identity: number): void {
  checkPath(path);
  makeParents(dirname(path));
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  try {
    const uid = pooledUid(host, identity);
    if (uid !== null && fstatSync(fd).uid !== uid) fchownSync(fd, uid, uid);
    fchmodSync(fd, 0o700);
  } finally {
    closeSync(fd);
  }
}

function makeParents(path: string): void {
  if (lstatSync(path, { throwIfNoEntry: false })) return;
  makeParents(dirname(path));
  mkdirSync(path);
  const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  fchmodSync(fd, 0o711); // Whatever the umask is.
  closeSync(fd);
}

export async function removeDirectory(host: Host, path: string): Promise<void> {
  checkPath(path);
  const stat = await lstat(path).catch(() => null);
  if (!stat) return;
  if (!stat.isDirectory()) return await unlink(path);

  const { find, rm, chmod: changeMode } = host.programs as Record<string, string>;
  try {
    if (host.root && stat.uid !== 0) {
      // Enters the directory as root, whatever its parents allow, and works on as its owner.
      const asOwner = { cwd: path, env: {}, uid: stat.uid, gid: stat.gid };
      const empty = () => run(find!, ['.', '-mindepth', '1', '-delete'], asOwner);
      await chmod(path, 0o700);
      await empty().catch(async () => {
        await run(find!, ['.', '-type', 'd', '-exec', changeMode!, 'u+rwx', '{}', ';'], asOwner).catch(
          () => {},
        );
        await empty().catch(() => {});
      });
    }
    const removeRest = () => run(rm!, ['-rf', '--', path], { env: {} });
    await removeRest().catch(async () => {
      await run(changeMode!, ['-R', 'u+rwX', '--', path], { env: {} });
      await removeRest();
    });
  } catch (cause) {
    throw new Problem('unavailable', 'sandbox_directory_not_removed', `${path} could not be removed.`, {
      cause,
      detail: { reason: messageOf(cause) },
    });
  }
}

function checkPath(path: string): void {
  if (!isAbsolute(path) || normalize(path) !== path || dirname(path) === '/' || path.includes('\0')) {
    throw new Problem('bug', 'sandbox_directory_invalid', `${path} cannot be a directory of a sandbox.`);
  }
}
