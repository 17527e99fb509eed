/** Which names can be used at a place: parameters and variables of the functions and blocks around it, and of the module. */
import { elements, isName } from './grammar.ts';
import type { Ground } from './mutation.ts';
import type { Source } from './source.ts';

export interface Binding {
  name: string;
  kind: 'parameter' | 'local' | 'module';
  /** Offset of the declaration. */
  at: number;
  /** Offsets between which the name means this. */
  from: number;
  to: number;
  /** How often it is written there, its declaration included. */
  uses: number;
}

interface Scope {
  bindings: Binding[];
  /** Token indices that declare parameters. */
  declarations: Set<number>;
}

const scopes = new WeakMap<Ground, Scope>();

function scopeOf(ground: Ground): Scope {
  const known = scopes.get(ground);
  if (known) return known;
  const scope: Scope = { bindings: [], declarations: new Set() };
  addParameters(ground, scope);
  addVariables(ground.source, scope);
  for (const binding of scope.bindings) binding.uses = countUses(ground.source, binding);
  scopes.set(ground, scope);
  return scope;
}

function addParameters({ source, definitions }: Ground, { bindings, declarations }: Scope): void {
  for (const { kind, params, paramsOpen, start, end } of definitions) {
    if (kind !== 'function') continue;
    for (const name of params)
      bindings.push({ name, kind: 'parameter', at: start, from: start, to: end, uses: 0 });
    for (const [from, to] of paramsOpen < 0 ? [] : elements(source, paramsOpen)) {
      for (let i = from; i < to; i += 1) {
        const { text } = source.tokens[i]!;
        if (text === '=' || text === ':') break;
        if (params.includes(text)) declarations.add(i);
      }
    }
  }
}

function addVariables(source: Source, { bindings }: Scope): void {
  const { tokens, parent } = source;
  tokens.forEach((token, index) => {
    const python = source.language === 'python';
    const assigned = isName(token) && tokens[index + 1]?.text === '=' && tokens[index - 1]?.text !== '.';
    if (python ? !assigned : !/^(const|let|var)$/.test(token.text)) return;
    const module = parent[index] === -1 && !python;
    const [from, to] = visibility(source, index);
    for (const name of python ? [token] : declaredNames(source, index + 1)) {
      bindings.push({
        name: name.text,
        kind: module ? 'module' : 'local',
        at: name.start,
        from,
        to,
        uses: 0,
      });
    }
  });
}

/** The block around a declaration; for the head of a loop, the loop. */
function visibility(source: Source, index: number): [from: number, to: number] {
  const { tokens, parent, partner, text } = source;
  const open = parent[index]!;
  if (open < 0 || partner[open]! < 0) return [0, text.length];
  const head = tokens[open]!.text === '(' && tokens[open - 1]?.text === 'for';
  const body = partner[open]! + 1;
  const close = head && tokens[body]?.text === '{' && partner[body]! > 0 ? partner[body]! : partner[open]!;
  const rest = head && tokens[body]?.text !== '{' ? 200 : 0;
  return [tokens[open]!.start, tokens[close]!.end + rest];
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

function countUses({ tokens }: Source, { name, from, to }: Binding): number {
  return tokens.filter(
    (token, index) =>
      token.text === name &&
      token.start >= from &&
      token.end <= to &&
      !/^\??\.$/.test(tokens[index - 1]?.text ?? ''),
  ).length;
}

/** What each name means at a token, the innermost meaning only. */
export function visibleAt(ground: Ground, index: number): Map<string, Binding> {
  const { start } = ground.source.tokens[index]!;
  const found = new Map<string, Binding>();
  for (const binding of scopeOf(ground).bindings) {
    if (start < binding.from || start >= binding.to || (binding.kind === 'local' && binding.at >= start))
      continue;
    const other = found.get(binding.name);
    if (!other || binding.from >= other.from) found.set(binding.name, binding);
  }
  return found;
}

/** Parameters and local variables that may stand at a token, the nearest declaration first. */
export function namesAt(ground: Ground, index: number): string[] {
  return [...visibleAt(ground, index).values()]
    .filter(binding => binding.kind !== 'module' && !binding.name.startsWith('_'))
    .sort((a, b) => b.at - a.at)
    .map(binding => binding.name);
}

/** The name is read or called here, not declared, a key or a label. */
export function isUse(ground: Ground, index: number): boolean {
  const { source } = ground;
  const before = source.tokens[index - 1]?.text ?? '';
  const after = source.tokens[index + 1]?.text ?? '';
  if (scopeOf(ground).declarations.has(index)) return false;
  if (/^(function|class|const|let|var|def|import|\.|\?\.|new|catch)$/.test(before)) return false;
  if (after === '=>' || (after === '=' && before !== ';')) return false;
  if (after === ':' && source.braces.get(source.parent[index]!) === 'object') return false;
  // `get total()`, `import x from`: the word belongs to the grammar there.
  return (
    source.tokens[index + 1]?.kind !== 'word' || /^(in|of|instanceof|and|or|not|if|else|is|for)$/.test(after)
  );
}
