/**
 * All small changes to the suspect files, the likeliest first: how often such a fault occurs, how suspect the place
 * is, and whether the failure looks like it. The order depends on nothing but its input.
 */
import type { Clues } from './clues.ts';
import { mutateCalls } from './mutate-calls.ts';
import { mutateCopies } from './mutate-copies.ts';
import { mutateErrors } from './mutate-errors.ts';
import { mutateGuards } from './mutate-guards.ts';
import { mutateLiterals } from './mutate-literals.ts';
import { mutateMissing } from './mutate-missing.ts';
import { mutateNames } from './mutate-names.ts';
import { mutateOffsets } from './mutate-offsets.ts';
import { mutateOperators } from './mutate-operators.ts';
import { mutateStatements } from './mutate-statements.ts';
import { mutateStrings } from './mutate-strings.ts';
import { mutateValues } from './mutate-values.ts';
import { type Family, type Ground, type Mutation, type Mutator, quietTokens } from './mutation.ts';
import type { Source } from './source.ts';
import type { Suspicion } from './suspects.ts';

export interface Candidate {
  path: string;
  /** The file with the change. */
  text: string;
  family: Family;
  score: number;
}

const mutators: Mutator[] = [
  mutateErrors,
  mutateOperators,
  mutateLiterals,
  mutateStrings,
  mutateCalls,
  mutateOffsets,
  mutateNames,
  mutateStatements,
  mutateGuards,
  mutateValues,
  mutateMissing,
  mutateCopies,
];

/** Each further change at the same place is a little less likely than the one before. */
const repetition = 0.25;
/** More would not be tried within any budget. */
const most = 1_500;

export function rankCandidates(suspicion: Suspicion, clues: Clues): Candidate[] {
  const bonus = bonuses(clues);
  const scored = suspicion.suspects.flatMap(({ source, definitions }, order) => {
    const ground: Ground = { source, definitions, clues, suspicion, quiet: quietTokens(source) };
    return mutators
      .flatMap(mutator => mutator(ground))
      .map(mutation => ({
        source,
        order,
        mutation,
        score: mutation.weight + (bonus[mutation.family] ?? 0) + place(suspicion, ground, mutation),
      }));
  });
  scored.sort((a, b) => b.score - a.score || a.order - b.order || a.mutation.start - b.mutation.start);
  const atPlace = new Map<string, number>();
  const seen = new Set<string>();
  const candidates: Candidate[] = [];
  for (const { source, mutation, score } of scored) {
    const { start, end, text, family } = mutation;
    const changed = source.text.slice(0, start) + text + source.text.slice(end);
    const key = `${source.path}\0${start}\0${end}\0${text}`;
    if (changed === source.text || seen.has(key)) continue;
    seen.add(key);
    const here = `${source.path}\0${start}`;
    const times = atPlace.get(here) ?? 0;
    atPlace.set(here, times + 1);
    candidates.push({ path: source.path, text: changed, family, score: score - times * repetition });
    if (candidates.length >= most) break;
  }
  return candidates.sort((a, b) => b.score - a.score);
}

function place(suspicion: Suspicion, { source, clues }: Ground, mutation: Mutation): number {
  const here = suspicion.at(source, mutation.start);
  // A line that only refuses bad input is not what gave a wrong value.
  const refuses =
    !clues.missingException &&
    clues.compared.length > 0 &&
    / throw /.test(` ${lineOf(source, mutation.start)}`);
  // An error that names what is wrong says where, too.
  return (
    (mutation.family === 'error' ? Math.max(here, 5) : here) -
    (refuses ? 1.2 : 0) +
    (clues.hangs && inLoop(source, mutation.start) ? 2 : 0)
  );
}

function lineOf({ text }: Source, offset: number): string {
  const end = text.indexOf('\n', offset);
  return text.slice(text.lastIndexOf('\n', offset - 1) + 1, end < 0 ? text.length : end);
}

function inLoop(source: Source, offset: number): boolean {
  const { tokens, partner } = source;
  return tokens.some((token, index) => {
    if (!/^(while|for|do)$/.test(token.text) || token.start > offset) return false;
    const head = tokens[index + 1]?.text === '(' ? partner[index + 1]! : index;
    const body = tokens[head + 1]?.text === '{' ? partner[head + 1]! : head;
    return (tokens[body]?.end ?? 0) > offset;
  });
}

/** What the failure makes more or less likely. */
function bonuses(clues: Clues): Partial<Record<Family, number>> {
  const bonus: Partial<Record<Family, number>> = {};
  const add = (when: boolean, points: Partial<Record<Family, number>>) => {
    if (!when) return;
    for (const [family, value] of Object.entries(points) as [Family, number][])
      bonus[family] = (bonus[family] ?? 0) + value;
  };
  add(clues.booleans, {
    relation: 0.9,
    equality: 0.8,
    logic: 0.8,
    negation: 0.8,
    boolean: 0.8,
    arithmetic: -0.8,
    method: 0.2,
  });
  add(clues.numbers, { arithmetic: 0.7, number: 0.4, string: -1.5, boolean: -0.4 });
  add(clues.byOne, { relation: 0.7, offset: 1.1, number: 0.5, guard: 0.2, arithmetic: -0.5 });
  add(clues.opposite, { order: 1.5, arithmetic: 0.6 });
  add(clues.order, { order: 1.6, method: 0.6, arithmetic: -0.6 });
  add(clues.strings, { string: 0.7, arithmetic: -0.8, method: 0.4 });
  add(clues.spelling, { method: 0.8, string: 0.4 });
  add(clues.undefinedActual, { return: 2, default: 0.8, property: 0.8, name: 0.3, arithmetic: -0.8 });
  add(clues.notANumber, { default: 1, property: 1, name: 0.5, number: 0.5 });
  add(clues.promise, { await: 3 });
  add(clues.missingException, {
    guard: 1,
    relation: 0.8,
    logic: 0.6,
    negation: 0.8,
    statement: 0.3,
    string: -1,
    arithmetic: -1,
  });
  add(
    clues.errors.some(({ error }) => error === 'TypeError' || error === 'ReferenceError'),
    { name: 0.8, property: 0.8, default: 0.8, arithmetic: -1, relation: 0.2 },
  );
  return bonus;
}
