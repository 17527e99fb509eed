/** One small change to a source file, and what the functions that propose them are given. */
import type { Clues } from './clues.ts';
import { type Span, statementStarts, textOf } from './grammar.ts';
import type { Definition } from './outline.ts';
import type { Source } from './source.ts';
import type { Suspicion } from './suspects.ts';

export type Family =
  | 'relation'
  | 'equality'
  | 'logic'
  | 'arithmetic'
  | 'offset'
  | 'number'
  | 'boolean'
  | 'negation'
  | 'order'
  | 'string'
  | 'method'
  | 'return'
  | 'await'
  | 'name'
  | 'property'
  | 'statement'
  | 'guard'
  | 'default'
  | 'error';

export interface Mutation {
  /** Offsets in the text of the source. */
  start: number;
  end: number;
  text: string;
  family: Family;
  /** How likely such a fault is, 0 to 8; the place adds its own. */
  weight: number;
}

export interface Ground {
  source: Source;
  definitions: Definition[];
  clues: Clues;
  suspicion: Suspicion;
  /** Token indices that are not worth changing: imports and type declarations. */
  quiet: Set<number>;
}

export type Mutator = (ground: Ground) => Mutation[];

export function replace(
  source: Source,
  [from, to]: Span,
  text: string,
  family: Family,
  weight: number,
): Mutation {
  const first = source.tokens[from]!;
  const last = source.tokens[to - 1]!;
  return { start: first.start, end: last.end, text, family, weight };
}

export function insert(at: number, text: string, family: Family, weight: number): Mutation {
  return { start: at, end: at, text, family, weight };
}

/** Exchanges two pieces that do not overlap; what is between them stays. */
export function exchange(source: Source, left: Span, right: Span, family: Family, weight: number): Mutation {
  const between = source.text.slice(source.tokens[left[1] - 1]!.end, source.tokens[right[0]]!.start);
  const text = textOf(source, right) + between + textOf(source, left);
  return replace(source, [left[0], right[1]], text, family, weight);
}

export function quietTokens(source: Source): Set<number> {
  const quiet = new Set<number>();
  const starts = statementStarts(source);
  starts.forEach((from, index) => {
    const { tokens } = source;
    const to =
      starts.slice(index + 1).find(next => source.parent[next] === source.parent[from]) ?? tokens.length;
    let word = tokens[from]!.text;
    if (
      (word === 'export' || word === 'declare') &&
      /^(type|interface|declare)$/.test(tokens[from + 1]?.text ?? '')
    )
      word = tokens[from + 1]!.text;
    const typed = (word === 'type' || word === 'interface') && tokens[from + 1]?.kind === 'word';
    const imports =
      word === 'import' ||
      (source.language === 'python' && word === 'from') ||
      (word === 'export' && /^[{*]$/.test(tokens[from + 1]?.text ?? '')) ||
      word === "'use" ||
      tokens
        .slice(from, to)
        .some((token, at) => token.text === 'require' && tokens[from + at + 1]?.text === '(');
    if (typed || imports) for (let i = from; i < to; i += 1) quiet.add(i);
  });
  return quiet;
}

/** The innermost function around a token; `strictly`: not one that begins with it. */
export function functionAround(ground: Ground, index: number, strictly = false): Definition | null {
  const { start } = ground.source.tokens[index]!;
  let best: Definition | null = null;
  for (const one of ground.definitions) {
    if (one.kind !== 'function' || start < one.start || start >= one.end || (strictly && start === one.start))
      continue;
    if (!best || one.end - one.start < best.end - best.start) best = one;
  }
  return best;
}

/** Edit distance with exchanges of neighbours, up to a limit. */
export function distance(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > 3) return 9;
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const same = a[i - 1] === b[j - 1];
      let cost = Math.min(rows[i - 1]![j]! + 1, row[j - 1]! + 1, rows[i - 1]![j - 1]! + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        cost = Math.min(cost, rows[i - 2]![j - 2]! + 1);
      row.push(cost);
    }
    rows.push(row);
  }
  return rows[a.length]![b.length]!;
}

/** Is one name a likely slip for the other? */
export function similar(a: string, b: string): boolean {
  if (a === b) return false;
  if (a.toLowerCase() === b.toLowerCase()) return true;
  const [short, long] = a.length < b.length ? [a, b] : [b, a];
  if (
    short.length >= 3 &&
    long.toLowerCase().startsWith(short.toLowerCase()) &&
    long.length - short.length <= 3
  )
    return true;
  return distance(a, b) <= (short.length <= 4 ? 1 : 2);
}
