/**
 * What /proc tells about processes. A pid alone is no identity, the kernel gives it to another process later; with
 * the start time it is one.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

export interface ProcessIdentity {
  pid: number;
  /** Clock ticks since boot. */
  startTime: string;
}

interface Status {
  state: string;
  parent: number;
  startTime: string;
}

/** Null when there is no such process. */
export function readStatus(pid: number): Status | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field is the program name in brackets and may hold anything.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return { state: fields[0]!, parent: Number(fields[1]), startTime: fields[19]! };
  } catch {
    return null;
  }
}

export function identify(pid: number): ProcessIdentity | null {
  const status = readStatus(pid);
  return status && { pid, startTime: status.startTime };
}

/** A zombie counts as gone: the first process of a namespace becomes one only after all others there have ended. */
export function isGone({ pid, startTime }: ProcessIdentity): boolean {
  const status = readStatus(pid);
  return !status || status.startTime !== startTime || status.state === 'Z' || status.state === 'X';
}

export function killIfSame(target: ProcessIdentity): void {
  if (isGone(target)) return;
  kill(target.pid);
}

export function kill(pid: number, signal: NodeJS.Signals = 'SIGKILL'): void {
  try {
    process.kill(pid, signal);
  } catch {
    // Ended meanwhile.
  }
}

/** Whether it ended within the time. */
export async function waitUntilGone(target: ProcessIdentity, patienceMs: number): Promise<boolean> {
  const deadline = performance.now() + patienceMs;
  for (let pause = 0.5; !isGone(target); pause = Math.min(pause * 1.5, 20)) {
    if (performance.now() > deadline) return false;
    await sleep(pause);
  }
  return true;
}

/** Children of all threads of a process. */
export function childrenOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap(thread => {
      const file = `/proc/${pid}/task/${thread}/children`;
      return existsSync(file) ? readFileSync(file, 'utf8').trim().split(' ').filter(Boolean).map(Number) : [];
    });
  } catch {
    return [];
  }
}

/** Whether the command line of a process holds the word. */
export function isMarked(pid: number, word: string): boolean {
  return commandLine(pid).includes(word);
}

/** Processes whose command line holds a word that starts with the prefix: what follows it, by process. */
export function findMarked(prefix: string): Map<number, string> {
  const found = new Map<number, string>();
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const marker = commandLine(Number(entry)).find(word => word.startsWith(prefix));
    if (marker !== undefined) found.set(Number(entry), marker.slice(prefix.length));
  }
  return found;
}

function commandLine(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  } catch {
    return []; // Ended meanwhile.
  }
}
