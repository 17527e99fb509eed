/**
 * The coder: repairs failing checks by trying small changes, each an edit and a run that everybody can see. It reads
 * the failure, tries the likeliest changes, keeps what passes, runs the checks again, and commits; or it puts the
 * files back as they were and says so. It never changes tests or the commands that run them.
 */
import type { Answer, ToolCall, View } from './answer.ts';
import { type Checks, findChecks, listedFiles } from './checks.ts';
import { objections, readDiff } from './diff.ts';
import { type Bench, presentState, readBench, resultOf, type State } from './repair/bench.ts';
import { readFailures } from './repair/failures.ts';
import { describeChange, moves } from './repair/file-edits.ts';
import { type Reach, reach } from './repair/reading.ts';
import { type Kept, type Plan, planSearch } from './repair/search.ts';
import { repairObjective } from './repair-objective.ts';
import { finish, lastLines } from './submit.ts';
import { packageScripts } from './test-command.ts';
import { passed, readCommit } from './tool-results.ts';
import { finished } from './transcript.ts';

const mostTrials = 240;
const mostTurns = 40;
const readsPerTurn = 15;
/** A result has at most 30,000 characters, and no middle beyond. */
const linesPerRead = 250;
/** A suite that takes longer is not one on which many changes can be tried. */
const checkTimeoutSeconds = 60;
/** Share of the output cap that a batch of trials may fill, in bytes per token. */
const bytesPerToken = 2.5;
const tools = ['list_files', 'read_file', 'edit_file', 'run_command'];

export function answerAsCoder(view: View): Answer {
  const missing = tools.filter(tool => !view.tools.has(tool));
  if (missing.length > 0)
    return finish(view, 'gave_up', `A repair needs the tools ${missing.join(', ')}, which I was not given.`);
  if (!repairObjective(view.brief)) {
    return finish(
      view,
      'gave_up',
      'The scripted model can only repair failing checks, and this task asks for something else. ' +
        'Set GUILDHALL_MODEL to a real model (for example anthropic/…, openai/…) and run it again. Nothing was changed.',
    );
  }
  const { brief, transcript } = view;
  if (finished(transcript, 'list_files').length === 0) {
    const calls: ToolCall[] = [{ name: 'list_files', arguments: { path: '.', max_entries: 5_000 } }];
    return {
      text: 'I look at the files and run the checks as they are.',
      calls: [...calls, ...brief.checks.map(run)],
    };
  }
  const checks = findChecks(view);
  if ('calls' in checks) return checks;
  if (checks.commands.length === 0) {
    return finish(
      view,
      'gave_up',
      'The task names no check and I found no test command, so I cannot tell what is broken.',
    );
  }
  const bench = readBench(transcript);
  const unrun = checks.commands.filter(check => !resultOf(bench, 'original', check));
  if (unrun.length > 0 && presentState(bench).size === 0)
    return { text: 'I run the checks as they are.', calls: unrun.map(run) };
  return repair(view, checks, bench);
}

function run(command: string): ToolCall {
  return { name: 'run_command', arguments: { command, timeout_seconds: checkTimeoutSeconds } };
}

function repair(view: View, checks: Checks, bench: Bench): Answer {
  const { transcript } = view;
  const results = checks.commands.map(check => resultOf(bench, 'original', check)!);
  const failing = results.findIndex(result => !passed(result));
  if (failing < 0) return alreadyPasses(view, checks);
  const obstacle = cannotRun(bench, results[failing]!.exitCode, results[failing]!.output);
  if (obstacle) return giveUp(view, checks, bench, obstacle);

  const files = listedFiles(view);
  const manifest =
    files.includes('package.json') &&
    !bench.original.has('package.json') &&
    !bench.unreadable.has('package.json');
  const scripts = packageScripts(bench.original.get('package.json'));
  const reports = results.filter(result => !passed(result)).map(result => readFailures(result.output));
  const known = reach(bench, files, reports, [...checks.commands, ...Object.values(scripts)]);
  const unread = manifest ? ['package.json', ...known.unread] : known.unread;
  if (unread.length > 0 && transcript.turns < mostTurns) {
    const calls = unread.slice(0, readsPerTurn).map(path => ({
      name: 'read_file',
      arguments: { path, start_line: bench.begun.get(path)?.next ?? 1, max_lines: linesPerRead },
    }));
    return { text: `${checks.commands[failing]} fails. I read the failing tests and what they use.`, calls };
  }
  const tried = Math.max(0, bench.states.size - 1);
  const budget = transcript.turns >= mostTurns ? 0 : mostTrials - tried;
  const plan = planSearch({
    bench,
    checks: checks.commands,
    sources: known.sources,
    around: { files, tests: known.tests, scripts },
    budget,
  });
  return follow(view, checks, bench, plan, known);
}

function follow(view: View, checks: Checks, bench: Bench, plan: Plan, known: Reach): Answer {
  if (plan.kind === 'exhausted') {
    const why =
      known.sources.length === 0
        ? 'I found no source file that the failing tests use.'
        : 'None of the changes that I tried made the checks pass.';
    return giveUp(view, checks, bench, why);
  }
  const present = presentState(bench);
  if (plan.kind === 'check') {
    const look: ToolCall[] = view.tools.has('git_diff') ? [{ name: 'git_diff', arguments: {} }] : [];
    const calls = [
      ...moves(bench, present, plan.state),
      ...plan.commands.map(run),
      ...(plan.promising ? look : []),
    ];
    return {
      text: plan.promising ? 'One change helps. I keep it and run the checks in full.' : 'I run the checks.',
      calls,
    };
  }
  if (plan.kind === 'try') return tryAll(view, bench, present, plan);
  return deliver(view, checks, bench, plan.kept);
}

function tryAll(view: View, bench: Bench, present: State, plan: Extract<Plan, { kind: 'try' }>): Answer {
  const calls: ToolCall[] = [];
  const room = view.maxOutputTokens * bytesPerToken;
  let at = present;
  let size = 0;
  let count = 0;
  for (const trial of plan.trials) {
    const arguments_ = { command: plan.command, timeout_seconds: plan.timeoutSeconds };
    const next: ToolCall[] = [
      ...moves(bench, at, trial, plan.base),
      { name: 'run_command', arguments: arguments_ },
    ];
    size += Buffer.byteLength(JSON.stringify(next));
    if (count > 0 && size > room) break;
    calls.push(...next);
    at = trial;
    count += 1;
  }
  const paths = [...new Set(plan.trials.flatMap(trial => [...trial.keys()]))];
  return { text: `I try ${count} small changes in ${paths.join(', ')}.`, calls };
}

function deliver(view: View, checks: Checks, bench: Bench, kept: Kept[]): Answer {
  const { transcript, tools: offered, brief } = view;
  const diff = finished(transcript, 'git_diff').findLast(use => !use.result.is_error)?.result.content ?? '';
  const against = objections(readDiff(diff));
  if (against.length > 0) {
    return giveUp(
      view,
      checks,
      bench,
      `The checks pass, but the changes in the workspace touch tests, which I do not deliver: ${against.join(' ')}`,
    );
  }
  const committed = finished(transcript, 'git_commit').at(-1);
  if (!committed && offered.has('git_commit')) {
    const where = [...new Set(kept.map(step => step.path))].join(', ');
    const subject = `Fix ${where} so that ${checks.commands[0]!.split('\n', 1)[0]} passes`;
    const body = kept.map(step => describeChange(step.path, step.before, step.after)).join('\n\n');
    const message = `${subject.slice(0, 100)}\n\n${body}\n\nFound by trying small changes (scripted model), for task ${brief.taskId}.`;
    return {
      text: 'All checks pass. I commit the change.',
      calls: [{ name: 'git_commit', arguments: { message: message.slice(0, 9_000) } }],
    };
  }
  if (committed?.result.is_error) {
    return giveUp(
      view,
      checks,
      bench,
      `The checks pass with a change that I found, but it could not be committed: ${committed.result.content}\n${changes(kept)}`,
    );
  }
  return finish(
    view,
    'done',
    successSummary(checks, bench, kept),
    committed ? readCommit(committed.result.content) : null,
  );
}

function changes(kept: Kept[]): string {
  return kept.map(step => describeChange(step.path, step.before, step.after)).join('\n\n');
}

function successSummary(checks: Checks, bench: Bench, kept: Kept[]): string {
  const lines = checks.commands.map(check => {
    const before = resultOf(bench, 'original', check)!;
    const failure = passed(before) ? null : readFailures(before.output).failures[0];
    const said = failure
      ? ` (${[failure.test, failure.error, failure.message].filter(part => part !== '').join(': ')})`
      : '';
    return `\`${check}\`: exit code ${before.exitCode ?? before.outcome} before${said}, 0 after.`;
  });
  const tried = Math.max(0, bench.states.size - 1);
  return [
    `${kept.length === 1 ? 'One small change makes' : `${kept.length} small changes make`} the checks pass.`,
    '',
    changes(kept),
    '',
    ...lines,
    `Found by trying ${tried} changes, not by understanding the code: what the checks do not cover was not judged.`,
  ].join('\n');
}

function alreadyPasses(view: View, checks: Checks): Answer {
  const list = checks.commands.map(check => `\`${check}\``).join(', ');
  const complaint = view.brief.inputs.find(input => /^The verification of .+ failed/.test(input));
  if (complaint) {
    return finish(
      view,
      'gave_up',
      `${list} already passes here. The report asks for something else, and the scripted model can only repair failing checks.\n\n${lastLines(complaint)}`,
    );
  }
  const before =
    view.brief.previousReport === '' ? '' : ' The previous round reported a failure that I do not see here.';
  return finish(
    view,
    'done',
    `Nothing to do: ${list} already passes (exit code 0). I changed nothing.${before}`,
  );
}

/** A reason why trying is useless: the command does not even start, or tools are refused. */
function cannotRun(bench: Bench, exitCode: number | null, output: string): string | null {
  if (exitCode === 127 || exitCode === 126 || /npm (ERR!|error) Missing script/.test(output))
    return 'The check cannot be run here.';
  const refused = bench.refusals.filter(one => one.tool === 'run_command' || one.tool === 'edit_file');
  const commands = refused.filter(one => one.tool === 'run_command').length;
  const first =
    bench.trials.size > 0 && [...bench.trials.values()].every(result => result.outcome === 'refused');
  if (first || commands >= 8 || refused.length >= 24)
    return `My tools refuse to work: ${refused.at(-1)?.reason ?? 'no reason was given'}`;
  return null;
}

/** Puts the files back first, then says what was tried and how the checks fail. */
function giveUp(view: View, checks: Checks, bench: Bench, why: string): Answer {
  const present = presentState(bench);
  const stuck = finished(view.transcript, 'edit_file').at(-1)?.result.is_error ?? false;
  if (present.size > 0 && !stuck) {
    const look: ToolCall[] = view.tools.has('git_diff') ? [{ name: 'git_diff', arguments: {} }] : [];
    return {
      text: `${why.split('\n', 1)[0]} I put the files back as they were.`,
      calls: [...moves(bench, present, new Map()), ...look],
    };
  }
  const failing = checks.commands.find(check => !passed(resultOf(bench, 'original', check)));
  const output = failing ? (resultOf(bench, 'original', failing)?.output ?? '') : '';
  const paths = [...bench.original.keys()];
  const summary = [
    why,
    `Tried ${Math.max(0, bench.states.size - 1)} small changes (operators, constants, names, calls, guards) after reading ${paths.length} files.`,
    present.size > 0
      ? `These files could not be put back: ${[...present.keys()].join(', ')}.`
      : 'The files are as they were.',
    ...(failing ? [`\`${failing}\` still fails:`, lastLines(output, 60)] : []),
  ].join('\n');
  return finish(view, 'gave_up', summary);
}
