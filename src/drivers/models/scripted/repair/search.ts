/**
 * The search for a state of the files in which all checks pass: from the present best state, try its candidates in
 * order; a change after which fewer tests fail becomes the next best state, and the search goes on from there. A
 * state that leads nowhere is left again. The whole search is worked out anew from the trials each time.
 */
import { type CommandResult, passed } from '../tool-results.ts';
import { type Bench, resultOf, type State, stateKey, textIn } from './bench.ts';
import { type Candidate, rankCandidates } from './candidates.ts';
import { readClues } from './clues.ts';
import { type FailureReport, readFailures } from './failures.ts';
import { locate, suspicion } from './suspects.ts';
import { plainForm, quickForm, type Surroundings } from './trial-command.ts';

export interface Problem {
  bench: Bench;
  checks: string[];
  /** Files that may be changed, nearest to the failing tests first. */
  sources: string[];
  around: Surroundings;
  /** How many changes may still be tried. */
  budget: number;
}

/** One change that was kept. */
export interface Kept {
  path: string;
  before: string;
  after: string;
}

export type Plan =
  | { kind: 'check'; state: State; commands: string[]; promising: boolean }
  | { kind: 'try'; base: State; trials: State[]; command: string; timeoutSeconds: number }
  | { kind: 'found'; state: State; kept: Kept[] }
  | { kind: 'exhausted' };

const deepest = 5;
/** A state that is only better, not good, may not use up the whole budget. */
const perBetterState = 100;
const firstBatch = 5;
const batch = 8;
const slowMs = 15_000;

export function planSearch(problem: Problem): Plan {
  return explore(problem, new Map(), [], null);
}

interface Parent {
  results: (CommandResult | null)[];
  failing: number;
}

function explore(problem: Problem, state: State, kept: Kept[], parent: Parent | null): Plan {
  const { bench, checks } = problem;
  const key = stateKey(state);
  const results = checks.map(check => resultOf(bench, key, check));
  const unknown = checks.filter((_, index) => results[index] === null);
  if (unknown.length > 0) return { kind: 'check', state, commands: unknown, promising: parent !== null };
  const failing = results.findIndex(result => !passed(result));
  if (failing < 0) return { kind: 'found', state, kept };
  if (parent && !advances(problem, parent, results, failing)) return { kind: 'exhausted' };

  const report = readFailures(results[failing]!.output);
  const quick = quickForm(checks[failing]!, report, problem.around);
  const quickBase = resultOf(bench, key, quick);
  // Where the quick form does not show the failure, only the check itself will do.
  const command = passed(quickBase) ? plainForm(checks[failing]!, report, problem.around) : quick;
  const baseline = resultOf(bench, key, command);
  const children = childrenOf(problem, state, results[failing]!, report, command);
  const descend = (among: Child[]): Plan | null => {
    for (const child of kept.length < deepest ? among : []) {
      const before = textIn(bench, state, child.candidate.path);
      const step = { path: child.candidate.path, before, after: child.candidate.text };
      const plan = explore(problem, child.state, [...kept, step], { results, failing });
      if (plan.kind !== 'exhausted') return plan;
    }
    return null;
  };
  const better = baseline
    ? children.filter(child => child.result && isBetter(problem, child.result, baseline))
    : [];
  better.sort((a, b) => failures(a.result!) - failures(b.result!));
  // Where nothing ended before, any change that only ends looks better: such ones come when there is nothing else.
  const sure = better.filter(child => baseline?.exitCode !== null || passed(child.result!));
  const deeper = descend(sure);
  if (deeper) return deeper;
  const tried = children.filter(child => child.result).length;
  const left = Math.min(problem.budget, parent ? perBetterState - tried : Number.POSITIVE_INFINITY);
  const trials = children
    .filter(child => !child.result && !bench.unreachable.has(child.key))
    .slice(0, Math.max(0, Math.min(left, tried === 0 ? firstBatch : batch)))
    .map(child => child.state);
  if (trials.length === 0)
    return descend(better.filter(child => !sure.includes(child))) ?? { kind: 'exhausted' };
  return {
    kind: 'try',
    base: state,
    trials: baseline ? trials : [state, ...trials],
    command,
    timeoutSeconds: hangs(results[failing]!, report)
      ? 4
      : 2 + Math.ceil((4 * results[failing]!.durationMs) / 1_000),
  };
}

/** It did not end, or only after long and without a word about where: an endless loop rather than a slow suite. */
function hangs(result: CommandResult, report: FailureReport): boolean {
  const silent = !report.failures.some(failure => failure.frames.length > 0);
  return result.exitCode === null || (result.durationMs > slowMs && silent);
}

interface Child {
  candidate: Candidate;
  state: State;
  key: string;
  /** What the trial of it showed; null while it was not tried. */
  result: CommandResult | null;
}

function childrenOf(
  problem: Problem,
  state: State,
  result: CommandResult,
  report: FailureReport,
  command: string,
): Child[] {
  const text = (path: string): [string, string] => [path, textIn(problem.bench, state, path)];
  const tests = new Map(problem.around.tests.map(text));
  const suspects = suspicion(report.failures, new Map(problem.sources.map(text)), tests);
  const clues = readClues(hangs(result, report), report.failures, suspects, tests);
  return rankCandidates(suspects, clues).map(candidate => {
    const changed: State = new Map(state).set(candidate.path, candidate.text);
    if (candidate.text === problem.bench.original.get(candidate.path)) changed.delete(candidate.path);
    const key = stateKey(changed);
    return { candidate, state: changed, key, result: resultOf(problem.bench, key, command) };
  });
}

/** The full checks confirm that a state is better: none that passed fails now, and the failing one got further. */
function advances(
  problem: Problem,
  parent: Parent,
  results: (CommandResult | null)[],
  failing: number,
): boolean {
  if (parent.results.some((before, index) => passed(before) && !passed(results[index]!))) return false;
  return failing !== parent.failing || isBetter(problem, results[failing]!, parent.results[failing]!);
}

function failures(result: CommandResult): number {
  return passed(result) ? -1 : (readFailures(result.output).failing ?? 0);
}

/** Fewer tests fail and more pass; or as many fail, and the failing ones get further before they do. */
function isBetter(problem: Problem, now: CommandResult, before: CommandResult): boolean {
  if (passed(now)) return !passed(before);
  if (now.exitCode === null) return false;
  const [a, b] = [readFailures(now.output), readFailures(before.output)];
  if (before.exitCode === null) return a.failures.some(failure => failure.error === 'AssertionError');
  if (a.failing !== null && b.failing !== null) {
    if (a.failing < b.failing && (a.passing ?? 0) > (b.passing ?? 0)) return true;
    if (a.failing !== b.failing || a.passing !== b.passing) return false;
  } else if (a.failing !== b.failing) {
    return false;
  }
  return getsFurther(problem, a, b);
}

function getsFurther(problem: Problem, now: FailureReport, before: FailureReport): boolean {
  const [after, earlier] = [reached(problem, now), reached(problem, before)];
  if (earlier.size === 0 || after.size !== earlier.size) return false;
  const lines = [...earlier].map(([test, line]) => (after.get(test) ?? 0) - line);
  return lines.every(difference => difference >= 0) && lines.some(difference => difference > 0);
}

/** The line of its test file at which each failing test stopped. */
function reached(problem: Problem, report: FailureReport): Map<string, number> {
  const lines = new Map<string, number>();
  for (const { test, frames, error } of report.failures) {
    const frame = frames.findLast(one => locate(one.path, problem.around.tests));
    if (!frame || error === 'SyntaxError' || error === 'ReferenceError') continue;
    lines.set(`${locate(frame.path, problem.around.tests)} ${test}`, frame.line);
  }
  return lines;
}
