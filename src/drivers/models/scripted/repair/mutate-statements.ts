/** Whole statements: a `return` that is missing or inside the loop, a line too many, a loop over keys, a frozen variable. */
import { expressionEnd, isName, statementStarts, textOf } from './grammar.ts';
import { exchange, functionAround, type Ground, insert, type Mutation, replace } from './mutation.ts';
import { namesAt } from './scope.ts';
import type { Source } from './source.ts';

export function mutateStatements(ground: Ground): Mutation[] {
  const { source, quiet } = ground;
  const starts = statementStarts(source).filter(index => !quiet.has(index));
  const found = starts.flatMap(index => [
    ...withReturn(ground, index),
    ...without(ground, index),
    ...outOfLoop(ground, index),
  ]);
  source.tokens.forEach((token, index) => {
    if (quiet.has(index)) return;
    if (token.text === '=>' && token.kind === 'sign') found.push(...arrowBody(ground, index));
    if (token.kind === 'word') found.push(...keyword(ground, index), ...asynchronous(ground, index));
  });
  return [
    ...found,
    ...elseBetween(source, starts),
    ...breaks(ground),
    ...reordered(source, starts),
    ...finalReturn(ground),
  ];
}

/** First tokens of statements that give no value to return. */
export const notExpression =
  /^(return|throw|if|else|for|while|do|switch|case|default|break|continue|try|catch|finally|const|let|var|function|class|import|export|type|interface|def|with|raise|pass|elif|except|async|@|\}|from|global|nonlocal|yield|debugger)$/;

function withReturn(ground: Ground, index: number): Mutation[] {
  const { source } = ground;
  const { tokens } = source;
  // An arrow function that stands as a statement is a value that was to be returned.
  const around = functionAround(ground, index, true);
  if (!around || notExpression.test(tokens[index]!.text)) return [];
  const end = expressionEnd(source, index);
  const span = tokens.slice(index, end);
  const assigns = span.some(token => token.kind === 'sign' && /^([-+*/%]?=|\+\+|--)$/.test(token.text));
  if (assigns && !/^(this|[a-z])/i.test(tokens[index]!.text)) return [];
  const body =
    around.open >= 0
      ? tokens.slice(around.open + 1, around.close)
      : tokens.filter(token => token.start >= around.start && token.end <= around.end);
  const returns = body.some(token => token.kind === 'word' && token.text === 'return');
  const last = tokens[end]?.text === ';' ? end + 1 === around.close : end === around.close;
  const weight = (returns ? 2 : 3.4) + (last ? 1 : 0) - (assigns ? 1.5 : 0);
  const found = [insert(tokens[index]!.start, 'return ', 'return', weight)];
  if (assigns && isName(tokens[index]) && last && !returns)
    found.push(insert(tokens[around.close - 1]!.end, ` return ${tokens[index]!.text};`, 'return', 3));
  return found;
}

/** Deletes a statement that stands on its own lines. */
function without({ source }: Ground, index: number): Mutation[] {
  const { tokens, text } = source;
  const token = tokens[index]!;
  if (
    /^(function|class|export|import|const|let|var|def|type|interface|async|else|case|default|return|if|for|while|switch|try|\})$/.test(
      token.text,
    ) &&
    !/^(if|return)$/.test(token.text)
  )
    return [];
  const end = statementEnd(source, index);
  const last = tokens[end - 1];
  if (!last) return [];
  const lineStart = text.lastIndexOf('\n', token.start) + 1;
  const lineEnd = text.indexOf('\n', last.end);
  if (
    text.slice(lineStart, token.start).trim() !== '' ||
    lineEnd < 0 ||
    text.slice(last.end, lineEnd).trim() !== ''
  )
    return [];
  const weight = token.text === 'if' ? 1.6 : token.text === 'return' ? 1.2 : 2.2;
  return [{ start: lineStart, end: lineEnd + 1, text: '', family: 'statement', weight }];
}

/** Token index after a statement, its semicolon included. */
export function statementEnd(source: Source, index: number): number {
  const { tokens, partner } = source;
  if (tokens[index]!.text !== 'if') {
    const end = expressionEnd(source, index, false);
    return tokens[end]?.text === ';' ? end + 1 : end;
  }
  const close = tokens[index + 1]?.text === '(' ? partner[index + 1]! : -1;
  if (close < 0) return index + 1;
  if (tokens[close + 1]?.text !== '{') {
    const end = expressionEnd(source, close + 1, false);
    return tokens[end]?.text === ';' ? end + 1 : end;
  }
  return partner[close + 1]! + 1;
}

/** `return total; }` inside a loop or condition → after it. */
function outOfLoop({ source }: Ground, index: number): Mutation[] {
  const { tokens, partner, parent, text } = source;
  if (tokens[index]!.text !== 'return' || source.language === 'python') return [];
  const end = statementEnd(source, index);
  const open = parent[index]!;
  if (open < 0 || partner[open] !== end || tokens[open]!.text !== '{') return [];
  const head = tokens[open - 1]?.text === ')' ? tokens[partner[open - 1]! - 1]?.text : tokens[open - 1]?.text;
  if (!/^(for|while|if|else|of)$/.test(head ?? '')) return [];
  const statement = text.slice(tokens[index]!.start, tokens[end - 1]!.end);
  const weight = /^(for|while)$/.test(head ?? '') ? 4 : 2;
  const before = text.slice(0, tokens[index]!.start).trimEnd().length;
  return [
    {
      start: before,
      end: tokens[end]!.end,
      text: `${text.slice(tokens[end - 1]!.end, tokens[end]!.end)}\n${statement}`,
      family: 'return',
      weight,
    },
  ];
}

/** `x => { x * 2 }` gives nothing, and `x => { id: x }` is a label, not an object. */
function arrowBody({ source }: Ground, index: number): Mutation[] {
  const { tokens, partner } = source;
  const open = index + 1;
  const close = tokens[open]?.text === '{' ? partner[open]! : -1;
  if (close < 0) return [];
  if (
    (isName(tokens[open + 1]) && /^[:,}]$/.test(tokens[open + 2]?.text ?? '')) ||
    tokens[open + 1]?.text === '...'
  ) {
    return [replace(source, [open, close + 1], `(${textOf(source, [open, close + 1])})`, 'return', 4.6)];
  }
  return [];
}

function keyword(ground: Ground, index: number): Mutation[] {
  const { source } = ground;
  const { tokens } = source;
  const { text } = tokens[index]!;
  const one = (next: string, weight: number) => [
    replace(source, [index, index + 1], next, 'statement', weight),
  ];
  if (
    text === 'in' &&
    /^(const|let|var)$/.test(tokens[index - 2]?.text ?? '') &&
    tokens[index - 3]?.text === '('
  )
    return one('of', 4);
  if (text === 'of' && /^(const|let|var)$/.test(tokens[index - 2]?.text ?? '')) return one('in', 2);
  if (text === 'var') return one('let', 2.6);
  if (text === 'return' && !/^[;}]$/.test(tokens[index + 1]?.text ?? '}'))
    return one('throw', ground.clues.missingException ? 4.4 : 0.8);
  if (text === 'throw') return one('return', 1.6);
  if (text === 'static')
    return [
      {
        start: tokens[index]!.start,
        end: tokens[index + 1]!.start,
        text: '',
        family: 'statement',
        weight: 1.5,
      },
    ];
  if (text === 'function' && tokens[index + 1]?.text === '(') {
    const close = source.partner[index + 1]!;
    if (tokens[close + 1]?.text === '{') {
      const params = textOf(source, [index + 1, close + 1]);
      return [
        {
          start: tokens[index]!.start,
          end: tokens[close]!.end,
          text: `${params} =>`,
          family: 'statement',
          weight: 2,
        },
      ];
    }
  }
  return [];
}

/** `await` forgotten or too much, `async` with it, and lists of promises. */
function asynchronous(ground: Ground, index: number): Mutation[] {
  const { source } = ground;
  const { tokens, text } = source;
  const token = tokens[index]!;
  if (token.text === 'await' && tokens[index + 1])
    return [{ start: token.start, end: tokens[index + 1]!.start, text: '', family: 'await', weight: 1.5 }];
  const around = functionAround(ground, index);
  const before = tokens[index - 1]?.text ?? '';
  const startsChain =
    (isName(token) || token.text === 'this') &&
    !/^(\.|\?\.|await|function|async|new|=>|const|let|var)$/.test(before);
  const end = startsChain ? chainEnd(source, index) : -1;
  if (
    !around ||
    end < 0 ||
    tokens[end - 1]!.text !== ')' ||
    token.start === around.start ||
    token.start < (tokens[around.open]?.start ?? around.start)
  )
    return [];
  const called = textOf(source, [index, end]);
  const found: Mutation[] = [];
  const waits = around.async || /^(Promise|fetch)/.test(called);
  if (around.async) {
    const mapped = /\.map\(\s*async\b/.test(called);
    found.push(
      replace(
        source,
        [index, end],
        mapped ? `await Promise.all(${called})` : `await ${called}`,
        'await',
        mapped ? 4.4 : 3,
      ),
    );
    const member = tokens[end]?.text === '.';
    if (member) found.push(replace(source, [index, end], `(await ${called})`, 'await', 3));
  } else if (waits || ground.clues.promise) {
    const head = tokens[around.head]!.start;
    if (around.open >= 0)
      found.push({
        start: head,
        end: token.end,
        text: `async ${text.slice(head, token.start)}await ${token.text}`,
        family: 'await',
        weight: 2.2,
      });
  }
  return found;
}

function chainEnd(source: Source, index: number): number {
  const { tokens, partner } = source;
  let i = index + 1;
  let end = -1;
  for (;;) {
    const token = tokens[i];
    if (token?.kind !== 'sign') return end;
    if (token.text === '.' || token.text === '?.') i += 2;
    else if (/^[([]$/.test(token.text) && partner[i]! > i) {
      i = partner[i]! + 1;
      end = i;
    } else return end;
  }
}

/** Two conditions in a row of which only one should apply. */
function elseBetween(source: Source, starts: number[]): Mutation[] {
  const { tokens } = source;
  return starts
    .filter(
      index =>
        tokens[index]!.text === 'if' && tokens[index - 1]?.text === '}' && source.language !== 'python',
    )
    .map(index => insert(tokens[index]!.start, 'else ', 'statement', 2));
}

/** A function that gives nothing: its last variable, or a parameter, may be what it was to return. */
function finalReturn(ground: Ground): Mutation[] {
  const { source, definitions, clues } = ground;
  const { tokens, text } = source;
  if (!clues.undefinedActual) return [];
  return definitions.flatMap(({ kind, open, close, name }) => {
    const last = tokens[close - 1];
    if (kind !== 'function' || open < 0 || close <= open + 1 || !last || name === 'constructor') return [];
    const after = text.slice(text.lastIndexOf('\n', last.start - 1) + 1).match(/^\s*/)?.[0] ?? '';
    const first = tokens[open + 1]!;
    const indent = text.slice(tokens[open]!.end, first.start).includes('\n')
      ? `\n${text.slice(text.lastIndexOf('\n', first.start - 1) + 1, first.start) || after}`
      : ' ';
    const returns = tokens.slice(open, close).some(token => token.text === 'return');
    return namesAt(ground, close)
      .slice(0, 5)
      .map((local, rank) =>
        insert(last.end, `${indent}return ${local};`, 'return', (returns ? 2 : 3) - rank * 0.2),
      );
  });
}

/** Statements in the wrong order: conditions that shadow each other, or a value that is used before it changes. */
function reordered(source: Source, starts: number[]): Mutation[] {
  const { tokens, parent } = source;
  const found: Mutation[] = [];
  starts.forEach((first, at) => {
    if (parent[first] === -1 || source.language === 'python') return;
    const later = starts.slice(at + 1).filter(index => parent[index] === parent[first]);
    for (const [gap, second] of later.slice(0, 3).entries()) {
      const word = tokens[first]!.text;
      const conditions = word === 'if' && tokens[second]!.text === 'if';
      if (!conditions && (gap > 0 || notExpression.test(word) || notExpression.test(tokens[second]!.text)))
        continue;
      const [left, right] = [wholeStatement(source, first), wholeStatement(source, second)];
      if (left[1] > second || right[1] <= right[0]) continue;
      found.push(exchange(source, left, right, 'statement', conditions ? 2.4 - gap * 0.1 : 1.6));
    }
  });
  return found;
}

function wholeStatement(source: Source, index: number): [number, number] {
  return [index, statementEnd(source, index)];
}

/** A `case` that falls into the next. */
function breaks({ source, quiet }: Ground): Mutation[] {
  const { tokens } = source;
  return tokens.flatMap((token, index) => {
    if (!/^(case|default)$/.test(token.text) || token.kind !== 'word' || quiet.has(index)) return [];
    let before = index - 1;
    if (tokens[before]?.text === ';') before -= 1;
    const first = tokens[before];
    if (!first || /^[:{]$/.test(first.text) || /^(break|continue)$/.test(first.text)) return [];
    return [insert(token.start, 'break;\n', 'statement', 3.4)];
  });
}
