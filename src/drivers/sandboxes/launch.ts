/**
 * Starts bubblewrap behind the stage and follows its life.
 *
 * bubblewrap reports through a descriptor of its own: first the pid of the sandbox's first process, and at the end
 * the exit code, the latter only if the command was really started. So a failure to set the sandbox up cannot be
 * taken for the command's, and a command cannot pretend one.
 *
 * It is over when that first process has ended: the kernel lets it go only after every other process of its
 * namespace is gone, daemons included.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { descriptors } from './argv.ts';
import {
  findMarked,
  identify,
  isMarked,
  kill,
  killIfSame,
  type ProcessIdentity,
  waitUntilGone,
} from './processes.ts';

export interface Launch {
  /** The sandbox's first process as the host sees it; null until bubblewrap has made it. */
  first(): ProcessIdentity | null;
  /** Kills everything, from any state. */
  kill(): void;
  ended: Promise<Ended>;
}

export interface Ended {
  /** Null when the command was never started, or was killed before it could end. */
  exitCode: number | null;
  /** Whether we ended it; whatever exit code there is then is an echo of that. */
  killed: boolean;
  /** What ended bubblewrap itself, in words for a message. */
  how: string;
  /** The kernel did not let a process go although it was killed. */
  stuck: boolean;
}

export interface LaunchRequest {
  command: string[];
  /** In the order in which the command line counts them; `pipe` is the one on which bubblewrap reports. */
  descriptors: (number | 'ignore' | 'pipe')[];
  /** Word on the command line that names this launch and no other. */
  marker: string;
}

/** Between its start and its report, bubblewrap may have a child that nobody knows yet. */
const reportPatienceMs = 100;
const naturalEndMs = 50;
const forcedEndMs = 15_000;

/** Takes over the descriptors. @throws what `spawn` throws, e.g. E2BIG. */
export function launch(request: LaunchRequest): Launch {
  let child: ChildProcess;
  try {
    child = spawn(request.command[0]!, request.command.slice(1), {
      cwd: '/',
      env: {},
      // A session of its own: an interrupt typed at the server's terminal is for the server.
      detached: true,
      stdio: request.descriptors,
    });
  } finally {
    for (const fd of request.descriptors) if (typeof fd === 'number') closeSync(fd);
  }

  let first: ProcessIdentity | null = null;
  let exitCode: number | null = null;
  let killed = false;
  const reported = Promise.withResolvers<void>();
  const exited = Promise.withResolvers<string>();
  const statusClosed = Promise.withResolvers<void>();

  followStatus(child.stdio[descriptors.status] as Readable, statusClosed.resolve, report => {
    if (report['child-pid'] !== undefined) {
      // By the time it is read, a short command may be over and its pid somebody else's.
      const pid = report['child-pid'];
      if (isMarked(pid, request.marker)) first = identify(pid);
      reported.resolve();
    }
    if (report['exit-code'] !== undefined) exitCode = report['exit-code'];
  });
  child.once('error', error => exited.resolve(error.message));
  child.once('exit', (code, signal) => exited.resolve(signal ? `signal ${signal}` : `exit code ${code}`));

  const killAll = async () => {
    killed = true;
    await Promise.race([reported.promise, exited.promise, sleep(reportPatienceMs)]);
    if (first) killIfSame(first);
    if (child.pid !== undefined && child.exitCode === null && child.signalCode === null) kill(child.pid);
  };

  const end = async (): Promise<Ended> => {
    const how = await exited.promise;
    if (child.pid !== undefined) await statusClosed.promise;
    if (!first && killed) for (const pid of findMarked(request.marker).keys()) kill(pid);
    const stuck = first !== null && !(await waitForEnd(first));
    return { exitCode: killed ? null : exitCode, killed, how, stuck };
  };

  return { first: () => first, kill: () => void killAll(), ended: end() };
}

/** bubblewrap's own end takes the sandbox along (parent-death signal); a second blow costs nothing. */
async function waitForEnd(first: ProcessIdentity): Promise<boolean> {
  if (await waitUntilGone(first, naturalEndMs)) return true;
  killIfSame(first);
  return await waitUntilGone(first, forcedEndMs);
}

type Report = { 'child-pid'?: number; 'exit-code'?: number };

function followStatus(stream: Readable, onClose: () => void, onReport: (report: Report) => void): void {
  let text = '';
  stream.setEncoding('utf8');
  stream.on('data', (chunk: string) => {
    text += chunk;
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
      onReport(JSON.parse(text.slice(0, end)) as Report);
      text = text.slice(end + 1);
    }
  });
  stream.once('error', onClose);
  stream.once('close', onClose);
}
