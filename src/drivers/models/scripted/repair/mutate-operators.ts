/** Wrong operators: comparisons, logic, arithmetic, assignments, signs, and operands or branches the wrong way round. */
import { expressionEnd, operandAfter, operandBefore, type Span, textOf } from './grammar.ts';
import { exchange, type Family, type Ground, insert, type Mutation, replace } from './mutation.ts';
import { opens, type Source } from './source.ts';

/** For each operator what it may have been meant to be, likeliest first. */
const alternatives: Record<string, [family: Family, weight: number, ...instead: string[]]> = {
  '<': ['relation', 4, '<=', '>', '>=', '===', '!=='],
  '<=': ['relation', 4, '<', '>=', '>'],
  '>': ['relation', 4, '>=', '<', '<=', '===', '!=='],
  '>=': ['relation', 4, '>', '<=', '<'],
  '===': ['equality', 3.6, '!==', '>=', '<=', '>', '<'],
  '!==': ['equality', 3.6, '===', '>', '<'],
  '==': ['equality', 3.6, '!=', '===', '>=', '<='],
  '!=': ['equality', 3.6, '==', '!=='],
  '&&': ['logic', 3.9, '||', '??'],
  '||': ['logic', 3.9, '&&', '??'],
  '??': ['logic', 2.6, '||', '&&'],
  '+': ['arithmetic', 4, '-', '*', '/', '%'],
  '-': ['arithmetic', 4, '+', '*', '/', '%'],
  '*': ['arithmetic', 4, '/', '+', '**', '-'],
  '/': ['arithmetic', 4, '*', '%', '-', '+'],
  '%': ['arithmetic', 3.6, '/', '*'],
  '**': ['arithmetic', 3.4, '*', '+'],
  '//': ['arithmetic', 3.4, '/', '%'],
  '+=': ['arithmetic', 3.9, '-=', '=', '*='],
  '-=': ['arithmetic', 3.9, '+=', '='],
  '*=': ['arithmetic', 3.9, '+=', '/=', '='],
  '/=': ['arithmetic', 3.9, '*=', '-='],
  '%=': ['arithmetic', 3, '/='],
  '++': ['arithmetic', 3.2, '--'],
  '--': ['arithmetic', 3.2, '++'],
  '&': ['logic', 3, '|', '^', '&&'],
  '|': ['logic', 3, '&', '^', '||'],
  '^': ['logic', 3, '&', '|', '**'],
  '<<': ['arithmetic', 3, '>>', '>>>'],
  '>>': ['arithmetic', 3, '<<', '>>>'],
  '>>>': ['arithmetic', 3, '>>', '<<'],
};

const wordAlternatives: Record<string, [family: Family, weight: number, ...instead: string[]]> = {
  and: ['logic', 3.9, 'or'],
  or: ['logic', 3.9, 'and'],
};

export function mutateOperators(ground: Ground): Mutation[] {
  const { source, quiet } = ground;
  return source.tokens.flatMap((token, index) => {
    if (quiet.has(index)) return [];
    const table =
      token.kind === 'sign'
        ? alternatives
        : token.kind === 'word' && source.language === 'python'
          ? wordAlternatives
          : {};
    const found: Mutation[] = [];
    const entry = Object.hasOwn(table, token.text) ? table[token.text]! : null;
    if (entry && !isTypeSign(source, index) && !(/^[+-]$/.test(token.text) && isUnary(source, index))) {
      const [family, weight, ...instead] = entry;
      found.push(
        ...instead.map((text, rank) =>
          replace(
            source,
            [index, index + 1],
            text,
            family,
            runsAway(source, index, text) ? -3 : weight - rank * 0.7,
          ),
        ),
      );
    }
    return [...found, ...swaps(ground, index), ...signsOf(ground, index), ...assignments(ground, index)];
  });
}

/** Would a `for` loop count away from its limit? Such a change costs a whole time limit to try. */
function runsAway(source: Source, index: number, instead: string): boolean {
  const { tokens, parent, partner } = source;
  const open = parent[index]!;
  if (open < 1 || tokens[open - 1]!.text !== 'for') return false;
  const sign = (pattern: RegExp, changed: boolean) => {
    for (let i = partner[open]! - 1; i > open; i -= 1) {
      const text = changed && i === index ? instead : tokens[i]!.text;
      if (parent[i] === open && tokens[i]!.kind === 'sign' && pattern.test(text)) return text;
    }
    return '';
  };
  const away = (changed: boolean) => {
    const limit = sign(/^[<>]=?$/, changed);
    const step = sign(/^(\+\+|--|[-+]=)$/, changed);
    return (limit.startsWith('<') && step.startsWith('-')) || (limit.startsWith('>') && step.startsWith('+'));
  };
  return away(true) && !away(false);
}

/** In TypeScript `Map<string, number>` and `a | b` are types: there the operators stand close or after a colon. */
function isTypeSign(source: Source, index: number): boolean {
  const { tokens, text } = source;
  const token = tokens[index]!;
  if (!/\.[cm]?tsx?$/.test(source.path) || !/^([<>&|]|>>)$/.test(token.text)) return false;
  if (/^[<>]/.test(token.text)) return text[token.start - 1] !== ' ' || text[token.end] !== ' ';
  return true;
}

export function isUnary(source: Source, index: number): boolean {
  const before = source.tokens[index - 1];
  if (!before) return true;
  if (before.kind === 'sign') return !/^[)\]}]$/.test(before.text);
  return before.kind === 'word'
    ? /^(return|case|typeof|in|of|and|or|not|await|yield|else|do)$/.test(before.text)
    : before.kind === 'template' && opens(before);
}

/** `a - b` → `b - a`, and `c ? a : b` → `c ? b : a`. */
function swaps({ source, clues }: Ground, index: number): Mutation[] {
  const { tokens } = source;
  const sign = tokens[index]!.text;
  if (tokens[index]!.kind !== 'sign') return [];
  if (/^(-|\/|%|\*\*|\+)$/.test(sign) && !isUnary(source, index)) {
    const [left, right] = [operandBefore(source, index), operandAfter(source, index + 1)];
    const textual = sign === '+' && !(clues.strings || clues.order);
    if (!left || !right || textual || textOf(source, left) === textOf(source, right)) return [];
    return [exchange(source, left, right, sign === '+' ? 'string' : 'order', sign === '+' ? 2.2 : 3.3)];
  }
  if (sign === '?' && tokens[index + 1]?.text !== ':' && tokens[index + 1]?.text !== ')') {
    const branches = branchesOf(source, index);
    return branches ? [exchange(source, ...branches, 'negation', 3.2)] : [];
  }
  return [];
}

function branchesOf(source: Source, question: number): [Span, Span] | null {
  const { tokens, partner } = source;
  let depth = 0;
  for (let i = question + 1; i < tokens.length; i += 1) {
    const token = tokens[i]!;
    if (opens(token) && partner[i]! > i) i = partner[i]!;
    else if (token.text === '?' && token.kind === 'sign') depth += 1;
    else if (token.text === ':' && depth > 0) depth -= 1;
    else if (token.text === ':') {
      const end = expressionEnd(source, i + 1);
      return end > i + 1
        ? [
            [question + 1, i],
            [i + 1, end],
          ]
        : null;
    } else if (token.kind === 'sign' && /^[;)\]},]$/.test(token.text)) return null;
  }
  return null;
}

/** A sign too many or missing: `-x`, `!x`; and conditions that should be the contrary. */
function signsOf({ source }: Ground, index: number): Mutation[] {
  const { tokens, partner } = source;
  const token = tokens[index]!;
  const next = tokens[index + 1];
  if (token.text === '-' && isUnary(source, index) && next)
    return [{ start: token.start, end: next.start, text: '', family: 'arithmetic', weight: 3.2 }];
  if (token.text === '!' && next)
    return [{ start: token.start, end: next.start, text: '', family: 'negation', weight: 3.7 }];
  if (token.text === 'not' && next && source.language === 'python')
    return [{ start: token.start, end: next.start, text: '', family: 'negation', weight: 3.7 }];
  if (token.text === '&&' || token.text === '||') {
    const [left, right] = [operandBefore(source, index), operandAfter(source, index + 1)];
    return [left, right].flatMap(span => (span && isOperand(source, span) ? negate(source, span, 2.6) : []));
  }
  if (/^(if|while|elif)$/.test(token.text) && token.kind === 'word') {
    if (source.language === 'python') return [insert(token.end, ' not', 'negation', 2.6)];
    const close = next?.text === '(' ? partner[index + 1]! : -1;
    return close > 0 ? negate(source, [index + 2, close], 3.6) : [];
  }
  if (token.text === 'return' && next && next.text !== ';') {
    const end = expressionEnd(source, index + 1);
    return end > index + 1 ? negate(source, [index + 1, end], 2.2) : [];
  }
  if (token.text === '=>' && next && next.text !== '{')
    return negate(source, [index + 1, expressionEnd(source, index + 1)], 2.4);
  return [];
}

/** Is a chain a whole operand of `&&` or `||`, not one side of a comparison? */
function isOperand(source: Source, [from, to]: Span): boolean {
  const ends = [source.tokens[from - 1]?.text ?? '(', source.tokens[to]?.text ?? ')'];
  return ends.every(text => /^(&&|\|\||[()?;:{},]|=>|return|=|if)$/.test(text));
}

/** The contrary of a condition that has no comparison of its own to turn round. */
function negate(source: Source, span: Span, weight: number): Mutation[] {
  if (span[1] <= span[0]) return [];
  const text = textOf(source, span);
  const inner = source.tokens.slice(...span);
  if (
    text.startsWith('!') ||
    inner.some(token => token.kind === 'sign' && /^([<>]=?|[!=]==?|=>|\+|-|\*|\/|%|\?)$/.test(token.text))
  )
    return [];
  const plain = !inner.some(token => /^(&&|\|\||\?\?|in|instanceof)$/.test(token.text));
  return [replace(source, span, plain ? `!${text}` : `!(${text})`, 'negation', weight)];
}

/** `if (a = b)` for a comparison, and `sum = x` where a loop should add up. */
function assignments({ source }: Ground, index: number): Mutation[] {
  const { tokens, parent } = source;
  const token = tokens[index]!;
  if (token.text !== '=' || token.kind !== 'sign') return [];
  const open = parent[index]!;
  if (tokens[open]?.text === '(' && /^(if|while)$/.test(tokens[open - 1]?.text ?? '')) {
    return [replace(source, [index, index + 1], '===', 'equality', 5.5)];
  }
  const declared = /^(const|let|var|static)$/.test(tokens[index - 2]?.text ?? '');
  const inBlock = open >= 0 && source.braces.get(open) === 'block';
  if (declared || !inBlock) return [];
  return ['+=', '-='].map((text, rank) =>
    replace(source, [index, index + 1], text, 'arithmetic', 2.8 - rank * 1.3),
  );
}
