/**
 * A source file as tokens with their nesting, enough to change it in small ways without a full parser.
 *
 * JavaScript and TypeScript are scanned with comments, strings, templates and regular expressions told apart;
 * Python with its comments and strings. Whatever a change breaks is found out by running the check.
 */
import { scanJavaScript } from './scan-javascript.ts';
import { scanPython } from './scan-python.ts';

export interface Token {
  kind: 'word' | 'number' | 'string' | 'template' | 'regex' | 'sign';
  text: string;
  start: number;
  end: number;
  /** 1-based. */
  line: number;
}

export interface Source {
  path: string;
  language: 'javascript' | 'python' | 'json';
  text: string;
  tokens: Token[];
  /** For a bracket (or a piece of a template), the index of the one that closes or opens it; else -1. */
  partner: number[];
  /** Index of the bracket that encloses the token, or -1. */
  parent: number[];
  /** For `{`: does it hold statements, an object, or the members of a class? */
  braces: Map<number, 'block' | 'object' | 'class'>;
}

export function readSource(path: string, text: string): Source {
  const language = path.endsWith('.py') ? 'python' : path.endsWith('.json') ? 'json' : 'javascript';
  const tokens = language === 'python' ? scanPython(text) : scanJavaScript(text);
  const source: Source = {
    path,
    language,
    text,
    tokens,
    partner: tokens.map(() => -1),
    parent: tokens.map(() => -1),
    braces: new Map(),
  };
  matchBrackets(source);
  return source;
}

export function opens(token: Token): boolean {
  return token.kind === 'template'
    ? token.text.startsWith('`') && token.text.endsWith('${')
    : token.kind === 'sign' && /^[([{]$/.test(token.text);
}

export function closes(token: Token): boolean {
  return token.kind === 'template'
    ? token.text.startsWith('}') && token.text.endsWith('`')
    : token.kind === 'sign' && /^[)\]}]$/.test(token.text);
}

function matchBrackets(source: Source): void {
  const { tokens, partner, parent, braces } = source;
  const stack: number[] = [];
  tokens.forEach((token, index) => {
    if (closes(token) && stack.length > 0) {
      const opener = stack.pop()!;
      partner[opener] = index;
      partner[index] = opener;
    }
    parent[index] = stack.at(-1) ?? -1;
    if (!opens(token)) return;
    if (token.text === '{') braces.set(index, braceKind(source, index));
    stack.push(index);
  });
}

function braceKind(source: Source, index: number): 'block' | 'object' | 'class' {
  const { tokens } = source;
  const before = tokens[index - 1];
  if (!before) return 'block';
  if (isClassHead(source, index)) return 'class';
  if (before.kind === 'template') return 'object';
  if (before.kind === 'word') {
    return /^(return|typeof|in|of|yield|await|default|case|new|void|delete|import|export|const|let|var)$/.test(
      before.text,
    )
      ? 'object'
      : 'block';
  }
  // `>` and `]` stand before a block where TypeScript names the type that a function returns.
  if (/^([);{}>\]]|=>)$/.test(before.text)) return 'block';
  return before.text === ':' && isCaseLabel(source, index - 1) ? 'block' : 'object';
}

function isCaseLabel(source: Source, colon: number): boolean {
  for (let i = colon - 1; i >= 0 && i > colon - 8; i -= 1) {
    const { kind, text } = source.tokens[i]!;
    if (kind === 'word' && (text === 'case' || text === 'default')) return true;
    if (kind === 'sign' && /^[{};,?]$/.test(text)) return false;
  }
  return false;
}

function isClassHead(source: Source, index: number): boolean {
  for (let i = index - 1; i >= 0 && i > index - 14; i -= 1) {
    const { kind, text } = source.tokens[i]!;
    if (kind === 'word' && text === 'class') return source.tokens[i - 1]?.text !== '.';
    if (kind === 'sign' && !/^[.,<>]$/.test(text)) return false;
  }
  return false;
}
