/** Running git, and small fixed scripts around it, in a sandbox of its own. Arguments are argv, never script text. */
import { newId } from '../../base/ids.ts';
import { Problem } from '../../base/problem.ts';
import type { ExecResult, SandboxMount } from './port.ts';
import type { Workshop } from './workshop.ts';

export interface GitPlace {
  identity: number;
  workspace: string | null;
  mounts: SandboxMount[];
  network?: 'none' | 'host';
  timeoutMs: number;
  maxOutputBytes?: number;
  signal?: AbortSignal;
}

export interface GitResult {
  exitCode: number;
  stdout: string;
  stderr: string;
}

const gitEnvironment = {
  GIT_TERMINAL_PROMPT: '0',
  GIT_OPTIONAL_LOCKS: '0',
  GIT_CONFIG_NOSYSTEM: '0',
  GIT_ADVICE: '0',
};

/** @throws Problem `sandbox_failed` when the sandbox could not run it or stopped it. */
export async function runGit(shop: Workshop, place: GitPlace & { argv: string[] }): Promise<GitResult> {
  const sandbox = await shop.driver.create({
    id: newId('sbx'),
    identity: place.identity,
    workspace: place.workspace,
    mounts: place.mounts,
    policy: { ...shop.policy, network: place.network ?? 'none', wall_ms: place.timeoutMs },
  });
  try {
    return finished(
      await sandbox.exec({
        argv: place.argv,
        env: gitEnvironment,
        timeout_ms: place.timeoutMs,
        max_output_bytes: place.maxOutputBytes ?? 1024 * 1024,
        signal: place.signal,
      }),
    );
  } finally {
    await sandbox.destroy();
  }
}

/** Runs a fixed bash script with arguments `$1`, `$2`, …; it stops at the first command that fails. */
export function gitScript(
  shop: Workshop,
  place: GitPlace,
  script: string,
  args: string[],
): Promise<GitResult> {
  return runGit(shop, {
    ...place,
    argv: ['/bin/bash', '--norc', '--noprofile', '-euo', 'pipefail', '-c', script, 'guildhall', ...args],
  });
}

function finished(result: ExecResult): GitResult {
  if (result.outcome !== 'exited') {
    throw new Problem(
      'unavailable',
      'sandbox_failed',
      `git could not run to its end in the sandbox (${result.outcome}): ${result.message ?? ''}`.trim(),
    );
  }
  const text = (bytes: Uint8Array) => Buffer.from(bytes).toString('utf8');
  return { exitCode: result.exit_code ?? 1, stdout: text(result.stdout), stderr: text(result.stderr) };
}

/** As `gitScript`, for what must succeed. @throws Problem `git_failed`. */
export async function requireGit(
  shop: Workshop,
  place: GitPlace,
  script: string,
  args: string[],
): Promise<string> {
  const result = await gitScript(shop, place, script, args);
  if (result.exitCode === 0) return result.stdout;
  throw new Problem(
    'unavailable',
    'git_failed',
    `git failed: ${result.stderr.trim().split('\n').slice(-3).join(' / ').slice(0, 600)}`,
    {
      detail: { exit_code: result.exitCode },
    },
  );
}
