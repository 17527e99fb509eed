/** The checks that are not test files but count as tests: types, lint, and the shell scripts. */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Outcome } from './file.ts';

export interface Step {
  name: string;
  commands: string[][];
  /** Why it cannot run here. */
  skip?: string;
}

/** The steps in the order in which they run. */
export function steps(root: string): Step[] {
  const node = (...args: string[]) => [process.execPath, ...args];
  const projects = ['tsconfig.json', 'web/tsconfig.json'].filter(path => existsSync(join(root, path)));
  const scripts = ['guildhall', '.ci/run'].filter(path => existsSync(join(root, path)));
  return [
    {
      name: 'types',
      commands: projects.map(path => node('node_modules/tsgo/bin/tsc', '--noEmit', '-p', path)),
    },
    { name: 'lint', commands: [node('node_modules/@biomejs/biome/bin/biome', 'check', '--colors=off')] },
    {
      name: 'shell',
      commands: [['shellcheck', ...scripts]],
      skip: isInstalled('shellcheck') ? undefined : 'shellcheck is not installed',
    },
  ];
}

export function isInstalled(program: string): boolean {
  return spawnSync('/bin/sh', ['-c', 'command -v -- "$1"', 'sh', program], { stdio: 'ignore' }).status === 0;
}

export async function runStep(root: string, step: Step): Promise<Outcome> {
  const outcome: Outcome = { name: step.name, passed: 0, failures: [], skips: [], notes: [], durationMs: 0 };
  if (step.skip !== undefined) {
    outcome.skips.push({ title: step.name, reason: step.skip });
    return outcome;
  }
  const began = performance.now();
  for (const [program, ...args] of step.commands) {
    const { code, output } = await execute(root, program!, args);
    if (code !== 0)
      outcome.failures.push({ title: step.name, text: output.trim() || `it ended with ${code}` });
  }
  if (outcome.failures.length > 1) {
    outcome.failures = [{ title: step.name, text: outcome.failures.map(failure => failure.text).join('\n') }];
  }
  outcome.passed = outcome.failures.length === 0 ? 1 : 0;
  outcome.durationMs = performance.now() - began;
  return outcome;
}

function execute(
  root: string,
  program: string,
  args: string[],
): Promise<{ code: number | null; output: string }> {
  const child = spawn(program, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', text => (output += text));
  child.stderr.setEncoding('utf8').on('data', text => (output += text));
  return new Promise(resolve => {
    child.once('error', error => resolve({ code: null, output: error.message }));
    child.once('close', code => resolve({ code, output }));
  });
}
