/**
 * Changes that an error message asks for by name: a name that is not defined, not a function, not exported; a module
 * that is not found; a constant that is assigned to; a class called without `new`; a bracket that is missing.
 */
import { isName, statementStarts, textOf } from './grammar.ts';
import { functionAround, type Ground, insert, type Mutation, replace, similar } from './mutation.ts';
import type { Source } from './source.ts';

export function mutateErrors(ground: Ground): Mutation[] {
  return ground.clues.errors.flatMap(({ error, message }) => {
    const undefinedName = /^(?:name )?'?([\w$]+)'? is not defined/.exec(message)?.[1];
    if (undefinedName) return notDefined(ground, undefinedName);
    const notFunction = /([\w$.]+?)(?:\(\.\.\.\))? is not (?:a function|a constructor|iterable)/.exec(
      message,
    )?.[1];
    if (notFunction) return notCallable(ground, notFunction.split('.').at(-1)!);
    const exported = /does not provide an export named '([^']+)'/.exec(message)?.[1];
    if (exported) return notExported(ground, exported);
    const module = /Cannot find (?:module|package) '([^']+)'/.exec(message)?.[1];
    if (module) return notFound(ground, module);
    if (/Assignment to constant variable/.test(message)) return toLet(ground);
    if (/cannot be invoked without 'new'/.test(message))
      return withNew(ground, /constructor (\w+)/.exec(message)?.[1] ?? '');
    return error === 'SyntaxError' ? unbalanced(ground) : [];
  });
}

/** Names that could stand for a name: everything declared or used in the file, and Node's own objects. */
function namesIn(source: Source): Set<string> {
  return new Set([
    ...source.tokens.filter(isName).map(token => token.text),
    'Math',
    'Object',
    'Array',
    'Number',
    'String',
    'JSON',
    'console',
    'Promise',
    'Map',
    'Set',
  ]);
}

function notDefined(ground: Ground, name: string): Mutation[] {
  const { source } = ground;
  const found: Mutation[] = [];
  source.tokens.forEach((token, index) => {
    const before = source.tokens[index - 1]?.text ?? '';
    if (isName(token) && similar(token.text, name) && before !== '.') {
      found.push(
        replace(
          source,
          [index, index + 1],
          name,
          'error',
          /^(const|let|var|function|class|[{,(])$/.test(before) ? 7.8 : 3,
        ),
      );
    }
    if (token.text !== name || token.kind !== 'word' || before === '.') return;
    for (const other of namesIn(source))
      if (similar(other, name)) found.push(replace(source, [index, index + 1], other, 'error', 8));
    const around = functionAround(ground, index);
    for (const param of around?.params ?? [])
      found.push(replace(source, [index, index + 1], param, 'error', 6.5));
    const inClass = ground.definitions.some(
      one => one.kind === 'class' && one.start < token.start && one.end > token.end,
    );
    if (inClass)
      found.push(insert(token.start, source.language === 'python' ? 'self.' : 'this.', 'error', 7.5));
    const assigned = source.tokens[index + 1]?.text === '=';
    if (assigned && source.language !== 'python') found.push(insert(token.start, 'let ', 'error', 7.6));
  });
  if (source.tokens.some(token => token.text === name)) found.push(...missingImport(ground, name));
  return found;
}

const nodeModules: Record<string, string> = {
  readFileSync: 'fs',
  writeFileSync: 'fs',
  existsSync: 'fs',
  join: 'path',
  resolve: 'path',
  basename: 'path',
  dirname: 'path',
  extname: 'path',
  fs: 'fs',
  path: 'path',
  os: 'os',
  util: 'util',
  crypto: 'crypto',
  assert: 'assert',
  EventEmitter: 'events',
  inspect: 'util',
  randomUUID: 'crypto',
  createHash: 'crypto',
};

/** Another source file, or Node, has what is missing. */
function missingImport(ground: Ground, name: string): Mutation[] {
  const { source, suspicion } = ground;
  if (source.language !== 'javascript') return [];
  const modules = suspicion.suspects
    .filter(
      ({ source: other, definitions }) => other !== source && definitions.some(one => one.name === name),
    )
    .map(({ source: other }) => relative(source.path, other.path));
  const own = Object.hasOwn(nodeModules, name) ? [`node:${nodeModules[name]!}`] : [];
  const commonJs =
    /\brequire\(|module\.exports|\bexports\./.test(source.text) || source.path.endsWith('.cjs');
  return [...modules, ...own].map(module => {
    const whole = module === `node:${name}`;
    const binding = whole ? name : `{ ${name} }`;
    const line = commonJs
      ? `const ${binding} = require('${module}');\n`
      : `import ${binding} from '${module}';\n`;
    return insert(firstStatement(source), line, 'error', 8);
  });
}

function firstStatement(source: Source): number {
  const first = source.tokens[0];
  const after = first?.kind === 'string' ? source.text.indexOf('\n', first.end) + 1 : first?.start;
  return after ?? 0;
}

function relative(from: string, to: string): string {
  const [here, there] = [from.split('/').slice(0, -1), to.split('/')];
  while (here.length > 0 && there.length > 1 && here[0] === there[0]) {
    here.shift();
    there.shift();
  }
  return `${here.length === 0 ? './' : '../'.repeat(here.length)}${there.join('/')}`;
}

function notCallable(ground: Ground, name: string): Mutation[] {
  const { source, clues } = ground;
  const found: Mutation[] = [];
  source.tokens.forEach((token, index) => {
    const declared = ground.definitions.some(one => one.name === token.text);
    if (token.text === name && token.kind === 'word') {
      for (const other of namesIn(source))
        if (similar(other, name)) found.push(replace(source, [index, index + 1], other, 'error', 7.5));
      // A getter is read, not called.
      const [open, close] = [source.tokens[index + 1], source.tokens[index + 2]];
      if (open?.text === '(' && close?.text === ')')
        found.push({ start: open.start, end: close.end, text: '', family: 'error', weight: 5 });
    } else if (declared && similar(token.text, name) && clues.testWords.has(name)) {
      found.push(replace(source, [index, index + 1], name, 'error', 6.5));
    }
    if (token.text === 'get' && source.tokens[index + 1]?.text === name) {
      found.push({
        start: token.start,
        end: source.tokens[index + 1]!.start,
        text: '',
        family: 'error',
        weight: 6.5,
      });
    }
  });
  return [...found, ...notExported(ground, name)];
}

/** A definition that the tests import but the module keeps to itself, or exports under a slightly different name. */
function notExported(ground: Ground, name: string): Mutation[] {
  const { source, definitions } = ground;
  const { tokens, partner, text } = source;
  const found: Mutation[] = [];
  const defined = definitions.find(one => one.name === name && source.parent[one.head] === -1);
  tokens.forEach((token, index) => {
    const exports =
      token.text === 'exports' && tokens[index + 1]?.text === '=' && tokens[index + 2]?.text === '{';
    const list = exports
      ? index + 2
      : token.text === 'export' && tokens[index + 1]?.text === '{'
        ? index + 1
        : -1;
    if (list < 0 || partner[list]! < 0) return;
    const inner = textOf(source, [list + 1, partner[list]!]).replace(/,\s*$/, '');
    if (defined && !new RegExp(`\\b${name}\\b`).test(inner)) {
      found.push(
        insert(
          tokens[partner[list]! - 1]!.end,
          inner === '' ? ` ${name} ` : tokens[partner[list]! - 1]!.text === ',' ? ` ${name}` : `, ${name}`,
          'error',
          8,
        ),
      );
    }
    for (let i = list + 1; i < partner[list]!; i += 1) {
      const other = tokens[i]!;
      if (!isName(other) || !similar(other.text, name)) continue;
      const spelled = definitions.some(one => one.name === other.text)
        ? exports
          ? `${name}: ${other.text}`
          : `${other.text} as ${name}`
        : name;
      found.push(replace(source, [i, i + 1], spelled, 'error', 7));
    }
  });
  if (defined && source.language === 'javascript') {
    const head = statementStarts(source).findLast(index => index <= defined.head) ?? defined.head;
    if (tokens[head]!.text !== 'export' && !/\bmodule\.exports\b/.test(text))
      found.push(insert(tokens[head]!.start, 'export ', 'error', 8));
    if (/\bmodule\.exports\b/.test(text))
      found.push(insert(text.trimEnd().length, `\nmodule.exports.${name} = ${name};`, 'error', 6));
  }
  tokens.forEach((token, index) => {
    const declared = definitions.some(one => one.name === token.text) && similar(token.text, name);
    if (declared && /^(function|const|let|class|\.)$/.test(tokens[index - 1]?.text ?? ''))
      found.push(replace(source, [index, index + 1], name, 'error', 6.4));
    if (
      token.text === 'default' &&
      tokens[index - 1]?.text === 'export' &&
      tokens[index + 2]?.text === name
    ) {
      found.push({
        start: token.start,
        end: tokens[index + 1]!.start,
        text: '',
        family: 'error',
        weight: 7.5,
      });
    }
  });
  if (name === 'default') {
    const exported = definitions.filter(one => tokens[one.head - 1]?.text === 'export');
    for (const one of exported) found.push(insert(tokens[one.head]!.start, 'default ', 'error', 7));
  }
  return found;
}

/** An import whose path is slightly wrong: a similar file, or the same with its ending. */
function notFound(ground: Ground, missing: string): Mutation[] {
  const { source, suspicion } = ground;
  const base = missing.split('/').at(-1)!;
  return source.tokens.flatMap((token, index) => {
    if (token.kind !== 'string' || !token.text.slice(1, -1).endsWith(base)) return [];
    return suspicion.suspects
      .map(suspect => relative(source.path, suspect.source.path))
      .filter(path => similar(stem(path), stem(base)) || stem(path) === stem(base))
      .map(path =>
        replace(source, [index, index + 1], `${token.text[0]}${path}${token.text[0]}`, 'error', 8),
      );
  });
}

function stem(path: string): string {
  return path
    .split('/')
    .at(-1)!
    .replace(/\.[cm]?[jt]sx?$/, '');
}

function toLet({ source }: Ground): Mutation[] {
  return source.tokens.flatMap((token, index) => {
    const name = source.tokens[index + 1];
    if (token.text !== 'const' || !name) return [];
    const changed = source.tokens.some((other, at) => {
      const after = source.tokens[at + 1]?.text ?? '';
      return (
        at > index + 1 &&
        other.text === name.text &&
        (/^([-+*/%]?=|\+\+|--)$/.test(after) || /^(\+\+|--)$/.test(source.tokens[at - 1]?.text ?? ''))
      );
    });
    return changed ? [replace(source, [index, index + 1], 'let', 'error', 8)] : [];
  });
}

function withNew({ source }: Ground, name: string): Mutation[] {
  return source.tokens.flatMap((token, index) =>
    token.text === name && source.tokens[index + 1]?.text === '(' && source.tokens[index - 1]?.text !== 'new'
      ? [insert(token.start, 'new ', 'error', 8)]
      : [],
  );
}

/** Near the line that the parser complains of: one bracket or comma more, or one token less. */
function unbalanced({ source, suspicion }: Ground): Mutation[] {
  const last = source.tokens.at(-1)?.line ?? 1;
  const lines = new Set(
    [...suspicion.stack]
      .filter(place => place.startsWith(`${source.path}:`))
      .map(place => Math.min(last, Number(place.slice(source.path.length + 1)))),
  );
  if (lines.size === 0) return [];
  const found: Mutation[] = [];
  const near = (line: number) => lines.has(line) || lines.has(line + 1);
  source.tokens.forEach((token, index) => {
    if (!near(token.line)) return;
    const last = source.tokens[index + 1]?.line !== token.line;
    const here = lines.has(token.line) ? 7 : 6.4;
    if (last)
      for (const [rank, text] of [')', '}', ',', ']', ';'].entries())
        found.push(insert(token.end, text, 'error', here - rank * 0.1));
    if (last && token.text === ';')
      for (const text of [')', ']', '}']) found.push(insert(token.start, text, 'error', here));
    if (last && token.text === '{') found.push(insert(token.start, ') ', 'error', here));
    if (token.kind === 'sign')
      found.push({ start: token.start, end: token.end, text: '', family: 'error', weight: here - 0.4 });
  });
  // A line that goes back without a closing bracket: there one is missing, if the indentation is right.
  for (const token of source.tokens) {
    const end = source.text.indexOf('\n', token.end);
    if (end < 0 || source.text.slice(token.end, end).trim() !== '') continue;
    const [here, next] = [indentation(source, token.start), indentation(source, end + 1)];
    const closed = /^\s*[)\]}]/.test(source.text.slice(end + 1));
    if (next < here && !closed)
      found.push(
        insert(token.end, `\n${' '.repeat(next)}}`, 'error', 8),
        insert(token.end, `\n${' '.repeat(next)}});`, 'error', 7.4),
      );
  }
  const end = source.text.trimEnd().length;
  found.push(insert(end, '\n}', 'error', 7), insert(end, '\n});', 'error', 6));
  return found;
}

function indentation({ text }: Source, offset: number): number {
  const start = text.lastIndexOf('\n', offset - 1) + 1;
  return /^[ \t]*/.exec(text.slice(start))![0].length;
}
