/**
 * The quick form of a check, for trying many changes: what `npm test` would start, only the test files that fail, and
 * only the lines of output that tell one failure from another. What counts in the end is always the check itself.
 */
import { isTestFile } from '../test-files.ts';
import type { FailureReport } from './failures.ts';
import { locate } from './suspects.ts';

export interface Surroundings {
  files: string[];
  /** The test files that were found to matter, scripts that a check runs included. */
  tests: string[];
  scripts: Record<string, string>;
}

const keptLines = 60;

export function quickForm(check: string, report: FailureReport, around: Surroundings): string {
  const failing = failingTestFiles(report, around.tests);
  return filtered(narrowed(direct(check, around.scripts), failing, around.files), failing);
}

/** The whole check, its output cut down as in the quick form. */
export function plainForm(check: string, report: FailureReport, around: Surroundings): string {
  return filtered(check, failingTestFiles(report, around.tests));
}

function failingTestFiles(report: FailureReport, tests: string[]): string[] {
  const paths = report.failures.flatMap(failure => failure.frames.map(frame => locate(frame.path, tests)));
  return [...new Set(paths.filter(path => path !== null))];
}

/** npm only to start one program costs more than most tests. */
function direct(check: string, scripts: Record<string, string>): string {
  const name = /^npm (?:(?:-s|--silent) )?(?:run(?:-script)? )?(?:(?:-s|--silent) )?(test|t|[\w:-]+)$/.exec(
    check.trim(),
  )?.[1];
  const script = name ? scripts[name === 't' ? 'test' : name] : undefined;
  if (
    name === undefined ||
    script === undefined ||
    Object.hasOwn(scripts, `pre${name}`) ||
    Object.hasOwn(scripts, `post${name}`)
  )
    return check;
  return /^node [^&|;<>`$]*$/.test(script) ? script : check;
}

/** `node --test` without a file runs them all; the failing ones are enough to try on. */
function narrowed(command: string, failing: string[], files: string[]): string {
  const all = files.filter(file => isTestFile(file) && /\.[cm]?[jt]s$/.test(file));
  const everything = /^node( --[\w-]+(=\S+)?)*$/.test(command) && command.includes('--test');
  if (
    !everything ||
    failing.length === 0 ||
    failing.length >= all.length ||
    failing.some(file => /[^\w./-]/.test(file))
  )
    return command;
  return `${command} ${failing.join(' ')}`;
}

function filtered(command: string, failing: string[]): string {
  const names = failing.slice(0, 4).map(file =>
    file
      .split('/')
      .at(-1)!
      .replace(/[^\w-]/g, '.'),
  );
  const pattern = ['fail', 'pass', 'error', 'not ok', '✖', '×', '●', ...names].join('|');
  const body = /[#\n]/.test(command) ? `${command}\n` : command;
  return `(${body}) 2>&1 | grep -aiE '${pattern}' | tail -n ${keptLines}; exit \${PIPESTATUS[0]}`;
}
