/**
 * The tester: runs the checks in its own sandbox on the delivered commit and reads what was changed. It passes
 * only what it saw pass. A change that touches tests, or the script that runs them, fails whatever the exit code.
 */
import type { Answer, ToolCall, View } from './answer.ts';
import { findChecks, guessInWords } from './checks.ts';
import { objections, readDiff } from './diff.ts';
import { finish, lastLines } from './submit.ts';
import { passed, readCommandResult } from './tool-results.ts';
import { finished, textArgument } from './transcript.ts';

const checkTimeoutSeconds = 600;

function run(command: string): ToolCall {
  return { name: 'run_command', arguments: { command, timeout_seconds: checkTimeoutSeconds } };
}

export function answerAsTester(view: View): Answer {
  const { brief, transcript, tools } = view;
  if (!brief.subject)
    return finish(view, 'fail', 'There is no delivered commit to judge: the task names no subject.');
  const runs = finished(transcript, 'run_command');
  const ran = (command: string) => runs.findLast(use => textArgument(use, 'command') === command);

  const listed = finished(transcript, 'list_files').at(-1);
  const diffed = finished(transcript, 'git_diff').at(-1);
  const look: ToolCall[] = [];
  if (!listed && tools.has('list_files'))
    look.push({ name: 'list_files', arguments: { path: '.', max_entries: 2_000 } });
  if (!diffed && tools.has('git_diff')) look.push({ name: 'git_diff', arguments: {} });
  look.push(...brief.checks.filter(check => !ran(check)).map(run));
  if (look.length > 0)
    return { text: `I look at what was delivered and run ${brief.checks.length} checks.`, calls: look };

  const found = findChecks(view);
  if ('calls' in found) return found;
  const reason = found.guess ? guessInWords(found.guess) : '';
  if (found.commands.length === 0) {
    return finish(
      view,
      'fail',
      'Nothing was shown: the task names no check and I found no test command in the repository.',
    );
  }
  const missing = found.commands.filter(check => !ran(check));
  if (missing.length > 0) return { text: reason, calls: missing.map(run) };

  // The workspace may start at the delivered commit, so that nothing has changed since: then ask git for that commit.
  const shown = diffed && !diffed.result.is_error ? diffed.result.content : '';
  const show = `git show --format='%h %an: %s' --no-color ${brief.subject.commit}`;
  const needsShow = !/^diff --git /m.test(shown);
  if (needsShow && !ran(show)) return { text: 'I read the delivered commit itself.', calls: [run(show)] };
  const change = needsShow ? (readCommandResult(ran(show)!.result.content)?.output ?? '') : shown;
  return judge(
    view,
    found.commands.map(check => ({ check, use: ran(check)! })),
    change,
    reason,
  );
}

interface Ran {
  check: string;
  use: ReturnType<typeof finished>[number];
}

function judge(view: View, ran: Ran[], change: string, reason: string): Answer {
  const diff = readDiff(change);
  const against = objections(diff);
  const lines: string[] = reason === '' ? [] : [reason];
  let failed = against.length;
  for (const { check, use } of ran) {
    const result = use.result.is_error ? null : readCommandResult(use.result.content);
    if (passed(result)) {
      lines.push(`\`${check}\` exited with 0 after ${result!.durationMs} ms.`);
      continue;
    }
    failed += 1;
    const how = result
      ? result.exitCode === null
        ? `did not end by itself (${result.outcome})`
        : `exited with ${result.exitCode}`
      : 'could not be run';
    lines.push(`\`${check}\` ${how}:\n${lastLines(result ? result.output : use.result.content)}`);
  }
  lines.push(
    diff.length > 0
      ? `Files changed: ${diff.map(file => `${file.path} (+${file.added.length} -${file.removed.length})`).join(', ')}.`
      : 'I could not read which files the commit changed.',
  );
  lines.push(...against.map(objection => `Objection: ${objection}`));
  const commit = view.brief.subject!.commit;
  const verdict =
    failed === 0
      ? `Pass: commit ${commit} meets the checks.`
      : `Fail: commit ${commit} does not meet the criteria.`;
  return finish(view, failed === 0 ? 'pass' : 'fail', [verdict, ...lines].join('\n'));
}
