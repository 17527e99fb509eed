/** How a command ended, from what bubblewrap said, what the kernel counted and why we stopped it. */
import type { ExecOutcome, ExecResult } from '../../features/sandboxes/port.ts';
import type { Box } from './box.ts';
import type { Ended } from './launch.ts';

/** Why a command was stopped, or was not run. */
export interface Stop {
  outcome: ExecOutcome;
  message: string;
}

type Verdict = Pick<ExecResult, 'outcome' | 'exit_code' | 'signal' | 'message'>;

const fileTooLarge = 153; // 128 + SIGXFSZ
const mebibyte = 1024 * 1024;

/**
 * bubblewrap and shells report a fatal signal as 128 + its number. The number stays; these are named beside it,
 * because hardly anything exits so by itself (git does use 128 and 129).
 */
const signalNames: Record<number, string> = {
  132: 'SIGILL',
  133: 'SIGTRAP',
  134: 'SIGABRT',
  135: 'SIGBUS',
  136: 'SIGFPE',
  137: 'SIGKILL',
  139: 'SIGSEGV',
  141: 'SIGPIPE',
  143: 'SIGTERM',
  152: 'SIGXCPU',
  153: 'SIGXFSZ',
  159: 'SIGSYS',
};

export function judge(
  box: Box,
  ended: Ended,
  stopped: Stop | null,
  stderr: Uint8Array,
  memoryKills: number,
): Verdict {
  const { exitCode } = ended;
  const { policy } = box.spec;
  const signal = exitCode === null ? null : (signalNames[exitCode] ?? null);
  const failed = (outcome: ExecOutcome, message: string): Verdict => ({
    outcome,
    exit_code: exitCode,
    signal: signal ?? (exitCode === null ? 'SIGKILL' : null),
    message,
  });

  if (ended.stuck)
    return failed('sandbox_error', 'A process of the command could not be killed; the kernel holds it.');
  if (stopped) return failed(stopped.outcome, stopped.message);
  if (memoryKills > 0) {
    return failed(
      'out_of_memory',
      `The command needed more than ${mebibytes(policy.memory_bytes)} of memory.`,
    );
  }
  if (exitCode === null) {
    const reason = Buffer.from(stderr).toString().trim().slice(-2000) || `bubblewrap ended with ${ended.how}`;
    return { ...failed('sandbox_error', `The sandbox could not run the command: ${reason}`), signal: null };
  }
  if (exitCode === fileTooLarge) {
    return failed('disk_limit', `The command wrote a file larger than ${mebibytes(policy.file_bytes)}.`);
  }
  return { outcome: 'exited', exit_code: exitCode, signal, message: null };
}

export function mebibytes(bytes: number): string {
  return `${Math.round((bytes / mebibyte) * 10) / 10} MiB`;
}
