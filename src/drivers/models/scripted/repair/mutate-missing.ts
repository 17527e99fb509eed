/**
 * Pieces that are easily forgotten: an argument, an index, a link of a chain, half of a condition, `this.`, `get`.
 * Each is proposed only where the rest of the idiom is there.
 */
import { elements, expressionEnd, isCall, isName, operandBefore, textOf } from './grammar.ts';
import { type Ground, insert, type Mutation, replace } from './mutation.ts';
import { Opaque } from './printed-value.ts';
import { isUse, namesAt } from './scope.ts';

export function mutateMissing(ground: Ground): Mutation[] {
  const { source, quiet } = ground;
  if (source.language !== 'javascript') return [];
  return source.tokens.flatMap((token, index) => {
    if (quiet.has(index)) return [];
    if (token.text === '(' && isCall(source, index))
      return [...argumentsOf(ground, index), ...links(ground, index)];
    if (token.kind === 'number') return namedInstead(ground, index);
    if (token.text === '[') return indices(ground, index);
    if (token.text === 'typeof') return halfConditions(ground, index);
    if (token.text === '=>') return callbackParameters(ground, index);
    if (token.text === 'this') return emptied(ground, index);
    return isName(token) ? [...bare(ground, index), ...combined(ground, index)] : [];
  });
}

/** Last arguments that a call seldom goes without. */
const lastArguments = new Map<string, [given: number, weight: number, ...texts: string[]]>([
  ['splice', [1, 4, '1']],
  ['reduce', [1, 3.6, '0', '[]', "''", '{}', '1']],
  ['parseInt', [1, 2, '10', '2', '16']],
  ['join', [0, 3.4, "''", "' '", "', '", "'-'", "'\\n'"]],
  ['split', [0, 3, "''", "' '", "','"]],
  ['padStart', [1, 2.6, "'0'"]],
  ['padEnd', [1, 2.2, "' '", "'0'"]],
  ['toFixed', [0, 3, '2', '1']],
  ['toString', [0, 1.6, '2', '16', '36']],
  ['slice', [1, 1.6, '-1']],
  ['flat', [0, 3, 'Infinity', '2']],
]);

function argumentsOf({ source }: Ground, open: number): Mutation[] {
  const name = source.tokens[open - 1]!.text;
  const entry = lastArguments.get(name);
  if (!entry) return [];
  const [given, weight, ...texts] = entry;
  if (elements(source, open).length !== given) return [];
  const at = source.tokens[source.partner[open]!]!.start;
  return texts.map((text, rank) =>
    insert(at, given === 0 ? text : `, ${text}`, 'method', weight - rank * 0.3),
  );
}

/** What follows or precedes a call in a chain: months from one, empty parts left out, reversed before joining. */
function links({ source, clues }: Ground, open: number): Mutation[] {
  const { tokens, partner } = source;
  const name = tokens[open - 1]!.text;
  const end = tokens[partner[open]!]!.end;
  const dot = tokens[open - 2];
  const found: Mutation[] = [];
  const [only, ...more] = elements(source, open);
  if (
    /^(min|max|push|unshift|concat|assign)$/.test(name) &&
    only &&
    more.length === 0 &&
    tokens[only[0]]!.text !== '...'
  ) {
    found.push(
      insert(tokens[only[0]]!.start, '...', 'method', clues.notANumber || /^(min|max)$/.test(name) ? 4 : 2),
    );
  }
  if (/^get(UTC)?Month$/.test(name) && tokens[partner[open]! + 1]?.text !== '+')
    found.push(insert(end, ' + 1', 'offset', 4.6));
  if (name === 'split')
    found.push(
      insert(end, '.filter(Boolean)', 'method', 2.2),
      insert(end, '.map(Number)', 'method', clues.expectedNumbers.length > 0 ? 2.2 : 0.8),
    );
  if (/^(join|map)$/.test(name) && dot?.text === '.') {
    found.push(
      insert(dot.start, '.reverse()', 'method', 1.9),
      insert(dot.start, '.sort()', 'method', 1.7),
      insert(dot.start, '.filter(Boolean)', 'method', 1.7),
    );
  }
  if (/^(exec|test|match|split|get|has|includes|indexOf)$/.test(name)) {
    for (const span of elements(source, open).slice(0, 1)) {
      if (span[1] - span[0] !== 1 || !isName(tokens[span[0]])) continue;
      const text = textOf(source, span);
      found.push(
        ...['.trim()', '.toLowerCase()', '.toUpperCase()'].map((suffix, rank) =>
          replace(source, span, text + suffix, 'method', 1.9 - rank * 0.1),
        ),
      );
    }
  }
  return found;
}

/** A constant where a variable belongs: `cells[0]` → `cells[i]`, `j += 1` → `j += i`, `slice(1)` → `slice(x.length)`. */
function namedInstead(ground: Ground, index: number): Mutation[] {
  const { source } = ground;
  const { tokens } = source;
  const before = tokens[index - 1]?.text ?? '';
  const index_ = before === '[' && tokens[index + 1]?.text === ']';
  const step = /^[-+*/%]=$/.test(before);
  const argument = /^[(,]$/.test(before) && /^[),]$/.test(tokens[index + 1]?.text ?? '');
  if (!index_ && !step && !argument) return [];
  const names = namesAt(ground, index).slice(0, 6);
  const weight = index_ || step ? 2.4 : 1.3;
  const plain = names.map((name, rank) =>
    replace(source, [index, index + 1], name, 'name', weight - rank * 0.15),
  );
  const sized = index_
    ? []
    : names.map((name, rank) =>
        replace(source, [index, index + 1], `${name}.length`, 'offset', weight - 0.6 - rank * 0.15),
      );
  const fields = step || argument ? fieldsOf(ground, index).slice(0, 4) : [];
  const owned = fields.map((name, rank) =>
    replace(source, [index, index + 1], `this.${name}`, 'property', weight - 0.2 - rank * 0.15),
  );
  return [...plain, ...sized, ...owned];
}

/** Fields that the class around a token assigns. */
function fieldsOf({ source, definitions }: Ground, index: number): string[] {
  const { tokens } = source;
  const { start } = tokens[index]!;
  const around = definitions.find(one => one.kind === 'class' && one.start < start && one.end > start);
  if (!around) return [];
  const names = tokens.flatMap((token, at) =>
    token.start > around.start &&
    token.end < around.end &&
    token.text === 'this' &&
    tokens[at + 1]?.text === '.' &&
    tokens[at + 3]?.text === '='
      ? [tokens[at + 2]!.text]
      : [],
  );
  return [...new Set(names)];
}

/** `b[j][k]` → `b[k][j]`; a first element too many or too few before `.length`. */
function indices({ source }: Ground, open: number): Mutation[] {
  const { tokens, partner } = source;
  const close = partner[open]!;
  const next = close + 1;
  if (close < 0 || !(isName(tokens[open - 1]) || tokens[open - 1]?.text === ']')) return [];
  const found: Mutation[] = [];
  if (tokens[next]?.text === '[' && partner[next]! > next) {
    const [left, right] = [textOf(source, [open + 1, close]), textOf(source, [next + 1, partner[next]!])];
    if (left !== right)
      found.push(replace(source, [open, partner[next]! + 1], `[${right}][${left}]`, 'order', 3.3));
  }
  if (close === open + 2)
    found.push({
      start: tokens[open]!.start,
      end: tokens[close]!.end,
      text: '',
      family: 'offset',
      weight: 1.4,
    });
  return found;
}

/** `this.count = this.step` in a method that resets: the empty value of its kind. */
function emptied({ source }: Ground, index: number): Mutation[] {
  const { tokens } = source;
  if (tokens[index + 1]?.text !== '.' || tokens[index + 3]?.text !== '=') return [];
  const end = expressionEnd(source, index + 4);
  if (
    end <= index + 4 ||
    end - index > 12 ||
    /^(\[|\{|\d+|''|""|null|true|false|new)$/.test(tokens[index + 4]!.text)
  )
    return [];
  return ['0', '[]', 'null', "''", '{}'].map((value, rank) =>
    replace(source, [index + 4, end], value, 'number', 1.9 - rank * 0.2),
  );
}

/** `typeof x === 'object'` holds for null, too. */
function halfConditions({ source }: Ground, index: number): Mutation[] {
  const { tokens } = source;
  if (!/^['"]object['"]$/.test(tokens[index + 3]?.text ?? '')) return [];
  const name = tokens[index + 1]!.text;
  if (source.text.slice(tokens[index]!.start).slice(0, 80).includes('!== null')) return [];
  return [
    insert(tokens[index + 3]!.end, ` && ${name} !== null`, 'guard', 3.4),
    insert(tokens[index + 3]!.end, ` && !Array.isArray(${name})`, 'guard', 2.6),
  ];
}

/** `(char) =>` where the callback gets something else first: `(_, char) =>`. */
function callbackParameters({ source }: Ground, index: number): Mutation[] {
  const { tokens, partner } = source;
  const short = isName(tokens[index - 1]);
  const open = short ? index - 1 : (partner[index - 1] ?? -1);
  if (open < 0 || (!short && elements(source, open).length !== 1)) return [];
  const name = short ? tokens[open]!.text : textOf(source, [open + 1, index - 1]);
  const call = source.parent[open]!;
  const method = tokens[call - 1]?.text ?? '';
  if (!/^(replace|replaceAll|map|from|forEach|filter)$/.test(method)) return [];
  return [replace(source, [open, index], `(_, ${name})`, 'name', /^replace/.test(method) ? 2.8 : 1.2)];
}

/** A field written or read without `this.`, a getter written as a method. */
function bare(ground: Ground, index: number): Mutation[] {
  const { source, definitions, clues } = ground;
  const { tokens } = source;
  const token = tokens[index]!;
  const around = definitions.find(
    one => one.kind === 'class' && one.start < token.start && one.end > token.end,
  );
  if (!around) return [];
  const inClass = source.braces.get(source.parent[index]!) === 'class';
  if (inClass && tokens[index + 1]?.text === '(' && tokens[index + 2]?.text === ')') {
    const gave = clues.compared.some(
      ({ actual }) => actual instanceof Opaque && actual.text.includes('Function'),
    );
    const word = tokens[index - 1]?.text;
    return word === 'get' || word === 'async' || word === 'static'
      ? []
      : [insert(token.start, 'get ', 'property', gave ? 5 : 1)];
  }
  const before = tokens[index - 1]?.text ?? '';
  const assigned =
    /^(=|[-+*/]=|\+\+|--)$/.test(tokens[index + 1]?.text ?? '') &&
    !/^(\.|const|let|var|,|\(|\{|#)$/.test(before) &&
    !inClass;
  return assigned && !namesAt(ground, index).includes(token.text)
    ? [insert(token.start, 'this.', 'name', 5)]
    : [];
}

/** A bound or an index that needs a second name: `slice(start, size)` → `slice(start, start + size)`. */
function combined(ground: Ground, index: number): Mutation[] {
  const { source } = ground;
  const { tokens, parent } = source;
  if (
    !isUse(ground, index) ||
    !/^[,)\]]$/.test(tokens[index + 1]?.text ?? '') ||
    !/^[,([]$/.test(tokens[index - 1]?.text ?? '')
  )
    return [];
  const open = parent[index]!;
  const token = tokens[index]!;
  const cuts = /^(slice|substring|substr|splice|fill|repeat|at|charAt)$/.test(tokens[open - 1]?.text ?? '');
  const found: Mutation[] = [];
  for (const name of cuts ? namesAt(ground, index).slice(0, 5) : []) {
    if (name === token.text) continue;
    found.push(
      replace(source, [index, index + 1], `${name} + ${token.text}`, 'offset', 2.2),
      replace(source, [index, index + 1], `${token.text} - ${name}.length`, 'offset', 1.9),
      replace(source, [index, index + 1], `${token.text} - ${name}`, 'offset', 1.5),
    );
  }
  const receiver =
    tokens[open]?.text === '(' && tokens[open - 1]?.text === 'push' ? operandBefore(source, open - 2) : null;
  if (receiver) {
    const counters = namesAt(ground, index).filter(
      name => /^([a-z]|index|idx|key|name)$/.test(name) && name !== token.text,
    );
    found.push(...counters.slice(0, 3).map(name => insert(token.end, `[${name}]`, 'offset', 1.5)));
  }
  return found;
}
