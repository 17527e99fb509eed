/** Tokens of JavaScript, TypeScript and JSON. Unterminated pieces end at the line, so that broken code is scanned too. */
import type { Token } from './source.ts';

const signs = [
  '>>>=',
  '...',
  '===',
  '!==',
  '**=',
  '<<=',
  '>>=',
  '>>>',
  '&&=',
  '||=',
  '??=',
  '=>',
  '==',
  '!=',
  '<=',
  '>=',
  '&&',
  '||',
  '??',
  '?.',
  '++',
  '--',
  '+=',
  '-=',
  '*=',
  '/=',
  '%=',
  '&=',
  '|=',
  '^=',
  '<<',
  '>>',
  '**',
];

/** After these words a slash starts a regular expression. */
const beforeExpression = /^(return|typeof|case|in|of|delete|void|throw|new|else|do|instanceof|await|yield)$/;

const number = /(?:0[xXbBoO][\da-fA-F_]+|(?:\d[\d_]*)?\.?\d[\d_]*(?:[eE][+-]?\d+)?\.?)n?/y;
const word = /[\p{ID_Start}$_#@][\p{ID_Continue}$\u200c\u200d]*/uy;
const regex = /\/(?![*/])(?:[^\\/[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[a-z]*/y;

export function scanJavaScript(text: string): Token[] {
  const tokens: Token[] = [];
  /** For each open template, how many braces are open inside its present `${`. */
  const templates: number[] = [];
  let line = 1;
  let at = text.startsWith('#!') ? lineEnd(text, 0) : 0;

  const push = (kind: Token['kind'], end: number) => {
    const token = { kind, text: text.slice(at, end), start: at, end, line };
    tokens.push(token);
    line += newlines(token.text);
    at = end;
  };

  while (at < text.length) {
    const char = text[at]!;
    if (char === '\n') {
      line += 1;
      at += 1;
    } else if (/\s/.test(char)) {
      at += 1;
    } else if (text.startsWith('//', at)) {
      at = lineEnd(text, at);
    } else if (text.startsWith('/*', at)) {
      const close = text.indexOf('*/', at + 2);
      const end = close < 0 ? text.length : close + 2;
      line += newlines(text.slice(at, end));
      at = end;
    } else if (char === '"' || char === "'") {
      push('string', stringEnd(text, at));
    } else if (char === '`' || (char === '}' && templates.at(-1) === 0)) {
      const end = templateEnd(text, at + 1);
      if (char === '}') templates.pop();
      push('template', end);
      if (text.startsWith('${', end - 2)) templates.push(0);
    } else if (/\d/.test(char) || (char === '.' && /\d/.test(text[at + 1] ?? ''))) {
      push('number', match(number, text, at) ?? at + 1);
    } else if (match(word, text, at) !== null) {
      push('word', match(word, text, at)!);
    } else if (char === '/' && expectsValue(tokens.at(-1)) && match(regex, text, at) !== null) {
      push('regex', match(regex, text, at)!);
    } else {
      if (char === '{' && templates.length > 0) templates[templates.length - 1]! += 1;
      if (char === '}' && templates.length > 0) templates[templates.length - 1]! -= 1;
      const sign = signs.find(one => text.startsWith(one, at)) ?? char;
      // `a?.5:b` is a conditional with a number.
      push('sign', at + (sign === '?.' && /\d/.test(text[at + 2] ?? '') ? 1 : sign.length));
    }
  }
  return tokens;
}

function match(pattern: RegExp, text: string, at: number): number | null {
  pattern.lastIndex = at;
  return pattern.test(text) ? pattern.lastIndex : null;
}

function newlines(text: string): number {
  return text.split('\n').length - 1;
}

function lineEnd(text: string, at: number): number {
  const end = text.indexOf('\n', at);
  return end < 0 ? text.length : end;
}

function stringEnd(text: string, at: number): number {
  for (let i = at + 1; i < text.length; i += 1) {
    if (text[i] === '\\') i += 1;
    else if (text[i] === text[at]) return i + 1;
    else if (text[i] === '\n') return i;
  }
  return text.length;
}

/** The end of a piece of a template: after the closing backtick, or after `${`. */
function templateEnd(text: string, from: number): number {
  for (let i = from; i < text.length; i += 1) {
    if (text[i] === '\\') i += 1;
    else if (text[i] === '`') return i + 1;
    else if (text[i] === '$' && text[i + 1] === '{') return i + 2;
  }
  return text.length;
}

function expectsValue(before: Token | undefined): boolean {
  if (!before) return true;
  if (before.kind === 'word') return beforeExpression.test(before.text);
  if (before.kind === 'template') return before.text.endsWith('${');
  return before.kind === 'sign' && !/^([)\]}]|\+\+|--)$/.test(before.text);
}
