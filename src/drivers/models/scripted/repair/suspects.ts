/**
 * Where the fault probably is. Names used by the failing assertion, by what leads up to it and by the rest of the
 * failing test point at definitions; those point at what they call, one level weaker each. Stack frames point
 * directly, and what passing tests use as well is a little less suspect.
 */
import type { Failure, Frame } from './failures.ts';
import { isName, statementStarts } from './grammar.ts';
import { type Definition, outline } from './outline.ts';
import { readSource, type Source } from './source.ts';

export interface Suspect {
  source: Source;
  definitions: Definition[];
}

export interface Suspicion {
  suspects: Suspect[];
  /** Lines of sources that are on the stack of a failure, as `path:line`. */
  stack: Set<string>;
  /** How suspect a place is: about 0 (only there) to 8 (on the stack of an error). */
  at(source: Source, offset: number): number;
  /** The test source that fails and the offset of the failing statement, per failure where known. */
  assertions: { failure: Failure; source: Source; from: number; to: number }[];
}

const weight = {
  assertion: 5,
  leadingUp: 4,
  sameTest: 3,
  sameFile: 2,
  stack: 6,
  stackLine: 2,
  passing: 0.5,
  shared: 1,
};
const deepest = 4;

/** The listed file that a path in a stack trace means. */
export function locate(path: string, files: Iterable<string>): string | null {
  const clean = path.replaceAll('\\', '/').replace(/^\.\//, '');
  let best: string | null = null;
  for (const file of files) {
    if ((clean === file || clean.endsWith(`/${file}`)) && (!best || file.length > best.length)) best = file;
  }
  return best;
}

export function suspicion(
  failures: Failure[],
  sources: Map<string, string>,
  tests: Map<string, string>,
): Suspicion {
  const suspects = [...sources].map(([path, text]) => {
    const source = readSource(path, text);
    return { source, definitions: outline(source) };
  });
  const parsedTests = new Map([...tests].map(([path, text]) => [path, readSource(path, text)]));
  const assertions: Suspicion['assertions'] = [];
  const perFailure: Map<string, number>[] = [];
  for (const failure of failures) {
    const frame = failure.frames.findLast(one => locate(one.path, parsedTests.keys()));
    const source = frame && parsedTests.get(locate(frame.path, parsedTests.keys())!);
    if (!frame || !source) continue;
    const seeds = new Map<string, number>();
    assertions.push({ failure, source, ...seedFromTest(source, frame, into(seeds)) });
    perFailure.push(seeds);
  }
  if (assertions.length === 0) {
    const seeds = new Map<string, number>();
    for (const source of parsedTests.values())
      seedNames(source, 0, source.tokens.length, weight.sameFile, into(seeds));
    perFailure.push(seeds);
  }
  const elsewhere = usedByPassing(assertions);
  for (const seeds of perFailure) {
    for (const [name, score] of seeds) if (elsewhere.has(name)) seeds.set(name, score - weight.passing);
  }
  const scores = together(perFailure.map(seeds => spread(suspects, seeds)));
  const stack = markStack(failures, suspects, scores);
  return {
    suspects,
    assertions,
    stack,
    at(source, offset) {
      const suspect = suspects.find(one => one.source === source)!;
      let best = 0.5;
      for (const definition of suspect.definitions) {
        if (offset < definition.start || offset >= definition.end) continue;
        const score = scores.get(definition);
        if (score !== undefined) best = Math.max(best, definition.kind === 'class' ? score - 2 : score);
      }
      const line = source.text.slice(0, offset).split('\n').length;
      return best + (stack.has(`${source.path}:${line}`) ? weight.stackLine : 0);
    },
  };
}

function seedNames(
  source: Source,
  from: number,
  to: number,
  score: number,
  seed: (name: string, score: number) => void,
): Set<string> {
  const names = new Set<string>();
  for (let i = from; i < to; i += 1) {
    const token = source.tokens[i]!;
    if (!isName(token) && token.text !== 'is') continue;
    names.add(token.text);
    seed(token.text, score);
  }
  return names;
}

/** Statements of a source as ranges of tokens, in order. */
function statements(source: Source): { from: number; to: number; line: number; parent: number }[] {
  const starts = statementStarts(source);
  return starts.map((from, index) => {
    const parent = source.parent[from]!;
    const next = starts.slice(index + 1).find(start => source.parent[start] === parent);
    const close =
      parent >= 0 && source.partner[parent]! >= 0 ? source.partner[parent]! : source.tokens.length;
    return { from, to: Math.min(next ?? close, close), line: source.tokens[from]!.line, parent };
  });
}

/** Seeds names from the statement at a line backwards through what it depends on; gives the statement's extent. */
function seedFromTest(
  source: Source,
  frame: Frame,
  seed: (name: string, score: number) => void,
): { from: number; to: number } {
  const all = statements(source);
  // Tests are often one line: the column tells which of its statements failed.
  const offset = frame.column > 0 ? lineOffset(source.text, frame.line) + frame.column - 1 : -1;
  const covers = (one: (typeof all)[number]) => {
    const last = source.tokens[one.to - 1];
    if (offset >= 0) return source.tokens[one.from]!.start <= offset && (last?.end ?? 0) > offset;
    return one.line <= frame.line && (last?.line ?? 0) >= frame.line;
  };
  const failing = all.findLast(covers);
  if (!failing) return { from: 0, to: 0 };
  const wanted = seedNames(source, failing.from, failing.to, weight.assertion, seed);
  const block =
    all.findLast(one => covers(one) && isTest(source, one.from)) ??
    all.find(one => one.parent === -1 && covers(one));
  const inTest = block && block !== failing;
  for (const before of all.filter(one => one.from < failing.from).reverse()) {
    const inside = inTest ? before.from > block.from && before.to <= block.to : before.parent === -1;
    if (!inside || covers(before)) continue;
    const names = new Set(
      source.tokens
        .slice(before.from, before.to)
        .filter(isName)
        .map(token => token.text),
    );
    const leads = [...names].some(
      name => wanted.has(name) && !/^(assert|expect|test|it|equal|strictEqual|deepEqual)$/.test(name),
    );
    if (leads)
      for (const name of seedNames(source, before.from, before.to, weight.leadingUp, seed)) wanted.add(name);
    else if (inTest) seedNames(source, before.from, before.to, weight.sameTest, seed);
  }
  return { from: failing.from, to: failing.to };
}

function isTest(source: Source, from: number): boolean {
  return /^(test|it|specify)$/.test(source.tokens[from]!.text);
}

/** Names that passing tests, or statements before the failing one of a plain script, use as well. */
function usedByPassing(assertions: Suspicion['assertions']): Set<string> {
  const used = new Set<string>();
  for (const source of new Set(assertions.map(one => one.source))) {
    const failing = assertions.filter(one => one.source === source);
    const all = statements(source);
    const tests = all.filter(one => isTest(source, one.from));
    for (const one of tests.length > 0 ? tests : all.filter(other => other.parent === -1)) {
      const tokens = source.tokens.slice(one.from, one.to);
      if (failing.some(other => other.from >= one.from && other.from < one.to)) continue;
      if (tests.length === 0 && !failing.some(other => other.from > one.from)) continue;
      if (tokens[0]!.text === 'import' || tokens.some(token => token.text === 'require')) continue;
      for (const token of tokens) used.add(token.text);
    }
  }
  return used;
}

function into(seeds: Map<string, number>): (name: string, score: number) => void {
  return (name, score) => seeds.set(name, Math.max(seeds.get(name) ?? 0, score));
}

/** One fault often breaks several tests: what all of them lead to is more suspect than what one does. */
function together(all: Map<Definition, number>[]): Map<Definition, number> {
  const scores = new Map<Definition, number>();
  for (const definition of new Set(all.flatMap(one => [...one.keys()]))) {
    const reached = all.flatMap(one => one.get(definition) ?? []);
    const share = all.length > 1 ? (reached.length - 1) / (all.length - 1) : 0;
    scores.set(definition, Math.max(...reached) + share * weight.shared);
  }
  return scores;
}

function spread(suspects: Suspect[], seeds: Map<string, number>): Map<Definition, number> {
  const named = new Map<string, { suspect: Suspect; definition: Definition }[]>();
  for (const suspect of suspects) {
    for (const definition of suspect.definitions) {
      if (definition.name !== '')
        named.set(definition.name, [...(named.get(definition.name) ?? []), { suspect, definition }]);
    }
  }
  const scores = new Map<Definition, number>();
  let wave = [...seeds];
  for (let depth = 0; depth < deepest && wave.length > 0; depth += 1) {
    const next = new Map<string, number>();
    for (const [name, score] of wave) {
      for (const { suspect, definition } of named.get(name) ?? []) {
        if ((scores.get(definition) ?? 0) >= score) continue;
        scores.set(definition, score);
        for (const token of suspect.source.tokens) {
          if (token.start < definition.start || token.end > definition.end || !isName(token)) continue;
          if (named.has(token.text)) next.set(token.text, Math.max(next.get(token.text) ?? 0, score - 1));
        }
      }
    }
    wave = [...next].filter(([, score]) => score > 0);
  }
  return scores;
}

/** Raises what the stack of an error passed through; gives the very lines, as `path:line`. */
function markStack(failures: Failure[], suspects: Suspect[], scores: Map<Definition, number>): Set<string> {
  const lines = new Set<string>();
  for (const frame of failures.flatMap(failure => failure.frames)) {
    const path = locate(
      frame.path,
      suspects.map(suspect => suspect.source.path),
    );
    const suspect = suspects.find(one => one.source.path === path);
    if (!suspect) continue;
    lines.add(`${path}:${frame.line}`);
    const offset = lineOffset(suspect.source.text, frame.line);
    const around = suspect.definitions.filter(
      one =>
        one.start <= offset + 200 && one.end > offset && lineAt(suspect.source.text, one.start) <= frame.line,
    );
    const inner = around
      .filter(one => one.kind === 'function')
      .sort((a, b) => a.end - a.start - (b.end - b.start))[0];
    if (inner) scores.set(inner, Math.max(scores.get(inner) ?? 0, weight.stack));
  }
  return lines;
}

function lineAt(text: string, offset: number): number {
  return text.slice(0, offset).split('\n').length;
}

function lineOffset(text: string, line: number): number {
  return (
    text
      .split('\n')
      .slice(0, line - 1)
      .join('\n').length + (line > 1 ? 1 : 0)
  );
}
