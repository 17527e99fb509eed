/**
 * Control groups version 2. A group may have either processes or controlled children, so there are two ways in:
 *
 * 1. Our own group, when nobody else is in it (a service, a scope with `Delegate=yes`, a container): we and our
 *    descendants move to a leaf. Its limits hold for sandboxes too, and whoever ends the group ends them.
 * 2. Else the nearest ancestor that hands the controllers down already and that we may write: the user's own subtree
 *    when a terminal of a desktop session started the server.
 */
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readFileSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { groupDirectory, readMounts } from './group-paths.ts';
import type { GroupLimits, Hierarchy } from './groups.ts';

const controllers = ['cpu', 'memory', 'pids'];
const periodMicroseconds = 100_000;
const serverLeaf = 'guildhall-server';

/** Null when there is no version 2 hierarchy with the controllers, or none of it is ours to write. */
export function openVersion2(parentName: string): Hierarchy | null {
  const mounts = readMounts().filter(mount => mount.type === 'cgroup2');
  const own = groupDirectory(mounts, readFileSync('/proc/self/cgroup', 'utf8'), null);
  const top = mounts[0]?.point;
  if (own === null || top === undefined) return null;
  const base =
    basename(own) === serverLeaf ? dirname(own) : (takeOver(own, top) ?? nearestThatHandsDown(own, top));
  if (base === null) return null;
  const parent = join(base, parentName);

  return {
    version: 2,
    parents: [parent],
    make(id: string, limits: GroupLimits): void {
      mkdirSync(parent, { recursive: true });
      handDown(parent);
      const directory = join(parent, id);
      mkdirSync(directory, { recursive: true });
      const set = (file: string, value: string | number) =>
        writeFileSync(join(directory, file), String(value));
      const quota = Math.max(1000, Math.round(limits.cpuCores * periodMicroseconds));
      set('cpu.max', `${quota} ${periodMicroseconds}`);
      set('memory.max', limits.memoryBytes);
      set('pids.max', limits.pids);
      // One process out of memory ends the command, not a random part of it (Linux 4.19).
      if (existsSync(join(directory, 'memory.oom.group'))) set('memory.oom.group', 1);
      if (existsSync(join(directory, 'memory.swap.max'))) set('memory.swap.max', 0);
    },
    joinFiles: id => [join(parent, id, 'cgroup.procs')],
    countMemoryKills(id: string): number {
      const report = readFileSync(join(parent, id, 'memory.events'), 'utf8');
      return Number(/^oom_kill (\d+)$/m.exec(report)?.[1] ?? 0);
    },
  };
}

const wordsOf = (file: string) => (existsSync(file) ? readFileSync(file, 'utf8').trim().split(/\s+/) : []);
const hasAll = (words: string[]) => controllers.every(controller => words.includes(controller));

function mayWrite(directory: string): boolean {
  try {
    for (const name of ['', 'cgroup.procs']) accessSync(join(directory, name), constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function nearestThatHandsDown(own: string, top: string): string | null {
  for (let directory = own; ; directory = dirname(directory)) {
    if (hasAll(wordsOf(join(directory, 'cgroup.subtree_control'))) && mayWrite(directory)) return directory;
    if (directory === top || directory === '/') return null;
  }
}

function handDown(directory: string): void {
  const file = join(directory, 'cgroup.subtree_control');
  if (!hasAll(wordsOf(file))) writeFileSync(file, controllers.map(name => `+${name}`).join(' '));
}

function takeOver(own: string, top: string): string | null {
  if (!hasAll(wordsOf(join(own, 'cgroup.controllers'))) || !mayWrite(own)) return null;
  if (handsDownAtOnce(own)) return own;
  const members = wordsOf(join(own, 'cgroup.procs')).filter(Boolean).map(Number);
  // The top that a container sees is the container's alone.
  if (own !== top && !members.every(isOurs)) return null;
  const leaf = join(own, serverLeaf);
  try {
    mkdirSync(leaf, { recursive: true });
    move(members, leaf);
    handDown(own);
    return own;
  } catch {
    // Not ours to divide after all: as before.
    move(members, own);
    if (existsSync(leaf)) rmdirSync(leaf);
    return null;
  }
}

function move(members: number[], directory: string): void {
  for (const pid of members) {
    try {
      writeFileSync(join(directory, 'cgroup.procs'), String(pid));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error; // Ended meanwhile.
    }
  }
}

/** The root group may have both processes and controlled children. */
function handsDownAtOnce(own: string): boolean {
  try {
    handDown(own);
    return true;
  } catch {
    return false;
  }
}

/** Whether a process is this one or descends from it. */
function isOurs(pid: number): boolean {
  if (pid === 0) return false; // In another process id namespace.
  for (let at = pid; at > 1; ) {
    if (at === process.pid) return true;
    const status = `/proc/${at}/status`;
    if (!existsSync(status)) return true; // Ended meanwhile: nobody's.
    at = Number(/^PPid:\s*(\d+)$/m.exec(readFileSync(status, 'utf8'))?.[1] ?? 0);
  }
  return process.pid === 1;
}
