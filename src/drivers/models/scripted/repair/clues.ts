/** What the failures and the failing tests say about the kind of fault: differing values, errors, literals in tests. */
import type { Failure } from './failures.ts';
import { decodeEscapes, leaves, Opaque, type Pair, same, type Value } from './printed-value.ts';
import type { Suspicion } from './suspects.ts';

export interface Clues {
  /** The check did not end by itself. */
  hangs: boolean;
  /** Differing leaves of compared values. */
  pairs: Pair[];
  /** Whole compared values. */
  compared: Pair[];
  /** `TypeError: x is not a function`, one per failure. */
  errors: { error: string; message: string }[];
  /** A call was expected to throw or reject and did not. */
  missingException: boolean;
  promise: boolean;
  undefinedActual: boolean;
  notANumber: boolean;
  booleans: boolean;
  numbers: boolean;
  strings: boolean;
  /** Numbers, or lengths of lists and strings, that differ by one. */
  byOne: boolean;
  opposite: boolean;
  /** The same items in another order. */
  order: boolean;
  /** Expected string is the actual one in another case, trimmed, or with other separators. */
  spelling: boolean;
  expectedStrings: string[];
  expectedNumbers: number[];
  /** Strings, numbers and property names that the failing tests write. */
  testStrings: Set<string>;
  testNumbers: Set<string>;
  testWords: Set<string>;
}

export function readClues(
  hangs: boolean,
  failures: Failure[],
  suspicion: Suspicion,
  tests: Map<string, string>,
): Clues {
  const compared = failures.flatMap(failure => (failure.compared ? [failure.compared] : []));
  const pairs = failures.flatMap(failure => failure.pairs);
  const messages = failures.map(({ error, message }) => ({ error, message }));
  const literals = testLiterals(suspicion, tests);
  const some = (test: (pair: Pair) => boolean) => pairs.some(test) || compared.some(test);
  const type = (name: string) =>
    some(({ actual, expected }) => typeof actual === name && typeof expected === name);
  const expected = compared.flatMap(pair => leaves(pair.expected)).concat(pairs.map(pair => pair.expected));
  return {
    hangs,
    pairs,
    compared,
    errors: messages,
    missingException: messages.some(({ message }) =>
      /Missing expected (exception|rejection)|did not (throw|raise)|not raised/i.test(message),
    ),
    promise:
      some(({ actual }) => actual instanceof Opaque && actual.text === 'Promise') ||
      messages.some(({ message }) => /Promise/.test(message)),
    undefinedActual:
      some(({ actual }) => actual === undefined) ||
      messages.some(({ message }) => /of undefined|is not iterable/.test(message)),
    notANumber: some(({ actual }) => typeof actual === 'number' && Number.isNaN(actual)),
    booleans: type('boolean') || messages.some(({ message }) => /falsy value|Got unwanted/.test(message)),
    numbers: type('number'),
    strings: type('string'),
    byOne: some(differByOne),
    opposite: some(
      ({ actual, expected: wanted }) =>
        typeof actual === 'number' && actual !== 0 && actual === -Number(wanted),
    ),
    order: some(sameItems),
    spelling: some(sameLetters),
    expectedStrings: unique(expected.filter(value => typeof value === 'string')),
    expectedNumbers: unique(expected.filter(value => typeof value === 'number')),
    ...literals,
  };
}

function unique<T>(values: T[]): T[] {
  return [...new Set(values)];
}

function differByOne({ actual, expected }: Pair): boolean {
  if (typeof actual === 'number' && typeof expected === 'number') return Math.abs(actual - expected) === 1;
  const sized = (value: Value): value is string | Value[] =>
    typeof value === 'string' || Array.isArray(value);
  return sized(actual) && sized(expected) && Math.abs(actual.length - expected.length) === 1;
}

function sameItems({ actual, expected }: Pair): boolean {
  if (
    !Array.isArray(actual) ||
    !Array.isArray(expected) ||
    actual.length !== expected.length ||
    same(actual, expected)
  )
    return false;
  const left = [...actual];
  return expected.every(item => {
    const index = left.findIndex(other => same(other, item));
    if (index >= 0) left.splice(index, 1);
    return index >= 0;
  });
}

function sameLetters({ actual, expected }: Pair): boolean {
  if (typeof actual !== 'string' || typeof expected !== 'string' || actual === expected) return false;
  const letters = (text: string) => text.toLowerCase().replace(/[^\p{L}\p{N}]/gu, '');
  return letters(actual) === letters(expected);
}

function testLiterals(
  suspicion: Suspicion,
  tests: Map<string, string>,
): Pick<Clues, 'testStrings' | 'testNumbers' | 'testWords'> {
  const testStrings = new Set<string>();
  const testNumbers = new Set<string>();
  const testWords = new Set<string>();
  for (const source of new Set(suspicion.assertions.map(one => one.source))) {
    for (const token of source.tokens) {
      if (token.kind === 'string' || token.kind === 'template')
        testStrings.add(decodeEscapes(token.text.slice(1, -1)));
      else if (token.kind === 'regex') testStrings.add(token.text.slice(1, token.text.lastIndexOf('/')));
      else if (token.kind === 'number') testNumbers.add(token.text);
      else if (token.kind === 'word') testWords.add(token.text);
    }
  }
  if (suspicion.assertions.length === 0) {
    for (const text of tests.values())
      for (const [word] of text.matchAll(/[A-Za-z_$][\w$]*/g)) testWords.add(word);
  }
  return { testStrings, testNumbers, testWords };
}
