/**
 * Cases at the edge: nothing given, nothing in the list, nothing there. Defaults and guards are proposed only for
 * emptiness, zero and what the failing test says should be refused, never for one of the test's ordinary values.
 */
import { elements, expressionEnd, isName, operandBefore, type Span, textOf } from './grammar.ts';
import { aligned } from './mutate-strings.ts';
import { type Ground, insert, type Mutation, replace } from './mutation.ts';
import type { Definition } from './outline.ts';
import type { Source } from './source.ts';

export function mutateGuards(ground: Ground): Mutation[] {
  return [...defaults(ground), ...optionalMembers(ground), ...edgeCases(ground)];
}

const plainDefaults = ['0', '[]', '{}', "''", '1', 'false'];

function defaults({ source, definitions, clues, quiet }: Ground): Mutation[] {
  const { tokens } = source;
  const wanted =
    clues.undefinedActual || clues.notANumber || clues.errors.some(({ error }) => error === 'TypeError');
  const found: Mutation[] = [];
  for (const { kind, paramsOpen } of definitions) {
    if (kind !== 'function' || paramsOpen < 0 || source.language === 'python') continue;
    for (const [from, to] of elements(source, paramsOpen)) {
      const pattern = /^[[{]$/.test(tokens[from]!.text);
      if (textOf(source, [from, to]).includes('=') && !pattern) continue;
      if (!(isName(tokens[from]) || pattern) || (pattern && tokens[source.partner[from]! + 1]?.text === '='))
        continue;
      const offered = pattern
        ? [tokens[from]!.text === '{' ? '{}' : '[]']
        : [...missingText(clues), ...plainDefaults];
      found.push(
        ...offered.map((value, rank) =>
          insert(tokens[to - 1]!.end, ` = ${value}`, 'default', (wanted ? 3.2 : 1.6) - rank * 0.3),
        ),
      );
    }
  }
  // A sum over what may be missing: `map[key] + 1` → `(map[key] ?? 0) + 1`.
  tokens.forEach((token, index) => {
    if (quiet.has(index) || token.kind !== 'sign' || !/^[-+*]$/.test(token.text)) return;
    const left = operandBefore(source, index);
    if (left && /[\])]$/.test(textOf(source, left)))
      found.push(
        replace(source, left, `(${textOf(source, left)} ?? 0)`, 'default', clues.notANumber ? 4.6 : 1.6),
      );
  });
  return found;
}

/** What should stand where a missing argument was printed as `undefined`. */
function missingText(clues: Ground['clues']): string[] {
  return clues.pairs.flatMap(({ actual, expected }) =>
    typeof actual === 'string' && typeof expected === 'string'
      ? aligned('undefined', actual, expected).map(text => `'${text.replaceAll("'", "\\'")}'`)
      : [],
  );
}

/** `a.b` → `a?.b` where an error says that `a` was undefined or null. */
function optionalMembers({ source, clues, suspicion, quiet }: Ground): Mutation[] {
  const missing = clues.errors.flatMap(
    ({ message }) => /(?:of|from) (?:undefined|null).*reading '([^']+)'/.exec(message)?.[1] ?? [],
  );
  if (missing.length === 0) return [];
  const { tokens } = source;
  return tokens.flatMap((token, index) => {
    const dotted = token.text === '.' && missing.includes(tokens[index + 1]?.text ?? '');
    if (!dotted || quiet.has(index)) return [];
    const found: Mutation[] = [replace(source, [index, index + 1], '?.', 'default', 4)];
    const owner = operandBefore(source, index);
    if (owner) {
      const text = textOf(source, owner);
      const values = ['[]', '{}', "''"];
      found.push(
        ...values.map((value, rank) =>
          replace(source, owner, `(${text} ?? ${value})`, 'default', 3.6 - rank * 0.3),
        ),
      );
    }
    const end = expressionEnd(source, index);
    if (suspicion.at(source, token.start) > 5 && owner) {
      const chain = textOf(source, [owner[0], end]).replace(/(?<!\?)\./, '?.');
      for (const value of fallbackValues(clues))
        found.push(replace(source, [owner[0], end], `${chain} ?? ${value}`, 'default', 3.4));
    }
    return found;
  });
}

function fallbackValues(clues: Ground['clues']): string[] {
  return ['null', '0', "''", '[]', ...clues.expectedStrings.slice(0, 2).map(text => JSON.stringify(text))];
}

interface TestedCall {
  name: string;
  args: string[];
  /** Source text of the expected value or error, as the assertion writes it. */
  expected: string;
  throws: boolean;
}

/** Calls `f(args)` with what the failing assertion expects of them. */
function testedCalls({ suspicion }: Ground, names: Set<string>): TestedCall[] {
  return suspicion.assertions.flatMap(({ source, from, to }) => {
    const found: TestedCall[] = [];
    for (let i = from; i < to; i += 1) {
      const token = source.tokens[i]!;
      if (!names.has(token.text) || source.tokens[i + 1]?.text !== '(' || source.partner[i + 1]! < 0)
        continue;
      const args = elements(source, i + 1).map(span => textOf(source, span));
      const outer = enclosingCall(source, i, from);
      if (!outer) continue;
      const method = source.tokens[outer - 1]!.text;
      const list = elements(source, outer);
      const expected = list.slice(1).map(span => textOf(source, span));
      found.push({
        name: token.text,
        args,
        expected: expected[0] ?? '',
        throws: /^(throws|rejects|toThrow)/.test(method),
      });
    }
    return found;
  });
}

/** The `(` of the assertion around a call; `assert.throws(() => f(x))` included. */
function enclosingCall(source: Source, index: number, from: number): number | null {
  for (let open = source.parent[index]!; open >= from; open = source.parent[open]!) {
    if (
      source.tokens[open]!.text === '(' &&
      source.tokens[open - 1]?.kind === 'word' &&
      source.tokens[open - 1]!.text !== 'async'
    ) {
      if (
        /^(throws|rejects|equal|strictEqual|deepEqual|deepStrictEqual|is|same|toThrow|expect)$/.test(
          source.tokens[open - 1]!.text,
        )
      )
        return open;
    }
  }
  return null;
}

function edgeCases(ground: Ground): Mutation[] {
  const functions = ground.definitions.filter(
    one => one.kind === 'function' && one.name !== '' && one.open >= 0 && one.params.length > 0,
  );
  const calls = testedCalls(ground, new Set(functions.map(one => one.name)));
  const { tokens } = ground.source;
  return functions.flatMap(definition => {
    const at = tokens[definition.open]!.end;
    return calls
      .filter(call => call.name === definition.name)
      .flatMap(call =>
        definition.params
          .slice(0, 3)
          .flatMap((param, index) =>
            conditions(param, call.args[index], call.throws).flatMap((condition, rank) =>
              actions(ground, call, param).map(action =>
                insert(
                  at,
                  `${lineBreak(ground.source, definition)}if (${condition}) ${action}`,
                  'guard',
                  (call.throws ? 4.8 : 2.7) - rank * 0.3 - index * 0.1,
                ),
              ),
            ),
          ),
      );
  });
}

/** The line break and the indentation of the first statement of a body. */
function lineBreak(source: Source, { open, close }: Definition): string {
  const first = source.tokens[open + 1];
  if (
    !first ||
    open + 1 === close ||
    !source.text.slice(source.tokens[open]!.end, first.start).includes('\n')
  )
    return ' ';
  return `\n${source.text.slice(source.text.lastIndexOf('\n', first.start - 1) + 1, first.start)}`;
}

/** Conditions that single out an argument because it is empty, missing, or not what it should be. */
function conditions(param: string, argument: string | undefined, throws: boolean): string[] {
  if (argument === undefined || argument === 'undefined' || argument === 'null')
    return [`${param} == null`, `!${param}`];
  if (argument === '[]') return [`${param}.length === 0`];
  if (/^(''|""|``)$/.test(argument)) return [`${param} === ''`, `!${param}`];
  if (argument === '{}') return [`Object.keys(${param}).length === 0`];
  if (/^-?0$/.test(argument)) return throws ? [`${param} === 0`, `${param} <= 0`] : [`${param} === 0`];
  if (argument === 'NaN') return [`Number.isNaN(${param})`];
  if (!throws) return [];
  if (/^-/.test(argument)) return [`${param} < 0`, `${param} <= 0`];
  if (/^['"`]/.test(argument)) return [`typeof ${param} !== 'number'`, `${param}.trim() === ''`];
  if (/^\d+\.\d+$/.test(argument)) return [`!Number.isInteger(${param})`];
  return /^\d+$/.test(argument) ? [`typeof ${param} !== 'string'`, `!Array.isArray(${param})`] : [];
}

function actions({ clues }: Ground, call: TestedCall, param: string): string[] {
  if (!call.throws) {
    // Only what an empty input may naturally give: any other value would be written for this one test.
    const neutral = /^(-?0|1|''|""|\[\]|\{\}|null|undefined|true|false|NaN|-?Infinity)$/.test(call.expected);
    return neutral ? [`return ${call.expected};`] : [];
  }
  if (!clues.missingException) return [];
  const error = /\b([A-Z]\w*Error)\b/.exec(call.expected)?.[1] ?? 'Error';
  const pattern = /\/([^/\\()[\]|*+?^$]+)\/|message:\s*(['"`])(.+?)\2/.exec(call.expected);
  const message = pattern?.[1] ?? pattern?.[3] ?? `invalid ${param}`;
  return [`throw new ${error}(${JSON.stringify(message).replace(/^"|"$/g, "'").replaceAll('\\"', '"')});`];
}

/** The expression that a `return` gives, for every return of a source. */
export function returned(source: Source): Span[] {
  const spans: Span[] = [];
  source.tokens.forEach((token, index) => {
    const gives = token.text === 'return' && token.kind === 'word';
    const short = token.text === '=>' && source.tokens[index + 1]?.text !== '{';
    if (!gives && !short) return;
    const end = expressionEnd(source, index + 1, short);
    if (end > index + 1) spans.push([index + 1, end]);
  });
  return spans;
}
