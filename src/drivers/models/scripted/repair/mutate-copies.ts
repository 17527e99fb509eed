/**
 * A step that was forgotten but is taken elsewhere in the function: a short statement, copied after another. Where the
 * same two steps follow each other elsewhere, one without the other is suspect.
 */
import { statementStarts, textOf } from './grammar.ts';
import { notExpression, statementEnd } from './mutate-statements.ts';
import { type Ground, insert, type Mutation } from './mutation.ts';

const mostStatements = 120;
const longest = 60;
const weight = { anywhere: 1.4, asElsewhere: 4 };

export function mutateCopies(ground: Ground): Mutation[] {
  const { source, definitions, quiet } = ground;
  const { tokens, text, parent } = source;
  const starts = statementStarts(source).filter(index => !quiet.has(index) && parent[index] !== -1);
  if (source.language === 'python' || starts.length > mostStatements) return [];
  const written = (index: number) => textOf(source, [index, statementEnd(source, index)]);
  const simple = starts.filter(index => !notExpression.test(tokens[index]!.text));
  const texts = new Set(simple.map(written).filter(one => one.length <= longest && !one.includes('\n')));
  const followedBy = new Map<string, Set<string>>();
  starts.forEach((index, at) => {
    const next = starts.slice(at + 1).find(other => parent[other] === parent[index]);
    if (next === undefined) return;
    const one = written(index);
    followedBy.set(one, (followedBy.get(one) ?? new Set()).add(written(next)));
  });
  return simple.flatMap(index => {
    const own = written(index);
    const end = tokens[statementEnd(source, index) - 1]!.end;
    const around = definitions
      .filter(one => one.kind === 'function' && one.start < tokens[index]!.start && one.end > end)
      .sort((a, b) => b.end - b.start - (a.end - a.start))[0];
    if (!around) return [];
    const body = text.slice(around.start, around.end);
    const lineStart = text.lastIndexOf('\n', tokens[index]!.start - 1) + 1;
    const indent = /^\s*/.exec(text.slice(lineStart, tokens[index]!.start))![0];
    return [...texts]
      .filter(one => body.includes(one) && one !== own)
      .map(one =>
        insert(
          end,
          `\n${indent}${one}`,
          'statement',
          followedBy.get(own)?.has(one) ? weight.asElsewhere : weight.anywhere,
        ),
      );
  });
}
