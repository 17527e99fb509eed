/** Wrong calls: the neighbouring method, arguments exchanged, a call too many in a chain, a comparator that is missing. */
import { elements, isCall, operandBefore, textOf } from './grammar.ts';
import { exchange, type Ground, insert, type Mutation, replace } from './mutation.ts';

/** Methods and properties that are mistaken for each other; every one of a group may stand for the others. */
const groups: [weight: number, ...names: string[]][] = [
  [4, 'min', 'max'],
  [4, 'floor', 'ceil', 'round', 'trunc'],
  [3.8, 'push', 'unshift'],
  [3.8, 'pop', 'shift'],
  [4, 'some', 'every'],
  [3.2, 'filter', 'find', 'map'],
  [3.2, 'find', 'findLast', 'findIndex'],
  [3.6, 'forEach', 'map'],
  [2.8, 'map', 'flatMap'],
  [3.4, 'slice', 'splice'],
  [3.2, 'slice', 'substring', 'substr'],
  [3, 'concat', 'push'],
  [4, 'toUpperCase', 'toLowerCase'],
  [4, 'startsWith', 'endsWith', 'includes'],
  [3.6, 'trim', 'trimStart', 'trimEnd'],
  [3.8, 'indexOf', 'lastIndexOf'],
  [3.8, 'padStart', 'padEnd'],
  [3.6, 'keys', 'values', 'entries'],
  [3.6, 'reduce', 'reduceRight'],
  [4, 'replace', 'replaceAll'],
  [3.4, 'test', 'exec', 'match'],
  [3.2, 'match', 'matchAll'],
  [3, 'resolve', 'reject'],
  [3.4, 'all', 'any', 'race', 'allSettled'],
  [3.4, 'then', 'catch', 'finally'],
  [3.4, 'length', 'size'],
  [3.2, 'has', 'get'],
  [3.2, 'add', 'delete'],
  [3, 'set', 'get', 'delete'],
  [3.4, 'parse', 'stringify'],
  [3, 'parseInt', 'parseFloat', 'Number'],
  [3.2, 'log', 'log2', 'log10'],
  [3, 'sin', 'cos', 'tan'],
  [3, 'sqrt', 'cbrt'],
  [3, 'isInteger', 'isFinite', 'isNaN', 'isSafeInteger'],
  [3.4, 'getDate', 'getDay', 'getMonth', 'getUTCDate'],
  [3.2, 'getHours', 'getMinutes', 'getSeconds', 'getUTCHours'],
  [3.2, 'getMonth', 'getUTCMonth'],
  [3.4, 'getUTCDate', 'getUTCDay', 'getUTCMonth'],
  [3.2, 'getUTCHours', 'getUTCMinutes', 'getUTCSeconds'],
  [3.6, 'Error', 'TypeError', 'RangeError', 'SyntaxError'],
  [3.4, 'getFullYear', 'getYear', 'getUTCFullYear'],
  [3, 'assign', 'create'],
  [3, 'call', 'apply', 'bind'],
  [3.4, 'on', 'once', 'off'],
  [3, 'charCodeAt', 'charAt', 'codePointAt'],
  [3.4, 'first', 'last'],
  [3.4, 'left', 'right'],
  [3.4, 'start', 'end'],
  [3.4, 'width', 'height'],
  [3.2, 'next', 'prev', 'previous'],
  [3.2, 'Map', 'Set', 'WeakMap'],
  [4, 'upper', 'lower', 'title', 'capitalize'],
  [4, 'startswith', 'endswith'],
  [3.6, 'strip', 'lstrip', 'rstrip'],
  [3.4, 'append', 'extend', 'add'],
  [4, 'any', 'all'],
  [3.2, 'sorted', 'reversed', 'list'],
];

export function mutateCalls(ground: Ground): Mutation[] {
  const { source, quiet } = ground;
  return source.tokens.flatMap((token, index) => {
    if (quiet.has(index)) return [];
    if (token.kind === 'word') return [...renamed(ground, index), ...comparator(ground, index)];
    if (token.text === '(' && isCall(source, index))
      return [...exchanged(ground, index), ...unwrapped(ground, index)];
    if (token.text === '[' || token.text === '{') return spreads(ground, index);
    return [];
  });
}

function renamed({ source }: Ground, index: number): Mutation[] {
  const { tokens } = source;
  const { text } = tokens[index]!;
  const before = tokens[index - 1]?.text;
  const called = tokens[index + 1]?.text === '(';
  const member = before === '.' || before === '?.';
  if (/Error$/.test(text) && before !== 'new') return [];
  if (!called && !member && !/^(min|max|abs)$/.test(text)) return [];
  if (tokens[index + 1]?.text === ':' || before === 'function') return [];
  // `replace(/x/g, …)` cannot become replaceAll's text form with profit, and needs no more than it has.
  return groups.flatMap(([weight, ...names]) =>
    names.includes(text)
      ? names
          .filter(name => name !== text)
          .map((name, rank) => replace(source, [index, index + 1], name, 'method', weight - rank * 0.5))
      : [],
  );
}

/** Arguments in the wrong order; also `a.localeCompare(b)` and the like, where the receiver is one of two. */
function exchanged({ source, clues }: Ground, open: number): Mutation[] {
  const { tokens } = source;
  const name = tokens[open - 1]!.text;
  const list = elements(source, open);
  const found: Mutation[] = [];
  if (list.length >= 2 && list.length <= 4 && !/^(max|min|push|concat|log|error|warn)$/.test(name)) {
    for (let i = 0; i < list.length; i += 1) {
      for (let j = i + 1; j < list.length; j += 1) {
        if (textOf(source, list[i]!) === textOf(source, list[j]!)) continue;
        const callback = /=>|function/.test(textOf(source, list[i]!) + textOf(source, list[j]!));
        found.push(
          exchange(
            source,
            list[i]!,
            list[j]!,
            'order',
            (list.length === 2 ? 3.2 : 2.5) - (j - i - 1) * 0.4 - (callback ? 1.2 : 0),
          ),
        );
      }
    }
  }
  const dot = tokens[open - 2]?.text;
  if (
    list.length === 1 &&
    dot === '.' &&
    /^(localeCompare|concat|startsWith|endsWith|includes|isBefore|isAfter|compareTo|equals|sub|subtract|minus|has)$/.test(
      name,
    )
  ) {
    const receiver = operandBefore(source, open - 2);
    if (receiver && textOf(source, receiver) !== textOf(source, list[0]!)) {
      found.push(
        exchange(source, receiver, list[0]!, 'order', name === 'localeCompare' || clues.order ? 4 : 2.6),
      );
    }
  }
  return found;
}

/** A link of a chain that does not belong: `xs.reverse().map(f)` → `xs.map(f)`; `Math.abs(x)` → `x`. */
function unwrapped({ source }: Ground, open: number): Mutation[] {
  const { tokens, partner, text } = source;
  const close = partner[open]!;
  const dot = tokens[open - 2];
  const found: Mutation[] = [];
  if (dot?.text === '.' && tokens[open - 1]!.kind === 'word') {
    const receiver = operandBefore(source, open - 2);
    const global =
      receiver && /^(Math|Object|Array|Number|JSON|String|Promise|console)$/.test(textOf(source, receiver));
    if (receiver && !global)
      found.push({ start: dot.start, end: tokens[close]!.end, text: '', family: 'method', weight: 2.2 });
    const list = elements(source, open);
    if (receiver && global && list.length === 1)
      found.push(replace(source, [receiver[0], close + 1], textOf(source, list[0]!), 'method', 2.6));
  } else if (/^(Number|String|Boolean|parseInt|parseFloat)$/.test(tokens[open - 1]!.text)) {
    const [first] = elements(source, open);
    if (first)
      found.push(
        replace(
          source,
          [open - 1, close + 1],
          text.slice(tokens[first[0]]!.start, tokens[first[1] - 1]!.end),
          'method',
          2.2,
        ),
      );
  }
  return found;
}

/** Sorting: by text where numbers are meant, in place where the caller's list must stay, or not at all. */
function comparator({ source, clues }: Ground, index: number): Mutation[] {
  const { tokens, partner } = source;
  const name = tokens[index]!.text;
  if (
    tokens[index - 1]?.text !== '.' ||
    tokens[index + 1]?.text !== '(' ||
    !/^(sort|reverse|splice|push|pop|shift|unshift)$/.test(name)
  )
    return [];
  const close = partner[index + 1]!;
  const receiver = operandBefore(source, index - 1);
  if (close < 0 || !receiver) return [];
  const found: Mutation[] = [];
  const empty = close === index + 2;
  const numbers = clues.numbers || clues.expectedNumbers.length > 0;
  if (name === 'sort' && empty) {
    found.push(
      insert(tokens[close]!.start, '(a, b) => a - b', 'order', numbers ? 5.4 : 4.4),
      insert(tokens[close]!.start, '(a, b) => b - a', 'order', 3.2),
    );
  }
  if (name === 'sort') found.push(insert(tokens[close]!.end, '.reverse()', 'order', 2.4));
  if ((name === 'sort' || name === 'reverse') && !textOf(source, receiver).startsWith('[...')) {
    found.push(replace(source, receiver, `[...${textOf(source, receiver)}]`, 'order', 3.3));
  }
  return found;
}

/** `{ ...options, ...defaults }` the wrong way round, and neighbours in short lists. */
function spreads({ source }: Ground, open: number): Mutation[] {
  const { tokens } = source;
  if (source.partner[open]! < 0 || source.braces.get(open) === 'block' || source.braces.get(open) === 'class')
    return [];
  const list = elements(source, open);
  const found: Mutation[] = [];
  for (let i = 0; i + 1 < list.length && list.length <= 6; i += 1) {
    const [left, right] = [list[i]!, list[i + 1]!];
    const spread = [left, right].filter(([from]) => tokens[from]!.text === '...').length;
    const [key, value] = [tokens[left[0] + 1]?.text === ':', tokens[right[0] + 1]?.text === ':'];
    if (tokens[open]!.text === '{' && spread === 0) {
      // `{ high: 1, normal: 0 }`: the values of neighbours.
      const values: [[number, number], [number, number]] = [
        [left[0] + 2, left[1]],
        [right[0] + 2, right[1]],
      ];
      if (key && value && textOf(source, values[0]) !== textOf(source, values[1]))
        found.push(exchange(source, ...values, 'order', 2.4));
      continue;
    }
    if (textOf(source, left) === textOf(source, right)) continue;
    found.push(exchange(source, left, right, 'order', spread > 0 ? 3.7 : list.length === 2 ? 2.8 : 2));
  }
  return found;
}
