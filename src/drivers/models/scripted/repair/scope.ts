/** Which names can be used at a place: parameters and variables of the functions around it, and of the module. */
import { isName } from './grammar.ts';
import { functionAround, type Ground } from './mutation.ts';
import type { Definition } from './outline.ts';
import type { Source } from './source.ts';

const scopes = new WeakMap<Ground, Map<Definition | null, Scope>>();

/** The scope at a token, kept per ground because every mutator asks for it. */
export function scopeAt(ground: Ground, index: number): Scope {
  if (!scopes.has(ground)) scopes.set(ground, new Map());
  const known = scopes.get(ground)!;
  const around = outermost(ground, index);
  if (!known.has(around)) known.set(around, declared(ground, around));
  return known.get(around)!;
}

/** Names that may stand at a token: declared before it, the nearest declaration first. */
export function namesAt(ground: Ground, index: number): string[] {
  const { start } = ground.source.tokens[index]!;
  return [...scopeAt(ground, index).names]
    .filter(([, name]) => name.kind !== 'module' && (name.kind === 'parameter' || name.at < start))
    .sort((a, b) => b[1].at - a[1].at)
    .map(([name]) => name);
}

/** The name is read or called here, not declared, a key or a label. */
export function isUse(source: Source, index: number): boolean {
  const before = source.tokens[index - 1]?.text ?? '';
  const after = source.tokens[index + 1]?.text ?? '';
  if (/^(function|class|const|let|var|def|import|\.|\?\.|new|catch)$/.test(before)) return false;
  if (after === '=>' || (after === '=' && before !== ';')) return false;
  if (after === ':' && source.braces.get(source.parent[index]!) === 'object') return false;
  // `get total()`, `import x from`: the word belongs to the grammar there.
  return (
    source.tokens[index + 1]?.kind !== 'word' || /^(in|of|instanceof|and|or|not|if|else|is|for)$/.test(after)
  );
}

/** The outermost function that is not a whole module: names of an enclosing function are in scope inside. */
function outermost(ground: Ground, index: number): Definition | null {
  const inner = functionAround(ground, index);
  if (!inner) return null;
  const around = ground.definitions.filter(
    one => one.kind === 'function' && one.start <= inner.start && one.end >= inner.end,
  );
  return around.sort((a, b) => b.end - b.start - (a.end - a.start))[0] ?? inner;
}

export interface Scope {
  /** In order of declaration; `at` is the offset of the declaration. */
  names: Map<string, { uses: number; kind: 'parameter' | 'local' | 'module'; at: number }>;
}

function declared({ source, definitions }: Ground, around: Definition | null): Scope {
  const names: Scope['names'] = new Map();
  const { tokens } = source;
  const declare = (name: string, kind: 'parameter' | 'local' | 'module', at: number) => {
    if (!names.has(name)) names.set(name, { uses: 0, kind, at });
  };
  if (around) {
    for (const one of definitions) {
      if (one.kind === 'function' && one.start >= around.start && one.end <= around.end) {
        for (const param of one.params) declare(param, 'parameter', one.start);
      }
    }
  }
  tokens.forEach((token, index) => {
    const inside = around && token.start >= around.start && token.end <= around.end;
    const declares = /^(const|let|var)$/.test(token.text);
    const pythonDeclares =
      source.language === 'python' &&
      isName(token) &&
      tokens[index + 1]?.text === '=' &&
      tokens[index - 1]?.text !== '.';
    if (pythonDeclares && inside) declare(token.text, 'local', token.start);
    if (!declares || !(inside || source.parent[index] === -1)) return;
    for (const name of declaredNames(source, index + 1))
      declare(name.text, inside ? 'local' : 'module', name.start);
  });
  const [from, to] = around ? [around.start, around.end] : [0, source.text.length];
  for (const [index, token] of tokens.entries()) {
    if (
      token.start >= from &&
      token.end <= to &&
      token.kind === 'word' &&
      !/^\??\.$/.test(tokens[index - 1]?.text ?? '')
    ) {
      const known = names.get(token.text);
      if (known) known.uses += 1;
    }
  }
  return { names };
}

function declaredNames(source: Source, index: number): Source['tokens'] {
  const { tokens, partner } = source;
  const first = tokens[index];
  if (!first) return [];
  if (isName(first)) return [first];
  if (!/^[[{]$/.test(first.text) || partner[index]! < 0) return [];
  return tokens
    .slice(index + 1, partner[index]!)
    .filter((token, at) => isName(token) && tokens[index + 2 + at]?.text !== ':');
}
