/**
 * What a failing check says: how many tests pass and fail, and for each failure its error, the place in the stack,
 * and the values that were compared. Understands node:test (spec and TAP), mocha, jest, vitest, plain uncaught
 * errors, unittest and pytest, as far as they print these things.
 */
import { decodeEscapes, differences, type Pair, readValue, type Value } from './printed-value.ts';

export interface Frame {
  path: string;
  line: number;
  /** 1-based; 0 when it was not printed. */
  column: number;
}

export interface Failure {
  test: string;
  /** `TypeError`, `AssertionError` …; empty when none is named. */
  error: string;
  message: string;
  frames: Frame[];
  /** Undefined when the values were not printed; the value itself may be undefined. */
  compared?: Pair;
  /** Where the compared values differ. */
  pairs: Pair[];
}

export interface FailureReport {
  passing: number | null;
  failing: number | null;
  failures: Failure[];
}

const header = /^\s*(?:✖|✘|×|not ok \d+ -|\d+\) (?!\s*at )|●|FAIL[: ]|ERROR: |_{4,} )\s*(.*)$/;

export function readFailures(output: string): FailureReport {
  const blocks: { test: string; lines: string[] }[] = [{ test: '', lines: [] }];
  for (const line of output.split('\n')) {
    const match = header.exec(line);
    if (match) blocks.push({ test: match[1]!.replace(/\s*\([\d.]+m?s\)\s*$/, '').trim(), lines: [] });
    else blocks.at(-1)!.lines.push(line);
  }
  const failures = blocks
    .map(({ test, lines }) => readBlock(test, lines.join('\n')))
    .filter(failure => failure.error !== '' || failure.frames.length > 0 || failure.pairs.length > 0);
  return { ...readCounts(output), failures };
}

function readBlock(test: string, text: string): Failure {
  const named = /\b((?:[A-Z]\w*)?(?:Error|Exception|Rejection))\b(?: \[[A-Z_]+\])?:[ \t]*(.*)/.exec(text);
  const tapName = /^\s*name: '?(\w+)'?\s*$/m.exec(text)?.[1];
  const tapError = /^\s*error: (?:\|-?\s*\n\s*(.*)|['"]?(.*?)['"]?\s*)$/m.exec(text);
  // An error that the test caught and did not like tells more than the assertion around it.
  const caught = /Caught error:\s*\n\s*([A-Z]\w*Error)(?: \[\w+\])?: (.*)/.exec(text);
  const compared = readCompared(text) ?? readMatched(text);
  return {
    test,
    error: caught?.[1] ?? tapName ?? named?.[1] ?? '',
    message: (caught?.[2] ?? tapError?.[1] ?? tapError?.[2] ?? named?.[2] ?? '').trim(),
    frames: readFrames(text),
    ...(compared ? { compared } : {}),
    pairs: compared ? differences(compared.actual, compared.expected) : readDiffLines(text),
  };
}

const javascriptFrame =
  /\(?(?:file:\/\/)?((?:\.{0,2}\/|[A-Za-z]:[\\/]|[\w@-])[^\s():'"]*\.[cm]?[jt]sx?):(\d+)(?::(\d+))?\)?/;
const pythonFrame = /File "([^"]+)", line (\d+)/;

function readFrames(text: string): Frame[] {
  return text.split('\n').flatMap(line => {
    if (/^\s*(test at|location:)/.test(line)) return [];
    const python = pythonFrame.exec(line);
    if (python) return [{ path: python[1]!, line: Number(python[2]), column: 0 }];
    const match = javascriptFrame.exec(line);
    if (!match || line.includes('node:internal') || line.includes('node_modules')) return [];
    return [
      {
        path: match[1]!,
        line: Number(match[2]),
        column: Number(match[3] ?? 0),
      },
    ];
  });
}

function printedAfter(text: string, label: RegExp): { value: Value } | null {
  const match = label.exec(text);
  return match ? readValue(text, match.index + match[0].length) : null;
}

function readCompared(text: string): Pair | null {
  const actual = printedAfter(text, /^\s*actual: (?!\|)/m) ?? printedAfter(text, /^\s*Received: +/m);
  const expected = printedAfter(text, /^\s*expected: (?!\|)/m) ?? printedAfter(text, /^\s*Expected: +/m);
  if (actual && expected) return { actual: actual.value, expected: expected.value };
  const spoken =
    /expected (.+?) to (?:be|(?:strictly |deeply |loosely )*equal)(?: to)? (.+?)(?: \/\/.*)?$/m.exec(text);
  if (spoken) {
    const [left, right] = [readValue(spoken[1]!), readValue(spoken[2]!)];
    if (left && right) return { actual: left.value, expected: right.value };
  }
  const python = /^\s*(?:E\s+)?(?:AssertionError: )?(?:assert )?(\S.*?) (?:!=|==) (\S.*?)(?: :.*)?$/m.exec(
    /AssertionError|^E\s/m.test(text) ? text : '',
  );
  const node = python ?? /^\s*(\S.*?) (?:!==|!=) (\S.*?)\s*$/m.exec(text);
  if (!node) return null;
  const [left, right] = [readValue(node[1]!), readValue(node[2]!)];
  return left && right ? { actual: left.value, expected: right.value } : null;
}

/** A text that did not match a plain pattern: the pattern is what was expected in it. */
function readMatched(text: string): Pair | null {
  const match =
    /did not match the regular expression \/((?:[^/\\]|\\.)+)\/\w*\. Input:\s*\n\s*\n?\s*['"`]?(.*?)['"`]?\s*$/m.exec(
      text,
    );
  if (!match || /[\\^$.*+?()[\]{}|]/.test(match[1]!)) return null;
  return { actual: match[2]!.replace(/^\w*Error: /, '').replace(/\\n.*$/, ''), expected: match[1]! };
}

/** Pairs from a printed diff: a run of lines of one side followed by as many of the other. */
function readDiffLines(text: string): Pair[] {
  const plusIsExpected = /\+ expected - actual/.test(text);
  const pairs: Pair[] = [];
  let plus: string[] = [];
  let minus: string[] = [];
  const flush = () => {
    if (plus.length === minus.length) {
      plus.forEach((line, index) => {
        const [a, b] = plusIsExpected ? [minus[index]!, line] : [line, minus[index]!];
        const [actual, expected] = [readLeaf(a), readLeaf(b)];
        if (actual && expected) pairs.push({ actual: actual.value, expected: expected.value });
      });
    }
    plus = [];
    minus = [];
  };
  for (const line of text.split('\n')) {
    const match = (plusIsExpected ? /^\s*([+-]) ?(.*)$/ : /^\s*([+-]) (.*)$/).exec(line);
    if (!match || /^\s*([+-] (actual|expected|Expected|Received)\b)/.test(line)) flush();
    else (match[1] === '+' ? plus : minus).push(match[2]!);
  }
  flush();
  return pairs;
}

/** `tag: 'n1',` is the leaf `'n1'`. */
function readLeaf(line: string): { value: Value } | null {
  const text = line.trim().replace(/,$/, '');
  const key = /^(?:[\w$]+|'[^']*'|"[^"]*"): (?=\S)/.exec(text);
  return readValue(key ? text.slice(key[0].length) : text);
}

function readCounts(output: string): { passing: number | null; failing: number | null } {
  const last = (pattern: RegExp): number | null => {
    const all = [...output.matchAll(pattern)];
    return all.length === 0 ? null : Number(all.at(-1)![1]);
  };
  const failed = last(/^(?:#|ℹ) fail (\d+)/gm);
  if (failed !== null) {
    return {
      passing: last(/^(?:#|ℹ) pass (\d+)/gm),
      failing: failed + (last(/^(?:#|ℹ) cancelled (\d+)/gm) ?? 0),
    };
  }
  const mocha = last(/(\d+) failing/g);
  if (mocha !== null) return { passing: last(/(\d+) passing/g) ?? 0, failing: mocha };
  const summary = [...output.matchAll(/^(?:Tests:|\s*Tests\s|=+ ).*\d+ (?:failed|passed|error).*$/gm)].at(
    -1,
  )?.[0];
  if (summary !== undefined) {
    const count = (word: string) => Number(new RegExp(`(\\d+) ${word}`).exec(summary)?.[1] ?? 0);
    return { passing: count('passed'), failing: count('failed') + count('errors?') };
  }
  const ran = last(/^Ran (\d+) tests?/gm);
  if (ran !== null) {
    const failing = (last(/failures=(\d+)/g) ?? 0) + (last(/errors=(\d+)/g) ?? 0);
    return { passing: ran - failing, failing };
  }
  const notOk = [...output.matchAll(/^not ok /gm)].length;
  return notOk > 0
    ? { passing: [...output.matchAll(/^ok /gm)].length, failing: notOk }
    : { passing: null, failing: null };
}

/** The words between quotes in a message, unescaped: names that an error complains of. */
export function quotedNames(message: string): string[] {
  return [...message.matchAll(/['"`]([^'"`\n]+)['"`]/g)].map(match => decodeEscapes(match[1]!));
}
