/**
 * Where expressions, operands, arguments and statements begin and end in a list of tokens. Approximate by design:
 * a wrong guess gives a change that does not pass, nothing worse.
 *
 * A `Span` is a range of token indices, the second exclusive.
 */
import { closes, opens, type Source, type Token } from './source.ts';

export type Span = [from: number, to: number];

const keyword =
  /^(if|else|for|while|do|switch|case|default|break|continue|return|throw|try|catch|finally|function|class|extends|new|typeof|instanceof|in|of|void|delete|await|async|yield|const|let|var|import|export|static|this|super|null|undefined|true|false|def|pass|lambda|and|or|not|is|elif|except|raise|with|None|True|False|interface|enum|implements|readonly|public|private|protected|declare|NaN|Infinity)$/;

export function isName(token: Token | undefined): token is Token & { kind: 'word' } {
  return token?.kind === 'word' && !keyword.test(token.text);
}

export function textOf(source: Source, [from, to]: Span): string {
  const first = source.tokens[from];
  const last = source.tokens[to - 1];
  return first && last ? source.text.slice(first.start, last.end) : '';
}

/** Does the token after a line break go on with what stood before it? */
function continues(before: Token, after: Token): boolean {
  if (before.kind === 'sign' && !/^([)\]}]|\+\+|--)$/.test(before.text)) return true;
  if (
    before.kind === 'word' &&
    /^(typeof|new|in|of|instanceof|void|delete|await|extends|and|or|not)$/.test(before.text)
  )
    return true;
  if (after.kind === 'word') return /^(instanceof|in|and|or|of)$/.test(after.text);
  return after.kind === 'sign' && !/^(\+\+|--|!|~|\{|\}|@|;|\.\.\.)$/.test(after.text);
}

function breaksLine(source: Source, index: number): boolean {
  const before = source.tokens[index - 1]!;
  const after = source.tokens[index]!;
  return source.text.slice(before.end, after.start).includes('\n') && !continues(before, after);
}

/** Token index just after the expression that starts at `from`; stops at `;`, `,`, a closing bracket or a line's end. */
export function expressionEnd(source: Source, from: number, stopAtComma = true): number {
  const { tokens, partner } = source;
  let i = from;
  while (i < tokens.length) {
    const token = tokens[i]!;
    if (i > from && breaksLine(source, i)) return i;
    if (token.kind === 'sign' && (token.text === ';' || (stopAtComma && token.text === ','))) return i;
    if (closes(token)) return i;
    if (token.kind === 'template' && token.text.startsWith('}')) return i;
    if (token.kind === 'sign' && token.text === ':' && source.language === 'python') return i;
    if (opens(token) && partner[i]! > i) i = partner[i]!;
    i += 1;
  }
  return i;
}

/** Arguments, elements or members between a bracket and its partner, as spans without the commas. */
export function elements(source: Source, open: number): Span[] {
  const close = source.partner[open]!;
  const found: Span[] = [];
  let from = open + 1;
  for (let i = open + 1; i <= close; i += 1) {
    const token = source.tokens[i]!;
    if (i === close || (token.kind === 'sign' && token.text === ',')) {
      if (i > from) found.push([from, i]);
      from = i + 1;
    } else if (opens(token) && source.partner[i]! > i) {
      i = source.partner[i]!;
    }
  }
  return found;
}

/** Is this `(` the opening of a call's arguments (and not of a condition or of parameters)? */
export function isCall(source: Source, index: number): boolean {
  const { tokens, partner } = source;
  const before = tokens[index - 1];
  if (tokens[index]?.text !== '(' || !before || partner[index]! < 0) return false;
  if (before.kind === 'sign') return before.text === ')' || before.text === ']' || before.text === '?.';
  if (before.kind !== 'word' || (keyword.test(before.text) && !/^(super|this|of)$/.test(before.text)))
    return false;
  const earlier = tokens[index - 2]?.text;
  if (earlier === 'function' || earlier === 'def' || earlier === 'class') return false;
  return tokens[partner[index]! + 1]?.text !== '{' || source.braces.get(partner[index]! + 1) !== 'block';
}

/** The chain of names, calls and indices that ends just before a token: `a.b(c)[0]`. */
export function operandBefore(source: Source, index: number): Span | null {
  const { tokens, partner } = source;
  let i = index - 1;
  for (;;) {
    const token = tokens[i];
    if (!token) return null;
    if (token.kind === 'sign' && /^[)\]]$/.test(token.text) && partner[i]! >= 0) {
      i = partner[i]!;
      const before = tokens[i - 1];
      const chained = before && (isName(before) || before.text === 'this' || /^[)\]]$/.test(before.text));
      if (!chained) return tokens[index - 1] === token && token.text === ']' ? [i, index] : [i, index];
      i -= 1;
      if (before.kind === 'sign') continue;
    } else if (closes(token) && token.kind === 'template') {
      i = partner[i]!;
    } else if (token.kind === 'sign') {
      return null;
    }
    const dot = tokens[i - 1];
    if (dot?.kind === 'sign' && (dot.text === '.' || dot.text === '?.')) i -= 2;
    else return [i, index];
  }
}

/** The chain that starts at a token. */
export function operandAfter(source: Source, index: number): Span | null {
  const { tokens, partner } = source;
  let i = index;
  while (/^(!|-|\+|typeof|await|new)$/.test(tokens[i]?.text ?? '')) i += 1;
  const first = tokens[i];
  if (!first) return null;
  if (opens(first)) {
    if (partner[i]! < 0) return null;
    i = partner[i]! + 1;
  } else if (first.kind === 'sign') {
    return null;
  } else {
    i += 1;
  }
  for (;;) {
    const token = tokens[i];
    if (token?.kind !== 'sign') break;
    if ((token.text === '.' || token.text === '?.') && tokens[i + 1]?.kind === 'word') i += 2;
    else if (/^[([]$/.test(token.text) && partner[i]! > i && !breaksLine(source, i)) i = partner[i]! + 1;
    else break;
  }
  return [index, i];
}

/** Indices of the tokens that start a statement. */
export function statementStarts(source: Source): number[] {
  const { tokens, parent, braces } = source;
  return tokens.flatMap((token, index) => {
    const around = parent[index]!;
    if (around >= 0 && braces.get(around) !== 'block') return [];
    if (closes(token) || token.text === ';') return [];
    const before = tokens[index - 1];
    if (!before || before.text === ';') return [index];
    if (before.text === '{' && braces.get(index - 1) === 'block') return [index];
    if (
      before.text === '}' &&
      braces.get(source.partner[index - 1]!) === 'block' &&
      !/^(else|catch|finally|while)$/.test(token.text)
    ) {
      return token.kind === 'sign' && /^([).,]|\?\.)$/.test(token.text) ? [] : [index];
    }
    return breaksLine(source, index) && (source.language !== 'python' || around < 0) ? [index] : [];
  });
}
