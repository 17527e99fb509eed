/** Tokens of Python, so that the same small changes can be tried there; indentation is left to the text. */
import type { Token } from './source.ts';

const piece =
  /(?<space>[ \t\r\n\\]+|#[^\n]*)|(?<string>[rRbBfFuU]{0,2}(?:"""[\s\S]*?(?:"""|$(?![\s\S]))|'''[\s\S]*?(?:'''|$(?![\s\S]))|"(?:[^"\\\n]|\\.)*"?|'(?:[^'\\\n]|\\.)*'?))|(?<number>0[xXbBoO][\da-fA-F_]+|\d[\d_]*(?:\.[\d_]*)?(?:[eE][+-]?\d+)?|\.\d+)|(?<word>[\p{ID_Start}_][\p{ID_Continue}]*)|(?<sign>\*\*=|\/\/=|>>=|<<=|\.\.\.|:=|->|==|!=|<=|>=|\*\*|\/\/|<<|>>|[-+*/%&|^@]=|[\s\S])/uy;

export function scanPython(text: string): Token[] {
  const tokens: Token[] = [];
  let line = 1;
  piece.lastIndex = 0;
  for (let match = piece.exec(text); match; match = piece.exec(text)) {
    const kind = (['string', 'number', 'word', 'sign'] as const).find(
      name => match?.groups?.[name] !== undefined,
    );
    if (kind) tokens.push({ kind, text: match[0], start: match.index, end: piece.lastIndex, line });
    line += match[0].split('\n').length - 1;
    if (piece.lastIndex >= text.length) break;
  }
  return tokens;
}
