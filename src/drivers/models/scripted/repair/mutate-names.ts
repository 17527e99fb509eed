/**
 * The wrong name of those in scope. A parameter or variable that is never used says that it should have been; apart
 * from that, similar names and names of the same kind come first. Properties are compared with those that tests use.
 */
import { isName } from './grammar.ts';
import { type Ground, insert, type Mutation, replace, similar } from './mutation.ts';
import { isUse, namesAt, visibleAt } from './scope.ts';

const perToken = 6;

export function mutateNames(ground: Ground): Mutation[] {
  const { source, quiet } = ground;
  const counts = propertyCounts(ground);
  const found: Mutation[] = [];
  source.tokens.forEach((token, index) => {
    if (quiet.has(index) || !isName(token)) return;
    const before = source.tokens[index - 1]?.text ?? '';
    if (before === '.' || before === '?.') found.push(...properties(ground, index, counts));
    else if (isUse(ground, index)) {
      found.push(...variables(ground, index));
    } else if (
      source.tokens[index + 1]?.text === ':' &&
      source.braces.get(source.parent[index]!) === 'object'
    ) {
      found.push(...keys(ground, index));
    }
  });
  return found;
}

/** Names that are never wrong where they stand. */
const globals =
  /^(Math|Object|Array|Number|String|Boolean|JSON|Promise|Map|Set|Date|RegExp|Error|Symbol|console|process|globalThis|module|exports|require|Reflect|BigInt|Intl)$/;

function variables(ground: Ground, index: number): Mutation[] {
  const { source } = ground;
  const token = source.tokens[index]!;
  if (globals.test(token.text)) return [];
  const called = source.tokens[index + 1]?.text === '(';
  const visible = visibleAt(ground, index);
  const mine = visible.get(token.text);
  const ranked: [string, number][] = [];
  for (const [name, other] of visible) {
    // A name that begins with an underscore is not used on purpose.
    if (name === token.text || name.startsWith('_')) continue;
    let weight = other.kind === 'module' ? 0.8 : 1.9;
    if (other.uses <= 1 && other.kind !== 'module') weight = 4.5;
    else if (similar(name, token.text)) weight += 1.2;
    if (mine && mine.kind === other.kind) weight += 0.3;
    if (called) weight -= 1.2;
    ranked.push([name, weight]);
  }
  if (called) {
    for (const { name, kind } of ground.definitions) {
      if (kind !== 'function' || name === '' || name === token.text || visible.has(name)) continue;
      ranked.push([name, similar(name, token.text) ? 3 : 1.6]);
    }
  }
  return ranked
    .sort((a, b) => b[1] - a[1])
    .slice(0, perToken)
    .map(([name, weight]) => replace(source, [index, index + 1], name, 'name', weight));
}

/** How often each property name is written in the sources and the failing tests. */
function propertyCounts(ground: Ground): Map<string, number> {
  const counts = new Map<string, number>();
  const add = (name: string) => counts.set(name, (counts.get(name) ?? 0) + 1);
  for (const { source } of ground.suspicion.suspects) {
    source.tokens.forEach((token, index) => {
      const after = source.tokens[index + 1]?.text;
      const before = source.tokens[index - 1]?.text;
      const around = source.tokens[source.parent[index]! - 1]?.text ?? '';
      if (
        token.kind === 'word' &&
        (before === '.' ||
          before === '?.' ||
          after === ':' ||
          (source.braces.get(source.parent[index]!) === 'object' && !/^(import|export)$/.test(around)))
      )
        add(token.text);
    });
  }
  return counts;
}

const builtIn =
  /^(length|prototype|constructor|name|push|pop|map|filter|reduce|forEach|slice|join|split|toString|then|exports|log|includes|keys|values|entries|get|set|has|add|sort|concat|trim|replace|test|floor|round|max|min|from|isArray|assign|now|parse|stringify)$/;

function properties(ground: Ground, index: number, counts: Map<string, number>): Mutation[] {
  const { source, clues } = ground;
  const { text } = source.tokens[index]!;
  if (builtIn.test(text)) return [];
  const alone = (counts.get(text) ?? 0) <= 1 && !clues.testWords.has(text);
  const called = source.tokens[index + 1]?.text === '(';
  const others = new Set([...counts.keys(), ...(alone || !called ? clues.testWords : [])]);
  const ranked: [string, number][] = [];
  for (const name of others) {
    if (name === text || !/^[a-z_$#][\w$]*$/i.test(name) || testVocabulary.test(name)) continue;
    let weight = counts.has(name) ? 1.6 : 0.9;
    if (similar(name, text)) weight = alone ? 4.8 : 3.4;
    else if (alone) weight += 1.4;
    if (clues.testWords.has(name) && counts.has(name)) weight += 0.4;
    if (called || builtIn.test(name)) weight -= 1.2;
    ranked.push([name, weight]);
  }
  const found = ranked
    .sort((a, b) => b[1] - a[1])
    .slice(0, perToken)
    .map(([name, weight]) => replace(source, [index, index + 1], name, 'property', weight));
  return called ? found : [...found, ...factors(ground, index, counts), ...computed(ground, index)];
}

/** `item.key` where `key` is a variable: `item[key]` was meant. */
function computed(ground: Ground, index: number): Mutation[] {
  const { source } = ground;
  const name = source.tokens[index]!;
  const dot = source.tokens[index - 1]!;
  if (dot.text !== '.' || !namesAt(ground, index).includes(name.text)) return [];
  return [{ start: dot.start, end: name.end, text: `[${name.text}]`, family: 'property', weight: 4 }];
}

/** `sum + item.price` where `item.price * item.quantity` was meant: a factor that the same object has. */
function factors({ source, clues }: Ground, index: number, counts: Map<string, number>): Mutation[] {
  const owner = source.tokens[index - 2];
  const beside = [source.tokens[index - 3]?.text ?? '', source.tokens[index + 1]?.text ?? ''];
  if (!clues.numbers || !isName(owner) || !beside.some(sign => /^([-+]|[-+]=)$/.test(sign))) return [];
  // What is read of a variable of the same name elsewhere comes first.
  const { tokens } = source;
  const read = tokens.flatMap((token, at) =>
    token.text === owner.text && tokens[at + 1]?.text === '.' ? [tokens[at + 2]!.text] : [],
  );
  return [...new Set([...read, ...counts.keys()])]
    .filter(
      name =>
        name !== source.tokens[index]!.text &&
        !builtIn.test(name) &&
        clues.testWords.has(name) === clues.testWords.has(source.tokens[index]!.text),
    )
    .slice(0, 4)
    .map(name => insert(source.tokens[index]!.end, ` * ${owner.text}.${name}`, 'arithmetic', 2.2));
}

const testVocabulary =
  /^(test|it|describe|assert|expect|equal|strictEqual|deepEqual|deepStrictEqual|throws|rejects|ok|import|from|const|let|require|async|await|node|strict|toBe|toEqual|function|return|new|ok|true|false|null)$/;

/** A key of an object literal that nobody reads under this name. */
function keys({ source, clues }: Ground, index: number): Mutation[] {
  const { text } = source.tokens[index]!;
  if (clues.testWords.has(text)) return [];
  return [...clues.testWords]
    .filter(word => similar(word, text) && !testVocabulary.test(word))
    .slice(0, perToken)
    .map(word => replace(source, [index, index + 1], word, 'property', 4.4));
}
