/** Wrong constants: numbers, booleans, null, starting values, regular expressions. */
import { isName } from './grammar.ts';
import { isUnary } from './mutate-operators.ts';
import { type Ground, type Mutation, replace } from './mutation.ts';

export function mutateLiterals(ground: Ground): Mutation[] {
  const { source, quiet } = ground;
  return source.tokens.flatMap((token, index) => {
    if (quiet.has(index)) return [];
    if (token.kind === 'number') return numbers(ground, index);
    if (token.kind === 'regex') return patterns(ground, index);
    return token.kind === 'word' || token.text === '[' || token.text === '{' ? words(ground, index) : [];
  });
}

function numbers({ source, clues }: Ground, index: number): Mutation[] {
  const { tokens } = source;
  const { text } = tokens[index]!;
  const value = Number(text.replaceAll('_', ''));
  if (!Number.isFinite(value)) return [];
  const seen = new Set([text, String(value)]);
  const found: Mutation[] = [];
  const offer = (number: number | string, weight: number) => {
    const written = String(number);
    if (seen.has(written)) return;
    seen.add(written);
    found.push(replace(source, [index, index + 1], written, 'number', weight));
  };
  const small = Number.isInteger(value) && Math.abs(value) <= 3;
  if (Number.isInteger(value)) {
    offer(value === 0 ? 1 : value - 1, small ? 3.7 : 2.9);
    offer(value + 1, small ? 3.5 : 2.9);
    if (value === 0) offer('-1', 2.4);
    if (value === 0 && isStartingValue(source, index))
      for (const start of ['-Infinity', 'Infinity', "''", '[]']) offer(start, 2.4);
    if (value === 1) offer(2, 2.2);
    if (value > 0) offer(`-${value}`, isUnary(source, index) ? 1.5 : 1.2);
  }
  if (text.includes('.') && value !== 0) {
    offer(Number((1 - value).toPrecision(12)), 3);
    offer(Number((1 + value).toPrecision(12)), 3);
  }
  for (const { actual, expected } of clues.pairs)
    if (actual === value && typeof expected === 'number') offer(expected, small ? 3.8 : 5.2);
  for (const [scaled, weight] of scaledBy(value, clues)) offer(scaled, weight);
  if (value >= 10 || !Number.isInteger(value))
    for (const factor of [10, 0.1, 100, 0.01]) offer(Number((value * factor).toPrecision(12)), 2.4);
  if (!small) for (const number of clues.expectedNumbers) offer(number, 2.3);
  if (!small) for (const number of clues.testNumbers) offer(number, 1.9);
  for (const usual of usualNumbers[text] ?? []) offer(usual, 3.2);
  return found;
}

/** Numbers that are often mistaken for each other. */
const usualNumbers: Record<string, number[]> = {
  7: [24, 12],
  12: [24, 60, 7],
  24: [12, 60],
  60: [3600, 24, 1000, 100],
  100: [1000, 1],
  1000: [100, 60, 1024],
  1024: [1000],
  3600: [60],
  16: [10, 2],
  10: [16, 2, 100],
  2: [10, 3, 4],
  8: [10],
};

/** If the result is off by a factor or by a term, the constant may be, too. */
function scaledBy(value: number, clues: Ground['clues']): [number: number, weight: number][] {
  return clues.pairs.flatMap(({ actual, expected }) => {
    if (
      typeof actual !== 'number' ||
      typeof expected !== 'number' ||
      !Number.isFinite(actual) ||
      !Number.isFinite(expected)
    )
      return [];
    // 0 and 1 are starting values and steps: any number at all could be fitted there.
    if (Math.abs(value) < 2 && Number.isInteger(value)) return [];
    const ratios = actual === 0 || expected === 0 ? [] : [expected / actual, actual / expected];
    const found = ratios.map((ratio): [number, number] => [value * ratio, isPowerOfTen(ratio) ? 4.8 : 3.6]);
    found.push([value + expected - actual, 3.2]);
    return found
      .map(([number, weight]): [number, number] => [Number(number.toPrecision(12)), weight])
      .filter(([number]) => Number.isFinite(number) && number !== value && String(number).length <= 8);
  });
}

function isPowerOfTen(ratio: number): boolean {
  const exponent = Math.log10(Math.abs(ratio));
  return Math.abs(exponent - Math.round(exponent)) < 1e-9;
}

/** A variable's first value; the counter of a loop is none, from minus infinity it would never get anywhere. */
function isStartingValue({ tokens, parent }: Ground['source'], index: number): boolean {
  const inLoop = tokens[parent[index]! - 1]?.text === 'for';
  return !inLoop && tokens[index - 1]?.text === '=' && /^(let|var)$/.test(tokens[index - 3]?.text ?? '');
}

const others: Record<string, [weight: number, ...instead: string[]]> = {
  true: [3.7, 'false'],
  false: [3.7, 'true'],
  True: [3.7, 'False'],
  False: [3.7, 'True'],
  null: [2.4, 'undefined', '[]', "''", '0', '{}'],
  undefined: [2.4, 'null', '[]', "''", '0'],
  None: [2.4, '[]', "''", '0', '{}'],
  Infinity: [3.4, '-Infinity', '0'],
  break: [3, 'continue'],
  continue: [3, 'break'],
};

function words({ source }: Ground, index: number): Mutation[] {
  const { tokens } = source;
  const { text } = tokens[index]!;
  if (tokens[index - 1]?.text === '.' || tokens[index + 1]?.text === ':') return [];
  if (
    (text === '[' || text === '{') &&
    tokens[index + 1]?.text === (text === '[' ? ']' : '}') &&
    !isName(tokens[index - 1])
  ) {
    if (source.braces.get(index) === 'block') return [];
    return ['null', text === '[' ? '{}' : '[]'].map((other, rank) =>
      replace(source, [index, index + 2], other, 'number', 1.8 - rank * 0.4),
    );
  }
  if (!Object.hasOwn(others, text)) return [];
  const [weight, ...instead] = others[text]!;
  const family = /^(true|false)$/i.test(text)
    ? 'boolean'
    : /^(break|continue)$/.test(text)
      ? 'statement'
      : 'number';
  return instead.map((other, rank) =>
    replace(source, [index, index + 1], other, family, weight - rank * 0.5),
  );
}

/** Flags, anchors and repetition. */
function patterns({ source }: Ground, index: number): Mutation[] {
  const { text } = source.tokens[index]!;
  const slash = text.lastIndexOf('/');
  const body = text.slice(1, slash);
  const flags = text.slice(slash + 1);
  const found: [string, number][] = [];
  for (const [flag, weight] of [
    ['g', 3.9],
    ['i', 3.4],
    ['m', 2],
    ['u', 1],
  ] as const) {
    found.push([
      `/${body}/${flags.includes(flag) ? flags.replace(flag, '') : flags + flag}`,
      flags.includes(flag) ? weight - 1 : weight,
    ]);
  }
  const change = (next: string, weight: number) => found.push([`/${next}/${flags}`, weight]);
  change(body.startsWith('^') ? body.slice(1) : `^${body}`, 2.8);
  change(body.endsWith('$') ? body.slice(0, -1) : `${body}$`, 2.8);
  if (!body.startsWith('^') && !body.endsWith('$')) change(`^${body}$`, 2.9);
  for (const [pattern, instead, weight] of rewrites) {
    for (const match of body.matchAll(pattern)) {
      change(
        body.slice(0, match.index) +
          match[0].replace(pattern, instead) +
          body.slice(match.index + match[0].length),
        weight,
      );
    }
  }
  return found.map(([next, weight]) => replace(source, [index, index + 1], next, 'string', weight));
}

const rewrites: [RegExp, string, number][] = [
  [/\+/g, '*', 2.8],
  [/(?<!\.)\*/g, '+', 2.8],
  [/(\\[dwsWDS]|\]|\))(?![+*?{])/g, '$1+', 3.2],
  [/\\d/g, '\\w', 2],
  [/\\w/g, '\\d', 2],
  [/\\w/g, '[\\w-]', 1.8],
  [/\\s/g, '\\S', 2.2],
  [/\\S/g, '\\s', 2.2],
  [/\\W/g, '\\w', 2.2],
  [/\[\^/g, '[', 2.8],
  [/\[(?!\^)/g, '[^', 2.8],
  [/a-z(?!A-Z)/g, 'a-zA-Z', 2.4],
  [/a-z(?!0-9)/g, 'a-z0-9', 2.4],
  [/(?<!\\)\./g, '\\.', 2.8],
  [/\{(\d+)\}/g, '{$1,}', 2.8],
  [/\{(\d+),\}/g, '{$1}', 2.4],
  [/ /g, '\\s', 2],
];
