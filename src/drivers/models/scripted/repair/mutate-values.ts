/**
 * A last step that is missing: the returned value only needs rounding, trimming, sorting, converting. Each step is
 * proposed only if it turns a printed actual value into the expected one.
 */

import { expressionEnd, isName, textOf } from './grammar.ts';
import { returned } from './mutate-guards.ts';
import { type Ground, type Mutation, replace } from './mutation.ts';
import { leaves, type Pair, same, type Value } from './printed-value.ts';

interface Step {
  /** 3 unless said otherwise; steps that fit many pairs of numbers by chance count for less. */
  weight?: number;
  /** What the value would be after the step; undefined when the step does not apply. */
  apply(value: Value): Value;
  write(code: string): string;
}

const onNumber =
  (f: (n: number) => Value): Step['apply'] =>
  value =>
    typeof value === 'number' ? f(value) : undefined;
const onString =
  (f: (s: string) => Value): Step['apply'] =>
  value =>
    typeof value === 'string' ? f(value) : undefined;
const onList =
  (f: (list: Value[]) => Value): Step['apply'] =>
  value =>
    Array.isArray(value) ? f(value) : undefined;
const call = (name: string) => (code: string) => `${name}(${code})`;
const method = (suffix: string) => (code: string) =>
  /^[\w$.()[\]'"`]+$/.test(code) ? `${code}${suffix}` : `(${code})${suffix}`;
const numeric = (a: Value, b: Value) => Number(a) - Number(b);

/** The order in which `sort` without a comparator puts things. */
const textual = (a: Value, b: Value) => (String(a) < String(b) ? -1 : String(a) > String(b) ? 1 : 0);

const steps: Step[] = [
  { weight: 2.6, apply: onNumber(Math.round), write: call('Math.round') },
  { weight: 2.6, apply: onNumber(Math.floor), write: call('Math.floor') },
  { weight: 2.6, apply: onNumber(Math.ceil), write: call('Math.ceil') },
  { weight: 2.4, apply: onNumber(Math.trunc), write: call('Math.trunc') },
  { weight: 2.6, apply: onNumber(Math.abs), write: call('Math.abs') },
  { weight: 2, apply: onNumber(n => -n), write: code => `-(${code})` },
  { apply: onNumber(n => Math.round(n * 100) / 100), write: code => `Math.round((${code}) * 100) / 100` },
  { apply: onNumber(n => Math.round(n * 10) / 10), write: code => `Math.round((${code}) * 10) / 10` },
  { weight: 2, apply: onNumber(n => n / 100), write: code => `(${code}) / 100` },
  { weight: 2, apply: onNumber(n => n * 100), write: code => `(${code}) * 100` },
  { weight: 2, apply: onNumber(n => n / 1000), write: code => `(${code}) / 1000` },
  { weight: 2, apply: onNumber(n => n * 1000), write: code => `(${code}) * 1000` },
  { weight: 1, apply: onNumber(n => n + 1), write: code => `(${code}) + 1` },
  { weight: 1, apply: onNumber(n => n - 1), write: code => `(${code}) - 1` },
  { weight: 1, apply: onNumber(n => n * 2), write: code => `(${code}) * 2` },
  { weight: 1, apply: onNumber(n => n / 2), write: code => `(${code}) / 2` },
  { weight: 1.6, apply: onNumber(n => Math.sqrt(n)), write: call('Math.sqrt') },
  { apply: onNumber(String), write: call('String') },
  { apply: onNumber(n => n.toFixed(2)), write: code => `(${code}).toFixed(2)` },
  {
    apply: value => (Number.isNaN(value) || value === null || value === undefined ? 0 : undefined),
    write: code => `(${code}) || 0`,
  },
  { apply: value => (value === undefined ? null : undefined), write: code => `(${code}) ?? null` },
  { apply: value => (typeof value === 'boolean' ? !value : undefined), write: code => `!(${code})` },
  { apply: value => Boolean(value), write: call('Boolean') },
  { apply: onString(s => s.trim()), write: method('.trim()') },
  { apply: onString(s => s.toLowerCase()), write: method('.toLowerCase()') },
  { apply: onString(s => s.toUpperCase()), write: method('.toUpperCase()') },
  {
    apply: onString(s => s.charAt(0).toUpperCase() + s.slice(1)),
    write: code => `(${code}).charAt(0).toUpperCase() + (${code}).slice(1)`,
  },
  { apply: onString(s => s.slice(1)), write: method('.slice(1)') },
  { apply: onString(s => s.slice(0, -1)), write: method('.slice(0, -1)') },
  { apply: onString(s => [...s].reverse().join('')), write: method(".split('').reverse().join('')") },
  { apply: onString(s => (s.trim() === '' ? undefined : Number(s))), write: call('Number') },
  { apply: onString(s => s.replace(/^-+|-+$/g, '')), write: method(".replace(/^-+|-+$/g, '')") },
  { apply: onString(s => s.replace(/\s+/g, ' ')), write: method(".replace(/\\s+/g, ' ')") },
  { apply: onList(list => [...list].reverse()), write: method('.reverse()') },
  { apply: onList(list => [...list].sort(textual)), write: method('.sort()') },
  { apply: onList(list => [...list].sort(numeric)), write: method('.sort((a, b) => a - b)') },
  { apply: onList(list => [...list].sort((a, b) => numeric(b, a))), write: method('.sort((a, b) => b - a)') },
  { apply: onList(list => [...new Set(list)]), write: code => `[...new Set(${code})]` },
  { apply: onList(list => list.filter(Boolean)), write: method('.filter(Boolean)') },
  { apply: onList(list => list.slice(1)), write: method('.slice(1)') },
  { apply: onList(list => list.slice(0, -1)), write: method('.slice(0, -1)') },
  { apply: onList(list => list.flat()), write: method('.flat()') },
  { apply: onList(list => list.length), write: method('.length') },
  { apply: onList(list => list[0]), write: method('[0]') },
  { apply: onList(list => list.join('')), write: method(".join('')") },
  { apply: onList(list => list.join(' ')), write: method(".join(' ')") },
  { apply: onList(list => list.join(',')), write: method(".join(',')") },
  { apply: onList(list => list.map(String)), write: method('.map(String)') },
  { apply: onList(list => list.map(Number)), write: method('.map(Number)') },
  { apply: onList(list => leaves(list)), write: method('.flat(Infinity)') },
];

export function mutateValues({ source, clues, quiet }: Ground): Mutation[] {
  if (source.language !== 'javascript') return [];
  const pairs = [...clues.compared, ...clues.pairs].filter(pair => !same(pair.actual, pair.expected));
  const fitting = steps.filter(step => pairs.some(pair => turns(step, pair)));
  const spans = fitting.length === 0 ? [] : returned(source).filter(([from]) => !quiet.has(from));
  const found = spans.flatMap(span =>
    fitting.map((step, rank) =>
      replace(source, span, step.write(textOf(source, span)), 'default', (step.weight ?? 3) - rank * 0.1),
    ),
  );
  return [...found, ...asNumbers(source, clues), ...inPlace(source, fitting)];
}

/** The same step where a value is passed on: `{ title }` → `{ title: title.trim() }`, `const n = f(x)` → `… .length`. */
function inPlace(source: Ground['source'], fitting: Step[]): Mutation[] {
  if (fitting.length === 0) return [];
  const { tokens } = source;
  return tokens.flatMap((token, index) => {
    const [before, after] = [tokens[index - 1]?.text ?? '', tokens[index + 1]?.text ?? ''];
    const few = fitting.slice(0, 4);
    if (/^[=:]$/.test(before) && token.kind === 'word') {
      const end = expressionEnd(source, index);
      const code = textOf(source, [index, end]);
      if (end > index && !code.includes('=>'))
        return few.map(step =>
          replace(source, [index, end], step.write(code), 'default', (step.weight ?? 3) - 0.8),
        );
    }
    if (!isName(token) || !/^[{(,]$/.test(before) || !/^[,})]$/.test(after)) return [];
    const shorthand = source.braces.get(source.parent[index]!) === 'object';
    return few.map(step =>
      replace(
        source,
        [index, index + 1],
        `${shorthand ? `${token.text}: ` : ''}${step.write(token.text)}`,
        'default',
        (step.weight ?? 3) - 1,
      ),
    );
  });
}

function turns(step: Step, pair: Pair): boolean {
  const next = step.apply(pair.actual);
  return (
    next !== undefined && same(next, pair.expected) && !(pair.expected === false && pair.actual === undefined)
  );
}

/** `'1' + '2'` is `'12'`: operands of a sum that should be numbers. */
function asNumbers(source: Ground['source'], clues: Ground['clues']): Mutation[] {
  const joined = clues.pairs.some(
    ({ actual, expected }) => typeof actual === 'string' && typeof expected === 'number',
  );
  if (!joined) return [];
  return returned(source).flatMap(([from, to]) => {
    const plus = source.tokens
      .slice(from, to)
      .findIndex(token => token.text === '+' && token.kind === 'sign');
    if (plus <= 0) return [];
    const left = textOf(source, [from, from + plus]);
    const right = textOf(source, [from + plus + 1, to]);
    return [replace(source, [from, to], `Number(${left}) + Number(${right})`, 'default', 4.4)];
  });
}
