/**
 * Mounts of a sandbox: which targets are allowed, and how a source below directories that the sandbox user cannot
 * enter is reached.
 *
 * A root server whose project lies in /root would have to open its home directory to every uid. Instead, sources
 * that are out of reach are bound to a staging place in a private mount namespace that ends with the command (see
 * stage.ts), so nothing changes on the host.
 */
import { closeSync, constants, lstatSync, openSync, realpathSync, statSync } from 'node:fs';
import { dirname, normalize, relative } from 'node:path';
import { Problem } from '../../base/problem.ts';
import type { SandboxMount } from '../../features/sandboxes/port.ts';

export const workspaceTarget = '/workspace';

const reservedTargets = [
  '/proc',
  '/dev',
  '/sys',
  '/usr',
  '/etc',
  '/run',
  '/bin',
  '/sbin',
  '/lib',
  '/lib32',
  '/lib64',
  '/libx32',
  '/opt/guildhall',
  '/oldroot',
  '/newroot',
];
const kernelDirectories = ['/proc', '/sys', '/dev'];

const isWithin = (path: string, directory: string) => path === directory || path.startsWith(`${directory}/`);

/** @throws Problem when nothing may be mounted there. */
export function checkTarget(target: string): void {
  const plain = target.startsWith('/') && normalize(target) === target && !target.includes('\0');
  const reserved = reservedTargets.some(path => isWithin(target, path));
  if (!plain || target.endsWith('/') || reserved || ['/tmp', workspaceTarget].includes(target)) {
    throw new Problem(
      'invalid',
      'sandbox_mount_invalid',
      `Nothing can be mounted at ${target} in a sandbox.`,
    );
  }
}

/** Sources with links resolved, parents before children. @throws Problem for one that cannot be shown. */
export function resolveMounts(mounts: SandboxMount[], uid: number | null): SandboxMount[] {
  for (const { target } of mounts) checkTarget(target);
  return mounts
    .map(mount => ({ ...mount, source: resolveSource(mount, uid) }))
    .sort((a, b) => a.target.length - b.target.length);
}

function resolveSource({ source, target }: SandboxMount, uid: number | null): string {
  let path: string;
  try {
    path = realpathSync(source);
  } catch (cause) {
    throw new Problem(
      'invalid',
      'sandbox_mount_missing',
      `${source} is to appear at ${target} but does not exist.`,
      {
        cause,
      },
    );
  }
  const stat = statSync(path);
  if (path === '/' || kernelDirectories.some(directory => isWithin(path, directory))) {
    throw new Problem('invalid', 'sandbox_mount_invalid', `${source} cannot be shown in a sandbox.`);
  }
  const needed = stat.isDirectory() ? 0o5 : 0o4;
  if (uid !== null && stat.uid !== uid && (stat.mode & needed) !== needed) {
    throw new Problem(
      'invalid',
      'sandbox_mount_unreadable',
      `${source} is not readable by the sandbox user (uid ${uid}). Allow it with: chmod -R o+rX ${source}`,
    );
  }
  return path;
}

/** Whether a uid without any other right can walk to the path. */
export function isReachable(path: string): boolean {
  for (let directory = dirname(path); ; directory = dirname(directory)) {
    if ((statSync(directory).mode & 0o001) === 0) return false;
    if (directory === '/') return true;
  }
}

/**
 * bubblewrap makes missing mount points, and follows links on the way while the host is still in view: a link
 * planted in the workspace could make it create an empty file or directory elsewhere with the sandbox user's rights.
 * So the way to each target in the workspace must consist of directories, or end before anything is there.
 *
 * @throws Problem naming the link.
 */
export function checkMountPoints(workspace: string, mounts: SandboxMount[]): void {
  for (const { target } of mounts) {
    if (!isWithin(target, workspaceTarget)) continue;
    const names = relative(workspaceTarget, target).split('/');
    let fd = openSync(workspace, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
    try {
      for (const name of names) {
        const path = `/proc/self/fd/${fd}/${name}`;
        const stat = lstatSync(path, { throwIfNoEntry: false });
        if (!stat) break;
        if (stat.isSymbolicLink()) {
          throw new Problem(
            'conflict',
            'sandbox_mount_point_is_link',
            `${target} cannot be mounted: ${name} is a symbolic link in the workspace. Remove it.`,
          );
        }
        if (!stat.isDirectory()) break;
        const next = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
        closeSync(fd);
        fd = next;
      }
    } finally {
      closeSync(fd);
    }
  }
}
