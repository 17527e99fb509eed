/**
 * Runs one command in a sandbox: checks the request, starts it, enforces the time and volume it may take, and waits
 * until everything that it started is gone.
 */

import { closeSync, fchownSync } from 'node:fs';
import { posix } from 'node:path';
import { messageOf, Problem } from '../../base/problem.ts';
import type { ExecRequest, ExecResult } from '../../features/sandboxes/port.ts';
import { bwrapOptions, descriptors, limitedCommand } from './argv.ts';
import type { Box } from './box.ts';
import type { Channel } from './channels.ts';
import { type Launch, type LaunchRequest, launch } from './launch.ts';
import { checkMountPoints, workspaceTarget } from './mounts.ts';
import { type Collector, createCollector } from './output.ts';
import { resourceLimits } from './policy.ts';
import { openUnnamed, reopen } from './unnamed.ts';
import { judge } from './verdict.ts';
import { watch } from './watch.ts';

const defaultOutputBytes = 1024 * 1024;
/** What the kernel takes in one word (MAX_ARG_STRLEN, less its end), and safely in all of them together. */
const maxWordBytes = 131_071;
const maxCommandBytes = 1024 * 1024;
const maxVariables = 1000;

/** @throws Problem `sandbox_request_invalid` for a request that no sandbox could run. */
export async function execute(box: Box, request: ExecRequest): Promise<ExecResult> {
  const cwd = checkRequest(request);
  const began = performance.now();
  try {
    if (request.signal?.aborted) return neverRan('cancelled', 'The command was cancelled.');
    if (box.closed) throw new Error('it is closed');
    const channels = await box.channels.acquire();
    try {
      const result = await runThrough(box, request, cwd, channels);
      return { ...result, duration_ms: performance.now() - began };
    } finally {
      channels.release();
    }
  } catch (error) {
    return neverRan('sandbox_error', `The sandbox could not start: ${messageOf(error)}`);
  }
}

function neverRan(outcome: ExecResult['outcome'], message: string): ExecResult {
  const nothing = { stdout: new Uint8Array(), stderr: new Uint8Array() };
  const dropped = { stdout_dropped_bytes: 0, stderr_dropped_bytes: 0 };
  return { outcome, message, exit_code: null, signal: null, ...nothing, ...dropped, duration_ms: 0 };
}

async function runThrough(
  box: Box,
  request: ExecRequest,
  cwd: string,
  channels: Channels,
): Promise<Omit<ExecResult, 'duration_ms'>> {
  const both = [channels.stdout, channels.stderr];
  const maxBytes = request.max_output_bytes ?? defaultOutputBytes;
  const stdout = collect(box, 'stdout', channels.stdout, maxBytes, request);
  const stderr = collect(box, 'stderr', channels.stderr, maxBytes, request);
  try {
    if (box.closed) throw new Error('it was closed');
    const killsBefore = box.countMemoryKills();
    const running = start(box, request, cwd, channels);
    const watching = watch(box, request, running, maxBytes);
    for (const { stream } of both) stream.on('data', watching.countOutput);
    const ended = await running.ended;
    if (ended.stuck) for (const channel of both) channel.close();
    await Promise.all([stdout.closed, stderr.closed]);
    const stopped = await watching.finish();
    const out = stdout.collector.result();
    const err = stderr.collector.result();
    return {
      ...judge(box, ended, stopped, err.bytes, box.countMemoryKills() - killsBefore),
      stdout: out.bytes,
      stderr: err.bytes,
      stdout_dropped_bytes: out.dropped,
      stderr_dropped_bytes: err.dropped,
    };
  } finally {
    for (const channel of both) channel.close();
    await Promise.all([stdout.closed, stderr.closed]);
  }
}

/** The absolute directory inside. */
function checkRequest(request: ExecRequest): string {
  const faults: string[] = [];
  const { argv, env = {}, timeout_ms } = request;
  if (argv.length === 0 || argv[0] === '') faults.push('the command is empty');
  if (argv.some(word => word.includes('\0'))) faults.push('the command contains a zero byte');
  for (const [name, value] of Object.entries(env)) {
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) faults.push(`${JSON.stringify(name)} is no variable name`);
    if (value.includes('\0')) faults.push(`the variable ${name} contains a zero byte`);
  }
  const sizes = [...argv, ...Object.entries(env).map(pair => pair.join('='))].map(word =>
    Buffer.byteLength(word),
  );
  const tooLong =
    sizes.some(size => size > maxWordBytes) || sizes.reduce((sum, size) => sum + size, 0) > maxCommandBytes;
  if (tooLong || Object.keys(env).length > maxVariables) {
    faults.push('it is too long: pass large content as standard input');
  }
  if (timeout_ms !== undefined && !(timeout_ms > 0)) faults.push('the time limit must be positive');
  const cwd = posix.resolve(workspaceTarget, request.cwd ?? '.');
  const inside = cwd === workspaceTarget || cwd.startsWith(`${workspaceTarget}/`);
  if (!inside || cwd.includes('\0')) faults.push('the working directory must lie in /workspace');
  if (faults.length > 0) {
    throw new Problem('invalid', 'sandbox_request_invalid', `The command cannot run: ${faults.join('; ')}.`);
  }
  return cwd;
}

interface Channels {
  stdout: Channel;
  stderr: Channel;
}

function start(box: Box, request: ExecRequest, cwd: string, channels: Channels): Launch {
  const opened: number[] = [];
  const keep = (fd: number) => {
    opened.push(fd);
    return fd;
  };
  const { host, spec } = box;
  try {
    if (spec.workspace !== null) checkMountPoints(spec.workspace, box.mounts);
    const options = bwrapOptions({
      view: host.view,
      policy: spec.policy,
      workspace: spec.workspace,
      mounts: box.mounts,
      place: box.stage.place,
      cwd,
      env: request.env ?? {},
    });
    const marker = box.nextMarker();
    const command = limitedCommand(host.programs, resourceLimits(host, spec.policy), box.cpus, request.argv);
    const filter = { unixSockets: spec.policy.network === 'none', sharedMemory: host.groups !== null };
    const launchRequest = {
      // Unsets a variable that nothing has: the word is there to find the process by.
      command: box.stage.command([
        '--unsetenv',
        marker,
        '--args',
        String(descriptors.options),
        '--',
        ...command,
      ]),
      marker,
      descriptors: [
        request.stdin === undefined ? 'ignore' : keep(openStdin(box, request.stdin)),
        keep(channels.stdout.takeWriter()),
        keep(channels.stderr.takeWriter()),
        keep(host.filters.open(filter)),
        'pipe',
        keep(openUnnamed(host.stateDir, options.map(option => `${option}\0`).join(''))),
        ...[...host.view.madeUp.values()].map(fd => keep(reopen(fd))),
      ] satisfies LaunchRequest['descriptors'],
    };
    opened.length = 0;
    return launch(launchRequest);
  } finally {
    for (const fd of opened) closeSync(fd);
  }
}

/** A file, not a pipe: nothing to feed, nothing to break, and the command can open it again by name. */
function openStdin(box: Box, content: string | Uint8Array): number {
  const fd = openUnnamed(box.host.stateDir, content);
  if (box.uid !== null) fchownSync(fd, box.uid, box.uid);
  return fd;
}

function collect(
  box: Box,
  name: 'stdout' | 'stderr',
  { stream }: Channel,
  maxBytes: number,
  request: ExecRequest,
): { collector: Collector; closed: Promise<unknown> } {
  const collector = createCollector(maxBytes);
  stream.on('data', (chunk: Buffer) => {
    collector.push(chunk);
    try {
      request.onOutput?.(name, chunk);
    } catch (error) {
      box.host.log({ msg: 'output listener failed', sandbox: box.spec.id, reason: messageOf(error) });
    }
  });
  stream.on('error', error =>
    box.host.log({ msg: 'output not read', sandbox: box.spec.id, reason: error.message }),
  );
  return { collector, closed: new Promise(resolve => stream.once('close', resolve)) };
}
