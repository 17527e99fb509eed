/** The last call of a task: `submit_result` with a decision that the task allows. */
import type { Answer, View } from './answer.ts';

/** Decisions that mean the same, best first, for tasks whose decisions have other names. */
const synonyms: Record<string, RegExp> = {
  done: /^(done|accept|approve|pass|complete|yes)/,
  gave_up: /^(gave_?up|give_?up|reject|fail|cannot|blocked|no)/,
  pass: /^(pass|approve|accept|done)/,
  fail: /^(fail|reject|revise|gave_?up)/,
};

const summaryCharacters = 18_000;

export function finish(
  view: View,
  decision: 'done' | 'gave_up' | 'pass' | 'fail',
  summary: string,
  commit: string | null = null,
): Answer {
  const { decisions } = view.brief;
  const allowed = decisions.includes(decision)
    ? decision
    : (decisions.find(word => synonyms[decision]!.test(word)) ?? decisions.at(-1) ?? decision);
  const text = summary.length > summaryCharacters ? `${summary.slice(0, summaryCharacters)}\n…` : summary;
  return {
    text: text.split('\n', 1)[0]!,
    calls: [{ name: 'submit_result', arguments: { decision: allowed, summary: text, commit } }],
  };
}

/** The end of a command's output, short enough for a summary. */
export function lastLines(output: string, lines = 40, characters = 4_000): string {
  const tail = output.trimEnd().split('\n').slice(-lines).join('\n');
  return tail.length > characters ? `…${tail.slice(-characters)}` : tail;
}
