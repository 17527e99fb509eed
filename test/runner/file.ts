/**
 * Runs one test file in a process of its own and says what came out. Node's runner waits for ever for a file whose
 * tests are over but which something keeps alive, so every file has a limit and is ended when it passes it.
 */
import { relative } from 'node:path';
import { run } from 'node:test';
import { inspect } from 'node:util';

export interface Outcome {
  /** What is shown: the file's path below the root, or the name of a step. */
  name: string;
  passed: number;
  failures: { title: string; text: string }[];
  skips: { title: string; reason: string }[];
  notes: string[];
  durationMs: number;
}

export interface Limits {
  testMs: number;
  fileMs: number;
}

/** What a failing file printed itself is shown, but not more of it than this. */
const outputLimit = 6_000;

interface Detail {
  name: string;
  nesting: number;
  file?: string;
  skip?: string | boolean;
  todo?: string | boolean;
  details: { type?: string; error?: Error & { failureType?: string } };
}

export async function runFile(
  root: string,
  file: string,
  limits: Limits,
  only: string | undefined,
  interrupted: AbortSignal,
): Promise<Outcome> {
  const name = relative(root, file);
  const outcome: Outcome = { name, passed: 0, failures: [], skips: [], notes: [], durationMs: 0 };
  const began = performance.now();
  const limit = AbortSignal.timeout(limits.fileMs);
  const stream = run({
    files: [file],
    cwd: root,
    signal: AbortSignal.any([limit, interrupted]),
    testNamePatterns: only,
    execArgv: ['--disable-warning=ExperimentalWarning', `--test-timeout=${limits.testMs}`],
  });
  let output = '';
  const keep = (text: string) => {
    output = (output + text).slice(-outputLimit);
  };
  const titles: string[] = [];
  let fileFailed: Detail | undefined;
  for await (const { type, data } of stream) {
    if (type === 'test:stdout' || type === 'test:stderr') keep(data.message);
    if (type === 'test:diagnostic' && data.nesting === 0 && !isCount(data.message))
      outcome.notes.push(data.message);
    if (type === 'test:start') titles.splice(data.nesting, titles.length, data.name);
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    const test = data as Detail;
    if (isFileItself(test, file)) fileFailed = type === 'test:fail' ? test : undefined;
    else
      record(outcome, test, type === 'test:pass', [...titles.slice(0, test.nesting), test.name].join(' › '));
  }
  outcome.durationMs = performance.now() - began;
  if (limit.aborted) {
    const text = `it was still running after ${limits.fileMs / 1000} s: a test hangs, or something that it opened was not closed`;
    outcome.failures.push({ title: name, text });
  } else if (fileFailed !== undefined && outcome.failures.length === 0) {
    outcome.failures.push({ title: name, text: 'it ended with an error outside its tests' });
  } else if (only === undefined && outcome.passed + outcome.failures.length + outcome.skips.length === 0) {
    outcome.failures.push({ title: name, text: 'it has no tests' });
  }
  if (outcome.failures.length > 0 && output.trim() !== '') {
    outcome.failures.at(-1)!.text += `\nIt printed:\n${output.trim()}`;
  }
  return outcome;
}

/** Node reports the file as a test of its own when it has none, or when it ends badly. */
function isFileItself(test: Detail, file: string): boolean {
  return test.nesting === 0 && test.name === file;
}

/** The totals, which Node gives as text to everybody who listens. */
function isCount(message: string): boolean {
  return /^(?:tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) [\d.]+$/.test(message);
}

function record(outcome: Outcome, test: Detail, passed: boolean, title: string): void {
  const { type, error } = test.details;
  const skipped = test.skip ?? test.todo;
  if (!passed && error?.failureType === 'subtestsFailed') return; // Its subtests are counted.
  if (!passed) outcome.failures.push({ title, text: describe(error) });
  else if (skipped !== undefined && skipped !== false) {
    outcome.skips.push({
      title,
      reason: typeof skipped === 'string' && skipped !== '' ? skipped : 'no reason given',
    });
  } else if (type !== 'suite') outcome.passed++;
}

function describe(error: Error | undefined): string {
  const cause = error?.cause ?? error;
  if (!(cause instanceof Error)) return typeof cause === 'string' ? cause : inspect(cause, { depth: 4 });
  return inspect(cause, { depth: 4 })
    .split('\n')
    .filter(line => !/^\s+at .*\(?node:internal/.test(line))
    .join('\n');
}
