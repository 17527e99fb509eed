/** Off by one: indices, lengths, bounds of slices and loops; and a step that was forgotten or is too much. */
import { elements, isCall, isName, operandAfter, textOf } from './grammar.ts';
import { type Ground, insert, type Mutation, replace } from './mutation.ts';

export function mutateOffsets(ground: Ground): Mutation[] {
  const { source, quiet } = ground;
  const { tokens } = source;
  return tokens.flatMap((token, index) => {
    if (quiet.has(index)) return [];
    if (token.kind === 'sign' && /^[+-]$/.test(token.text)) return withoutStep(ground, index);
    if (
      token.text === '[' &&
      tokens[index - 1] &&
      (isName(tokens[index - 1]) || /^[)\]]$/.test(tokens[index - 1]!.text))
    )
      return index_(ground, index);
    if (token.text === '(' && isCall(source, index)) return bounds(ground, index);
    if (isName(token) && !/^(length|size)$/.test(token.text)) return stepped(ground, index);
    if (token.text === 'length' || token.text === 'size') return lengths(ground, index);
    return /^(<|<=|>|>=)$/.test(token.text) && token.kind === 'sign' ? limits(ground, index) : [];
  });
}

/** `i + 1` → `i`. */
function withoutStep({ source }: Ground, index: number): Mutation[] {
  const { tokens } = source;
  const before = tokens[index - 1];
  const step = tokens[index + 1];
  if (!before || !step || (before.kind === 'sign' && !/^[)\]]$/.test(before.text))) return [];
  if (step.kind === 'number' && /^[12]$/.test(step.text)) {
    return [{ start: before.end, end: step.end, text: '', family: 'offset', weight: 3.3 }];
  }
  if (step.kind === 'number' || isName(step)) {
    const right = operandAfter(source, index + 1);
    if (right)
      return [
        { start: before.end, end: tokens[right[1] - 1]!.end, text: '', family: 'arithmetic', weight: 1.8 },
      ];
  }
  return [];
}

/** `page * size` where pages count from one: a name one less or more. */
function stepped({ source, clues }: Ground, index: number): Mutation[] {
  const { tokens } = source;
  const name = tokens[index]!;
  const factor = [tokens[index - 1]?.text, tokens[index + 1]?.text].some(sign => /^[*/%]$/.test(sign ?? ''));
  const assigned = tokens[index - 1]?.text === '=' || tokens[index - 1]?.text === 'return';
  if (
    !(factor || assigned) ||
    !isName(name) ||
    /^[.(]$/.test(tokens[index + 1]?.text ?? '') ||
    tokens[index - 1]?.text === '.'
  )
    return [];
  const weight = (factor ? 2.6 : 1.6) + (clues.byOne ? 0.4 : 0);
  return ['- 1', '+ 1'].map(step =>
    replace(
      source,
      [index, index + 1],
      factor ? `(${name.text} ${step})` : `${name.text} ${step}`,
      'offset',
      weight,
    ),
  );
}

function index_({ source }: Ground, open: number): Mutation[] {
  const close = source.partner[open]!;
  if (close <= open + 1 || source.tokens[open + 1]!.kind === 'string') return [];
  const inner = textOf(source, [open + 1, close]);
  if (/^\d+$/.test(inner) || inner.includes(':')) return [];
  const at = source.tokens[close]!.start;
  return [insert(at, ' - 1', 'offset', 2.7), insert(at, ' + 1', 'offset', 2.6)];
}

/** Both bounds of `slice` and its like; other calls with a number-like argument follow far behind. */
function bounds({ source }: Ground, open: number): Mutation[] {
  const { tokens } = source;
  const name = tokens[open - 1]!.text;
  const cuts =
    /^(slice|substring|substr|splice|subarray|charAt|at|repeat|padStart|padEnd|fill|range|Array)$/.test(name);
  return elements(source, open).flatMap(([from, to]) => {
    const plain =
      to - from <= 7 &&
      tokens
        .slice(from, to)
        .every(
          token => /^(word|number|sign)$/.test(token.kind) && !/^([{}<>!?:]|=>|\.\.\.)$/.test(token.text),
        );
    const last = tokens[to - 1]!;
    const number = to - from === 1 && last.kind === 'number';
    if (
      !plain ||
      number ||
      !(cuts || to - from === 1) ||
      !(isName(tokens[from]) || tokens[from]!.text === 'this' || tokens[from]!.text === '-')
    )
      return [];
    const weight = cuts ? 3 : 1.2;
    return [insert(last.end, ' + 1', 'offset', weight), insert(last.end, ' - 1', 'offset', weight)];
  });
}

function lengths({ source }: Ground, index: number): Mutation[] {
  const { tokens } = source;
  const next = tokens[index + 1];
  if (!/^\??\.$/.test(tokens[index - 1]?.text ?? '') || /^(=|\+\+|--|[-+]=|\.|\()$/.test(next?.text ?? ''))
    return [];
  const end = tokens[index]!.end;
  const subtracts = next?.text === '-' || next?.text === '+';
  return [
    insert(end, ' - 1', 'offset', subtracts ? 1.2 : 3),
    insert(end, ' + 1', 'offset', subtracts ? 1 : 2),
  ];
}

/** The right side of a comparison, one more or one less. */
function limits({ source }: Ground, index: number): Mutation[] {
  const right = operandAfter(source, index + 1);
  if (!right || right[1] - right[0] !== 1 || !isName(source.tokens[right[0]])) return [];
  const text = textOf(source, right);
  return [
    replace(source, right, `${text} + 1`, 'offset', 1.9),
    replace(source, right, `${text} - 1`, 'offset', 1.9),
  ];
}
