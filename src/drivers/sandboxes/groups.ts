/**
 * Control groups: the only real limit on the memory and processor time of several processes together. One group per
 * sandbox, below a parent per installation, below the server's own group where that is possible.
 *
 * Which hierarchy can be used is found out by making a group and setting limits in it, not by reading versions:
 * version 2 where the server owns or was delegated a subtree, else version 1 (or hybrid) where its files are
 * writable, else none, and then memory and processor limits are best effort.
 */
import { existsSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../../base/problem.ts';
import { openVersion1 } from './groups-v1.ts';
import { openVersion2 } from './groups-v2.ts';
import type { Log } from './host.ts';

export interface GroupLimits {
  cpuCores: number;
  memoryBytes: number;
  pids: number;
}

/** One way to make groups: what the two versions differ in. */
export interface Hierarchy {
  version: 1 | 2;
  /** Directories below which each group has a directory of its own; one per controller in version 1. */
  parents: string[];
  /** Makes the directories and sets the limits. @throws when the kernel refuses. */
  make(id: string, limits: GroupLimits): void;
  /** Absolute names of the files into which a process writes `0` to join. */
  joinFiles(id: string): string[];
  /** How often the kernel killed in this group for want of memory. */
  countMemoryKills(id: string): number;
}

export interface ControlGroups extends Hierarchy {
  remove(id: string): Promise<void>;
  /** Removes groups of former processes, except the kept; returns the ids of the removed. */
  removeOthers(isKept: (id: string) => boolean): Promise<string[]>;
}

/** Null when no hierarchy is usable. @param instance names the parent, so that installations do not meet. */
export async function openControlGroups(
  instance: string,
  stateDir: string,
  log: Log,
): Promise<ControlGroups | null> {
  for (const open of [openVersion2, openVersion1]) {
    try {
      const hierarchy = open(`guildhall-${instance}`);
      if (!hierarchy) continue;
      await tryOut({ ...hierarchy, make: makeAgainstRemoval(hierarchy) });
      return { ...hierarchy, make: makeAgainstRemoval(hierarchy), ...removals(hierarchy, stateDir) };
    } catch (error) {
      log({ msg: 'control groups not usable', way: open.name, reason: messageOf(error) });
    }
  }
  return null;
}

const makeAttempts = 5;

/** Another server of the installation may remove the empty parent just when a group is made in it. */
function makeAgainstRemoval(hierarchy: Hierarchy): Hierarchy['make'] {
  return (id, limits) => {
    for (let attempt = 1; ; attempt++) {
      try {
        return hierarchy.make(id, limits);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || attempt >= makeAttempts) throw error;
      }
    }
  };
}

async function tryOut(hierarchy: Hierarchy): Promise<void> {
  const id = `trial_${process.pid}`;
  try {
    hierarchy.make(id, { cpuCores: 1, memoryBytes: 64 * 1024 * 1024, pids: 16 });
    hierarchy.countMemoryKills(id);
  } finally {
    for (const parent of hierarchy.parents) await removeGroupDirectory(join(parent, id));
    removeEmptyParents(hierarchy.parents);
  }
}

function removals(hierarchy: Hierarchy, stateDir: string) {
  // A restarted server may sit in another group than its predecessor: parents are remembered to be found again.
  const memory = join(stateDir, 'group-parents');
  const former = existsSync(memory) ? readFileSync(memory, 'utf8').split('\n') : [];
  const known = new Set([...former.filter(parent => existsSync(parent)), ...hierarchy.parents]);
  known.delete('');
  writeFileSync(memory, [...known, ''].join('\n'));

  return {
    async remove(id: string): Promise<void> {
      for (const parent of hierarchy.parents) await removeGroupDirectory(join(parent, id));
      removeEmptyParents(hierarchy.parents);
    },
    async removeOthers(isKept: (id: string) => boolean): Promise<string[]> {
      const removed = new Set<string>();
      const parents = [...known].filter(parent => existsSync(parent));
      for (const parent of parents) {
        for (const entry of readdirSync(parent, { withFileTypes: true })) {
          if (!entry.isDirectory() || isKept(entry.name)) continue;
          await removeGroupDirectory(join(parent, entry.name));
          removed.add(entry.name);
        }
      }
      removeEmptyParents(parents);
      return [...removed];
    },
  };
}

function removeEmptyParents(parents: string[]): void {
  for (const parent of parents) {
    try {
      rmdirSync(parent);
    } catch {
      // Holds other groups, or is already gone.
    }
  }
}

const removalAttempts = 500;
const removalPauseMs = 10;

/** Kills what is in a group and removes it, as soon as the kernel has let go of the last process. */
async function removeGroupDirectory(directory: string): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    try {
      rmdirSync(directory);
      return;
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code === 'ENOENT') return;
      if (code !== 'EBUSY' || attempt >= removalAttempts) throw error;
    }
    killMembers(directory);
    await sleep(removalPauseMs);
  }
}

function killMembers(directory: string): void {
  const killFile = join(directory, 'cgroup.kill'); // version 2, Linux 5.14
  if (existsSync(killFile)) {
    writeFileSync(killFile, '1');
    return;
  }
  for (const pid of readFileSync(join(directory, 'cgroup.procs'), 'utf8').split('\n')) {
    if (Number(pid) <= 1) continue;
    try {
      process.kill(Number(pid), 'SIGKILL');
    } catch {
      // Ended meanwhile.
    }
  }
}
