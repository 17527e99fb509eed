/** Control groups version 1, also in hybrid set-ups: a directory per controller. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { groupDirectory, readMounts } from './group-paths.ts';
import type { GroupLimits, Hierarchy } from './groups.ts';

const controllers = ['cpu', 'memory', 'pids'] as const;
const periodMicroseconds = 100_000;

/** Null when one of the controllers has no version 1 hierarchy. */
export function openVersion1(parentName: string): Hierarchy | null {
  const mounts = readMounts().filter(mount => mount.type === 'cgroup');
  const membership = readFileSync('/proc/self/cgroup', 'utf8');
  const parentOf = new Map<string, string>();
  for (const controller of controllers) {
    const own = groupDirectory(mounts, membership, controller);
    if (own === null) return null;
    parentOf.set(controller, join(own, parentName));
  }
  const fileOf = (controller: (typeof controllers)[number], id: string, file: string) =>
    join(parentOf.get(controller)!, id, file);

  return {
    version: 1,
    parents: [...new Set(parentOf.values())],
    make(id: string, limits: GroupLimits): void {
      for (const parent of parentOf.values()) mkdirSync(join(parent, id), { recursive: true });
      const set = (controller: (typeof controllers)[number], file: string, value: number) =>
        writeFileSync(fileOf(controller, id, file), String(value));
      set('cpu', 'cpu.cfs_period_us', periodMicroseconds);
      set('cpu', 'cpu.cfs_quota_us', Math.max(1000, Math.round(limits.cpuCores * periodMicroseconds)));
      set('pids', 'pids.max', limits.pids);
      set('memory', 'memory.limit_in_bytes', limits.memoryBytes);
      // Memory and swap together, so that nothing is swapped; absent when the kernel does not account for swap.
      if (existsSync(fileOf('memory', id, 'memory.memsw.limit_in_bytes'))) {
        set('memory', 'memory.memsw.limit_in_bytes', limits.memoryBytes);
      } else {
        set('memory', 'memory.swappiness', 0);
      }
    },
    joinFiles: id => controllers.map(controller => fileOf(controller, id, 'cgroup.procs')),
    countMemoryKills(id: string): number {
      const report = readFileSync(fileOf('memory', id, 'memory.oom_control'), 'utf8');
      return Number(/^oom_kill (\d+)$/m.exec(report)?.[1] ?? 0);
    },
  };
}
