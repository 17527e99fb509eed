/**
 * Clean-up after a server that died: sandboxes that outlived it (they are tied to it by a parent-death signal, which
 * misses the first milliseconds of a start), their control groups and pipes.
 */
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { markerPrefix, readRunDirectories } from './box.ts';
import type { Host } from './host.ts';
import { findMarked, identify, killIfSame, readStatus, waitUntilGone } from './processes.ts';

const patienceMs = 5000;
/** What a marked process can be: the programs of the stage. The command inside does not carry the mark. */
const programs = new Set(['bwrap', 'bash', 'unshare', 'setpriv', 'mount']);

/** Removes what belongs to no living server and is not named; returns the sandboxes' ids. */
export async function reconcile(host: Host, keep: ReadonlySet<string>): Promise<{ removed: string[] }> {
  const kept = new Set(keep);
  const orphans: { pid: number; id: string }[] = [];
  const marked = findMarked(markerPrefix(host));
  for (const [pid, mark] of marked) {
    const [, id, server] = /^([a-z0-9_]+):(\d+)\./.exec(mark) ?? [];
    if (id === undefined) continue;
    if (keep.has(id) || hasServer(pid, Number(server), marked)) kept.add(id);
    else if (programs.has(nameOf(pid))) orphans.push({ pid, id });
  }

  const removed = new Set<string>();
  for (const { pid, id } of orphans) {
    const orphan = identify(pid);
    if (!orphan) continue;
    killIfSame(orphan);
    removed.add(id);
    if (!(await waitUntilGone(orphan, patienceMs)))
      host.log({ msg: 'sandbox process not killed', pid, sandbox: id });
  }
  // Looked at anew for every group: other servers on this data directory open sandboxes in the meantime.
  const isKept = (id: string) => kept.has(id) || isOfLivingServer(host, id);
  for (const id of (await host.groups?.removeOthers(isKept)) ?? []) removed.add(id);
  for (const { path, id, serverLives } of readRunDirectories(host)) {
    if (serverLives || kept.has(id)) continue;
    rmSync(path, { recursive: true, force: true });
    removed.add(id);
  }
  removeLeftFiles(host.stateDir);
  if (removed.size > 0) host.log({ msg: 'sandboxes of a former server removed', removed: [...removed] });
  return { removed: [...removed] };
}

/** A sandbox has its run directory before its group; a server that starts has a group to try out only. */
function isOfLivingServer(host: Host, id: string): boolean {
  const trial = /^trial_(\d+)$/.exec(id);
  if (trial) return readStatus(Number(trial[1])) !== null;
  return readRunDirectories(host).some(directory => directory.id === id && directory.serverLives);
}

/** What a server was about to hand over or to clean up when it ended. */
function removeLeftFiles(stateDir: string): void {
  for (const name of readdirSync(stateDir)) {
    const server = /^(?:unnamed|probe)-(\d+)-/.exec(name)?.[1];
    if (server === undefined || readStatus(Number(server)) !== null) continue;
    rmSync(join(stateDir, name), { recursive: true, force: true });
  }
}

/** Whether the topmost marked process above is a child of the server that started it. */
function hasServer(pid: number, server: number, marked: Map<number, string>): boolean {
  const parent = readStatus(pid)?.parent ?? 0;
  return marked.has(parent) ? hasServer(parent, server, marked) : parent === server;
}

function nameOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
  } catch {
    return '';
  }
}
