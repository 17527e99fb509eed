/** Ends a running command that takes too long, produces too much, fills its disk or memory, or is not wanted. */
import { messageOf } from '../../base/problem.ts';
import type { ExecRequest } from '../../features/sandboxes/port.ts';
import type { Box } from './box.ts';
import type { Launch } from './launch.ts';
import { treeMemory } from './meters.ts';
import { mebibytes, type Stop } from './verdict.ts';

/** A command that produces this many times what is kept is stopped. */
const floodFactor = 64;
const leastFloodBytes = 1024 * 1024;
const periodMs = 200;

export interface Watching {
  countOutput(chunk: Uint8Array): void;
  /** To be called when the command has ended: why it was stopped, if it was. */
  finish(): Promise<Stop | null>;
}

export function watch(box: Box, request: ExecRequest, running: Launch, maxOutputBytes: number): Watching {
  const { policy } = box.spec;
  let why: Stop | null = null;
  const stop = (outcome: Stop['outcome'], message: string) => {
    why ??= { outcome, message };
    running.kill();
  };

  const wallMs = Math.min(request.timeout_ms ?? policy.wall_ms, policy.wall_ms);
  const deadline = setTimeout(() => stop('timed_out', `The command ran longer than ${wallMs} ms.`), wallMs);

  const cancel = () => stop('cancelled', 'The command was cancelled.');
  request.signal?.addEventListener('abort', cancel);
  box.running.add(cancel);
  if (request.signal?.aborted) cancel();

  let outputBytes = 0;
  const floodBytes = Math.max(floodFactor * maxOutputBytes, leastFloodBytes);

  // Counting the workspace runs beside the command. One that was too full before may be cleaned up: only growth
  // beyond that is stopped.
  const diskAtStart = box.disk?.baseline();
  const checkDisk = async () => {
    const bytes = await box.disk?.read();
    const allowed = Math.max(policy.workspace_bytes, (await diskAtStart) ?? 0);
    if (bytes && bytes > allowed) {
      stop('disk_limit', `The workspace holds more than ${mebibytes(policy.workspace_bytes)}.`);
    }
  };
  // Of a group without memory the kernel kills one process (all of them only in version 2): the rest of the command
  // would go on without it, so it ends too. Without groups we have to look for ourselves.
  const killsAtStart = box.countMemoryKills();
  const isOutOfMemory = async () => {
    if (box.host.groups) return box.countMemoryKills() > killsAtStart;
    const first = running.first();
    return first !== null && (await treeMemory(first.pid)) > policy.memory_bytes;
  };
  const checkMemory = async () => {
    if (await isOutOfMemory()) {
      stop('out_of_memory', `The command needed more than ${mebibytes(policy.memory_bytes)} of memory.`);
    }
  };
  let looking = false;
  const look = setInterval(async () => {
    if (looking) return;
    looking = true;
    try {
      await Promise.all([checkDisk(), checkMemory()]);
    } catch (error) {
      box.host.log({ msg: 'sandbox watch failed', sandbox: box.spec.id, reason: messageOf(error) });
    }
    looking = false;
  }, periodMs);

  return {
    countOutput(chunk) {
      outputBytes += chunk.length;
      if (outputBytes > floodBytes) {
        stop('output_limit', `The command produced more than ${mebibytes(floodBytes)} of output.`);
      }
    },
    async finish() {
      clearTimeout(deadline);
      clearInterval(look);
      request.signal?.removeEventListener('abort', cancel);
      box.running.delete(cancel);
      if (box.disk?.hasGrown()) await checkDisk();
      return why;
    },
  };
}
