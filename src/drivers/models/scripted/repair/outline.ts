/** The named things of a source file (functions, methods, classes, top-level values) with their extent and parameters. */
import { elements, expressionEnd, isName } from './grammar.ts';
import type { Source } from './source.ts';

export interface Definition {
  name: string;
  kind: 'function' | 'class' | 'value';
  /** Offsets in the text. */
  start: number;
  end: number;
  /** Token index of the first token of it. */
  head: number;
  /** Token indices of the braces of a function's body; -1 where it has none (a short arrow, Python). */
  open: number;
  close: number;
  params: string[];
  /** Token index of the `(` before the parameters, or -1. */
  paramsOpen: number;
  async: boolean;
}

export function outline(source: Source): Definition[] {
  if (source.language === 'python') return outlinePython(source);
  const found: Definition[] = [];
  source.tokens.forEach((token, index) => {
    if (token.kind === 'word') {
      if (token.text === 'function') add(found, functionAt(source, index));
      else if (token.text === 'class' && source.tokens[index - 1]?.text !== '.')
        add(found, classAt(source, index));
      else if (/^(const|let|var)$/.test(token.text) && source.parent[index] === -1)
        add(found, valueAt(source, index));
      else add(found, methodAt(source, index));
    } else if (token.text === '=>') {
      add(found, arrowAt(source, index));
    }
  });
  return found;
}

function add(found: Definition[], definition: Definition | null): void {
  if (definition) found.push(definition);
}

function define(
  source: Source,
  kind: Definition['kind'],
  name: string,
  head: number,
  last: number,
): Definition {
  const { tokens } = source;
  const start = tokens[head]!.start;
  const end = (tokens[last] ?? tokens.at(-1)!).end;
  return { name, kind, start, end, head, open: -1, close: -1, params: [], paramsOpen: -1, async: false };
}

/** Names that the parameter list binds, also inside patterns. */
function parameterNames(source: Source, open: number): string[] {
  const { tokens } = source;
  return elements(source, open).flatMap(([from, to]) => {
    const names: string[] = [];
    const first = tokens[from]!;
    if (first.text === '{' || first.text === '[') {
      for (const [inner, end] of elements(source, from)) {
        const colon = tokens[inner + 1]?.text === ':' && inner + 2 < end;
        const name = tokens[colon ? inner + 2 : inner]!;
        if (isName(name)) names.push(name.text);
      }
      return names;
    }
    for (let i = from; i < to; i += 1) {
      if (isName(tokens[i]) || tokens[i]!.text === 'type') return [tokens[i]!.text];
    }
    return names;
  });
}

/** The `{` of a function's body after its parameters, past a type that TypeScript may put between. */
function bodyAfter(source: Source, close: number): number {
  const { tokens, braces } = source;
  if (tokens[close + 1]?.text === '{') return close + 1;
  if (tokens[close + 1]?.text !== ':') return -1;
  for (let i = close + 2; i < tokens.length && i < close + 60; i += 1) {
    if (tokens[i]!.text === '{' && braces.get(i) === 'block') return i;
    if (tokens[i]!.text === '{' || tokens[i]!.text === '(') i = Math.max(i, source.partner[i]!);
    else if (/^(;|=>|=)$/.test(tokens[i]!.text)) return -1;
  }
  return -1;
}

/** The name that a function expression is given where it stands: `name = …`, `name: …`, `exports.name = …`. */
function givenName(source: Source, head: number): string {
  const { tokens } = source;
  let i = head - 1;
  if (tokens[i]?.text === 'async') i -= 1;
  if (tokens[i]?.text === ':') return isName(tokens[i - 1]) ? tokens[i - 1]!.text : '';
  if (tokens[i]?.text !== '=') return '';
  if (isName(tokens[i - 1]) && !/^[:|&]$/.test(tokens[i - 2]?.text ?? '')) return tokens[i - 1]!.text;
  // `const name: Type = …`
  for (let j = i - 1; j > i - 12 && j > 0; j -= 1) {
    if (/^(const|let|var)$/.test(tokens[j - 1]!.text)) return tokens[j]!.text;
  }
  return '';
}

function withBody(
  source: Source,
  name: string,
  head: number,
  paramsOpen: number,
  body: number,
): Definition | null {
  const close = source.partner[body]!;
  if (close < 0) return null;
  const definition = define(source, 'function', name, head, close);
  definition.open = body;
  definition.close = close;
  definition.paramsOpen = paramsOpen;
  definition.params = paramsOpen < 0 ? [] : parameterNames(source, paramsOpen);
  definition.async = source.tokens[head]!.text === 'async' || source.tokens[head - 1]?.text === 'async';
  return definition;
}

function functionAt(source: Source, index: number): Definition | null {
  const { tokens, partner } = source;
  let i = index + 1;
  if (tokens[i]?.text === '*') i += 1;
  const named = tokens[i]?.kind === 'word' ? tokens[i]!.text : '';
  while (i < tokens.length && i < index + 20 && tokens[i]!.text !== '(') i += 1;
  if (tokens[i]?.text !== '(' || partner[i]! < 0) return null;
  const body = bodyAfter(source, partner[i]!);
  return body < 0 ? null : withBody(source, named || givenName(source, index), index, i, body);
}

function methodAt(source: Source, index: number): Definition | null {
  const { tokens, partner, parent, braces } = source;
  const around = parent[index]!;
  if (around < 0 || braces.get(around) === 'block' || tokens[around]?.text !== '{') return null;
  if (tokens[index + 1]?.text !== '(' || /^(function|if|for|while|switch|catch)$/.test(tokens[index]!.text))
    return null;
  const close = partner[index + 1]!;
  const body = close < 0 ? -1 : bodyAfter(source, close);
  return body < 0 ? null : withBody(source, tokens[index]!.text, index, index + 1, body);
}

function arrowAt(source: Source, index: number): Definition | null {
  const { tokens, partner } = source;
  let before = index - 1;
  // `(a: number): Promise<number> =>`: walk back over the type to the parameters.
  if (tokens[before]?.text !== ')' && !(isName(tokens[before]) && tokens[before - 1]?.text !== ':')) {
    for (let i = index - 1; i > index - 16 && i > 0; i -= 1) {
      if (tokens[i]!.text === ':' && tokens[i - 1]!.text === ')') {
        before = i - 1;
        break;
      }
    }
  }
  const parenthesised = tokens[before]?.text === ')' && partner[before]! >= 0;
  const paramsOpen = parenthesised ? partner[before]! : -1;
  const head = parenthesised ? paramsOpen : before;
  const params = parenthesised
    ? parameterNames(source, paramsOpen)
    : isName(tokens[before])
      ? [tokens[before]!.text]
      : [];
  const name = givenName(source, head);
  const body = tokens[index + 1]?.text === '{' ? index + 1 : -1;
  const definition =
    body >= 0 && partner[body]! >= 0
      ? withBody(source, name, head, paramsOpen, body)
      : define(source, 'function', name, head, expressionEnd(source, index + 1) - 1);
  if (definition) definition.params = params;
  if (definition && tokens[head - 1]?.text === 'async') definition.async = true;
  return definition;
}

function classAt(source: Source, index: number): Definition | null {
  const { tokens, partner, braces } = source;
  for (let i = index + 1; i < tokens.length && i < index + 14; i += 1) {
    if (braces.get(i) === 'class' && partner[i]! >= 0) {
      const name = isName(tokens[index + 1]) ? tokens[index + 1]!.text : givenName(source, index);
      return define(source, 'class', name, index, partner[i]!);
    }
  }
  return null;
}

function valueAt(source: Source, index: number): Definition | null {
  const name = source.tokens[index + 1];
  return isName(name)
    ? define(source, 'value', name.text, index, expressionEnd(source, index, false) - 1)
    : null;
}

function outlinePython(source: Source): Definition[] {
  const { tokens, text, partner } = source;
  return tokens.flatMap((token, index) => {
    const name = tokens[index + 1];
    if (!name || (token.text !== 'def' && token.text !== 'class')) return [];
    const column = token.start - (text.lastIndexOf('\n', token.start - 1) + 1);
    const rest = text.slice(token.end);
    const dedent = new RegExp(`\\n {0,${column}}[^\\s#)\\]}]`).exec(rest);
    const end = dedent ? token.end + dedent.index : text.length;
    const definition = define(source, token.text === 'def' ? 'function' : 'class', name.text, index, index);
    definition.end = end;
    if (token.text === 'def' && tokens[index + 2]?.text === '(' && partner[index + 2]! > 0) {
      definition.paramsOpen = index + 2;
      definition.params = parameterNames(source, index + 2).filter(param => param !== 'self');
    }
    return [definition];
  });
}
