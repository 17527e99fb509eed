/**
 * Watches that stand in where the kernel has no limit to offer: bytes in the workspace always, memory where there is
 * no control group. Best effort by nature: something fast enough is past the limit before the next look.
 */
import { execFile } from 'node:child_process';
import { statfsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { childrenOf } from './processes.ts';

const run = promisify(execFile);

const mebibyte = 1024 * 1024;
/** Counting files is not free (about 5 ms per thousand), so it waits until this much was written to the disk. */
const leastGrowthBytes = 4 * mebibyte;
const recountMs = 5000;

export interface DiskMeter {
  /** Bytes in the directory as last counted; counted now when they never were. */
  baseline(): Promise<number | null>;
  /** Whether the disk has lost so much free space since the last count that another is due. */
  hasGrown(): boolean;
  /** Bytes in the directory, counted again when the disk has lost free space or some time has passed. */
  read(): Promise<number | null>;
}

/** Null results: there is no `du`, or it failed. */
export function openDiskMeter(directory: string, du: string | null, limitBytes: number): DiskMeter {
  let bytes: number | null = null;
  let countedAt = Number.NEGATIVE_INFINITY;
  let freeWhenCounted = Number.NEGATIVE_INFINITY;

  /** NaN when the directory is gone, as it is at the end: then nothing grows any more. */
  const freeBytes = () => {
    try {
      const { bfree, bsize } = statfsSync(directory);
      return bfree * bsize;
    } catch {
      return Number.NaN;
    }
  };
  const count = async () => {
    if (du === null) return null;
    freeWhenCounted = freeBytes();
    countedAt = performance.now();
    // The sum stands on the last line also when some directory could not be read.
    const { stdout } = await run(du, ['-skx', directory], { env: {} }).catch(
      (error: { stdout?: string }) => ({
        stdout: error.stdout ?? '',
      }),
    );
    const kibibytes = /^(\d+)\s/.exec(stdout.trim().split('\n').at(-1) ?? '')?.[1];
    if (kibibytes !== undefined) bytes = Number(kibibytes) * 1024;
    return bytes;
  };
  const hasGrown = () => {
    const step = Math.max(leastGrowthBytes, (limitBytes - (bytes ?? 0)) / 4);
    return freeWhenCounted - freeBytes() > step;
  };

  return {
    hasGrown,
    baseline: async () => bytes ?? (await count()),
    read: async () => (performance.now() - countedAt > recountMs || hasGrown() ? await count() : bytes),
  };
}

/**
 * Memory of a process and all its descendants, pages shared among several counted once (proportional set size).
 * Daemons are descendants too: in a namespace, orphans become children of its first process.
 */
export async function treeMemory(root: number): Promise<number> {
  let total = 0;
  const seen = new Set<number>();
  for (let generation = [root]; generation.length > 0; ) {
    const next: number[] = [];
    for (const pid of generation) {
      if (seen.has(pid)) continue;
      seen.add(pid);
      total += await proportionalMemory(pid);
      next.push(...childrenOf(pid));
    }
    generation = next;
  }
  return total;
}

async function proportionalMemory(pid: number): Promise<number> {
  try {
    const text = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8');
    return Number(/^Pss:\s+(\d+) kB$/m.exec(text)?.[1] ?? 0) * 1024;
  } catch {
    return 0; // Ended meanwhile.
  }
}
