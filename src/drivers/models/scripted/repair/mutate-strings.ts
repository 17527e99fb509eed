/**
 * Wrong text. The strongest change here compares the printed values: where a literal is seen inside the actual string,
 * what stands in its place in the expected string is what it should have been; templates likewise, hole by hole.
 */

import { type Ground, type Mutation, replace, similar } from './mutation.ts';
import type { Pair } from './printed-value.ts';
import { decodeEscapes } from './printed-value.ts';
import type { Source } from './source.ts';

export function mutateStrings(ground: Ground): Mutation[] {
  const { source, quiet } = ground;
  return source.tokens.flatMap((token, index) => {
    if (quiet.has(index)) return [];
    if (token.kind === 'string') return strings(ground, index);
    return token.kind === 'template' && token.text.startsWith('`') ? templates(ground, index) : [];
  });
}

function stringPairs(pairs: Pair[]): { actual: string; expected: string }[] {
  return pairs.filter(
    (pair): pair is { actual: string; expected: string } =>
      typeof pair.actual === 'string' && typeof pair.expected === 'string',
  );
}

function quoted(text: string, quote: string): string {
  const escaped = text
    .replaceAll('\\', '\\\\')
    .replaceAll('\n', '\\n')
    .replaceAll('\t', '\\t')
    .replaceAll('\r', '\\r');
  return quote + escaped.replaceAll(quote, `\\${quote}`) + quote;
}

function strings({ source, clues }: Ground, index: number): Mutation[] {
  const { text } = source.tokens[index]!;
  const quote = text.at(-1)!;
  if (!/^["']/.test(text)) return [];
  const value = decodeEscapes(text.slice(1, -1));
  const seen = new Set([value]);
  const found: Mutation[] = [];
  const offer = (next: string, weight: number) => {
    if (seen.has(next)) return;
    seen.add(next);
    found.push(replace(source, [index, index + 1], quoted(next, quote), 'string', weight));
  };
  for (const { actual, expected } of stringPairs(clues.pairs)) {
    // A default stands for what is missing: that it shows says that the value was not passed on.
    const fallback = /^(\?\?|\|\||=)$/.test(source.tokens[index - 1]?.text ?? '') && value !== actual;
    for (const next of aligned(value, actual, expected))
      offer(next, value === actual ? 6.5 : fallback ? 2.4 : 5.8);
  }
  for (const next of expectedInPlace(clues, value)) offer(next, 4.4);
  for (const other of clues.testStrings) if (value.length > 2 && similar(value, other)) offer(other, 4.6);
  for (const next of separators(source, index, value)) offer(next, writtenInTests(clues, next) ? 3.9 : 2.9);
  if (typeNames.has(value))
    for (const name of typeNames) offer(name, source.tokens[index - 1]?.text.startsWith('=') ? 2.4 : 1.2);
  if (value === value.toLowerCase() && value !== value.toUpperCase()) offer(value.toUpperCase(), 1.6);
  else if (value !== value.toLowerCase()) offer(value.toLowerCase(), 1.8);
  if (value.length > 0) for (const other of clues.expectedStrings) if (other.length <= 40) offer(other, 2.4);
  for (const other of clues.testStrings)
    if (/^[\w-]{2,30}$/.test(other) && /^[\w-]+$/.test(value)) offer(other, 1.3);
  if (value !== '' && value.trim() !== value) offer(value.trim(), 2.4);
  if (value === '') offer(' ', 1.8);
  for (const next of respelled(clues, value)) offer(next, 3.9);
  if (/^[^\p{L}\p{N}\s]$/u.test(value))
    for (const next of [',', ';', ':', '.', '-', '_', '/', '=', '&', '|', '\t'])
      offer(next, writtenInTests(clues, next) ? 2.8 : 1.4);
  if (/^[^\p{L}\p{N}\s]+$/u.test(value))
    for (const next of [value + value.at(-1)!, value.slice(0, -1)]) offer(next, 2);
  return found;
}

const typeNames = new Set(['string', 'number', 'object', 'undefined', 'function', 'boolean']);

/** What a literal would have to be, at each place where it occurs in the actual string. */
export function aligned(value: string, actual: string, expected: string): string[] {
  const found: string[] = [];
  if (value === '') return found;
  for (let at = actual.indexOf(value); at >= 0; at = actual.indexOf(value, at + 1)) {
    const before = actual.slice(0, at);
    const after = actual.slice(at + value.length);
    const fits =
      expected.startsWith(before) &&
      expected.endsWith(after) &&
      expected.length >= before.length + after.length;
    if (fits) found.push(expected.slice(before.length, expected.length - after.length));
  }
  // All occurrences at once: a separator that is repeated.
  const parts = actual.split(value);
  if (parts.length > 2 && parts.every(part => part !== '')) {
    const start = expected.indexOf(parts[0]!) + parts[0]!.length;
    const end = expected.indexOf(parts[1]!, start);
    if (end > start && parts.join(expected.slice(start, end)) === expected)
      found.push(expected.slice(start, end));
  }
  return found;
}

/** The literal is a whole value that was compared, somewhere: the expected one belongs there. */
function expectedInPlace(clues: Ground['clues'], value: string): string[] {
  return clues.pairs.flatMap(({ actual, expected }) =>
    actual === value && typeof expected === 'string' ? [expected] : [],
  );
}

/** One word of a text, spelled as the tests or the expected values spell it. */
function respelled(clues: Ground['clues'], value: string): string[] {
  if (!/\p{L}{3}/u.test(value) || value.length > 200) return [];
  const wanted = new Set(
    [...clues.testStrings, ...clues.expectedStrings].flatMap(text => text.match(/\p{L}{3,}/gu) ?? []),
  );
  return [...value.matchAll(/\p{L}{3,}/gu)].flatMap(match => {
    if (wanted.has(match[0])) return [];
    return [...wanted]
      .filter(word => similar(word, match[0]))
      .map(word => value.slice(0, match.index) + word + value.slice(match.index + match[0].length));
  });
}

/** A separator that the failing tests write inside their strings is likelier than others. */
function writtenInTests(clues: Ground['clues'], separator: string): boolean {
  return (
    separator.trim() !== '' &&
    [...clues.testStrings].some(
      text =>
        text.length > separator.length &&
        text.includes(separator) &&
        !/^[.\w:@-]*\/|\.[cm]?[jt]s$|^node:/.test(text),
    )
  );
}

function separators(source: Source, index: number, value: string): string[] {
  const method = source.tokens[index - 2]?.text ?? '';
  if (
    source.tokens[index - 1]?.text !== '(' ||
    !/^(join|split|padStart|padEnd|replace|replaceAll|concat)$/.test(method)
  )
    return [];
  return ['', ' ', ',', ', ', '-', '_', '.', '\n', '/', ':', ';', '|', '0', '&', '='].filter(
    one => one !== value,
  );
}

interface Hole {
  /** Text of the tokens of the expression between `${` and `}`. */
  code: string;
}

function templates({ source, clues }: Ground, index: number): Mutation[] {
  const { tokens, partner, text } = source;
  const last = partner[index]! >= 0 ? partner[index]! : index;
  const chunks: string[] = [];
  const holes: Hole[] = [];
  let from = index;
  for (let i = index; i <= last; i += 1) {
    const token = tokens[i]!;
    const piece =
      token.kind === 'template' &&
      (i === index ||
        (token.text.startsWith('}') && source.parent[i] === (i === last ? source.parent[index] : index)));
    if (!piece) continue;
    if (i > index) holes.push({ code: text.slice(tokens[from]!.end, token.start) });
    chunks.push(decodeEscapes(token.text.slice(1, token.text.endsWith('${') ? -2 : -1)));
    from = i;
  }
  const found = new Map<string, number>();
  for (const { actual, expected } of stringPairs(clues.pairs)) {
    const next = realign(chunks, holes, actual, expected);
    if (next !== null) found.set(next, 6.5);
  }
  chunks.forEach((chunk, at) => {
    for (const better of respelled(clues, chunk)) found.set(rebuild(chunks.with(at, better), holes), 3.9);
    for (const { actual, expected } of stringPairs(clues.pairs)) {
      for (const better of aligned(chunk, actual, expected)) {
        const next = rebuild(chunks.with(at, better), holes);
        if (!found.has(next)) found.set(next, 4.8);
      }
    }
  });
  for (let at = 0; at + 1 < holes.length; at += 1) {
    const turned = holes.with(at, holes[at + 1]!).with(at + 1, holes[at]!);
    found.set(rebuild(chunks, turned), clues.strings ? 3.4 : 2.2);
  }
  const now = text.slice(tokens[index]!.start, tokens[last]!.end);
  return [...found]
    .filter(([next]) => next !== now)
    .map(([next, weight]) => replace(source, [index, last + 1], next, 'string', weight));
}

function rebuild(chunks: string[], holes: Hole[]): string {
  const escaped = chunks.map(chunk => chunk.replace(/[\\`]|\$(?=\{)/g, '\\$&'));
  return `\`${escaped.map((chunk, at) => (at < holes.length ? `${chunk}\${${holes[at]!.code}}` : chunk)).join('')}\``;
}

/** Reads the values of the holes off the actual string and finds them again, in order, in the expected one. */
function realign(chunks: string[], holes: Hole[], actual: string, expected: string): string | null {
  if (holes.length === 0) return chunks[0] === actual ? rebuild([expected], []) : null;
  const pattern = chunks.map(chunk => chunk.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('([\\s\\S]*?)');
  const values = new RegExp(`^${pattern}$`).exec(actual)?.slice(1);
  if (!values || values.some(value => value === '')) return null;
  const next: string[] = [];
  let at = 0;
  for (const value of values) {
    const found = expected.indexOf(value, at);
    if (found < 0) return null;
    next.push(expected.slice(at, found));
    at = found + value.length;
  }
  return rebuild([...next, expected.slice(at)], holes);
}
