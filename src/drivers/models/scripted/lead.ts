/**
 * The delegator: whoever has direct reports. Looks briefly, gives the work to the most suitable report, has the
 * delivered commit verified by a tester where there is one, and hands in what was shown, or says what was not.
 *
 * Where it stands is read from its `delegate` calls: each is a piece of work or a verification, with its result.
 */
import type { JsonObject } from '../../../base/json.ts';
import type { Answer, View } from './answer.ts';
import type { Report } from './brief.ts';
import { findChecks, guessInWords, listedFiles } from './checks.ts';
import { finish, lastLines } from './submit.ts';
import { type ChildResult, readChildResult } from './tool-results.ts';
import { finished, textArgument } from './transcript.ts';

/** The first attempt and two more after a failed verification. */
const attempts = 3;

interface Delegation {
  assignee: string;
  kind: 'work' | 'verification';
  /** Null when the tool refused or answered something unreadable; `words` then says what. */
  child: ChildResult | null;
  words: string;
  rejected: boolean;
}

interface Ground {
  checks: string[];
  /** What was seen in the repository, as sentences for the brief of the assignee. */
  facts: string[];
}

export function answerAsLead(view: View): Answer {
  const objective = clarified(view);
  if (typeof objective !== 'string') return objective;
  const delegations = finished(view.transcript, 'delegate').map(readDelegation);
  const ground = survey(view, delegations.length > 0);
  if ('calls' in ground) return ground;
  const last = delegations.at(-1);
  if (!last) return delegateWork(view, objective, ground, delegations, null);
  return last.kind === 'work'
    ? afterWork(view, objective, ground, delegations, last)
    : afterVerification(view, objective, ground, delegations, last);
}

function readDelegation(use: ReturnType<typeof finished>[number]): Delegation {
  const { content, is_error } = use.result;
  const child = is_error ? null : readChildResult(content);
  const ended = child ? `${child.state} ${child.decision}` : content;
  return {
    assignee: textArgument(use, 'assignee'),
    kind: textArgument(use, 'kind') === 'verification' ? 'verification' : 'work',
    child,
    words: child ? child.summary : content.trim(),
    rejected:
      /\breject/i.test(ended) ||
      (child?.state === 'failed' && /^(the )?(assignee|assignment)?.*\brejected\b/i.test(child.summary)),
  };
}

/** The objective, or one question to the people when it says nothing that can be acted on. */
function clarified(view: View): string | Answer {
  const { brief, transcript, tools } = view;
  const asked = finished(transcript, 'ask_human').at(-1);
  if (asked && !asked.result.is_error) {
    const given = asked.result.content.replace(/^answer:\s*/, '').trim();
    return given === '' ? brief.objective : given;
  }
  const words = brief.objective.split(/\s+/).filter(word => word !== '').length;
  const unclear = brief.checks.length === 0 && (brief.objective.endsWith('?') || words < 3);
  if (asked || !unclear || !tools.has('ask_human')) return brief.objective;
  const question = `The task "${brief.title}" says: "${brief.objective}". I cannot act on that. What should be changed in the repository, and which command shows that it works?`;
  return {
    text: 'The objective is not clear enough to act on, so I ask.',
    calls: [{ name: 'ask_human', arguments: { question } }],
  };
}

/** Which checks there are and what the repository looks like; an answer with calls while that is not known. */
function survey(view: View, underWay: boolean): Ground | Answer {
  const { transcript, tools } = view;
  if (!underWay && finished(transcript, 'list_files').length === 0 && tools.has('list_files')) {
    return {
      text: 'First a look at the repository.',
      calls: [{ name: 'list_files', arguments: { path: '.' } }],
    };
  }
  const files = listedFiles(view);
  const facts =
    files.length > 0
      ? [`The repository has ${files.length} files, among them: ${files.slice(0, 20).join(', ')}.`]
      : [];
  const found = findChecks(view);
  if ('calls' in found) return found;
  if (found.guess) facts.push(guessInWords(found.guess));
  if (found.commands.length === 0)
    facts.push('The task names no check, and no test command was found in the repository.');
  return { checks: found.commands, facts };
}

const builders = [/coder|developer|programmer/, /engineer/, /worker/, /lead/, /manager|director|head/];

/** Reports that can have the work done, the most direct first. */
function suitable(reports: Report[]): Report[] {
  const rank = (report: Report) => builders.findIndex(pattern => pattern.test(report.role));
  return reports.filter(report => rank(report) >= 0 && !isTester(report)).sort((a, b) => rank(a) - rank(b));
}

function isTester(report: Report): boolean {
  return /\b(tester|qa|quality|verifier|reviewer)\b|test[-_ ]?engineer/.test(report.role);
}

function delegateWork(
  view: View,
  objective: string,
  ground: Ground,
  delegations: Delegation[],
  failed: { subject: string; report: string } | null,
): Answer {
  const unwilling = new Set(
    delegations.filter(one => one.kind === 'work' && one.rejected).map(one => one.assignee),
  );
  const assignee = suitable(view.me.reports).find(report => !unwilling.has(report.name));
  if (!assignee) {
    const said = delegations.filter(one => one.rejected).map(one => `${one.assignee}: ${one.words}`);
    const why =
      said.length > 0
        ? `Everybody who could do the work rejected it.\n${said.join('\n')}`
        : 'None of my direct reports can do this work.';
    return finish(view, 'gave_up', why);
  }
  const { brief } = view;
  const shown = ground.checks.map(check => `\`${check}\` exits with 0.`);
  const inputs = [...brief.inputs, ...ground.facts];
  if (brief.previousReport !== '')
    inputs.push(`Report of the previous round:\n${lastLines(brief.previousReport, 40, 1_500)}`);
  if (failed)
    inputs.push(`The verification of ${failed.subject} failed:\n${lastLines(failed.report, 40, 1_500)}`);
  const arguments_: JsonObject = {
    assignee: assignee.name,
    kind: 'work',
    title: brief.title.slice(0, 200) || 'Do the task',
    objective,
    requirements: brief.requirements,
    out_of_scope: [...brief.outOfScope, 'Changing tests, or the commands that run them.'],
    inputs: inputs.map(input => input.slice(0, 2_000)),
    expected_outputs:
      brief.expectedOutputs.length > 0 ? brief.expectedOutputs : ['A commit with the change.'],
    acceptance_criteria: [...brief.acceptanceCriteria, ...shown],
    checks: ground.checks,
    subject_task: failed ? failed.subject : null,
  };
  if (brief.acceptanceCriteria.length + shown.length === 0)
    arguments_.acceptance_criteria = [objective.slice(0, 2_000)];
  const text = failed
    ? `The verification failed; ${assignee.name} continues with its report.`
    : `${assignee.name} (${assignee.role}) gets the work.`;
  return { text, calls: [{ name: 'delegate', arguments: arguments_ }] };
}

function afterWork(
  view: View,
  objective: string,
  ground: Ground,
  delegations: Delegation[],
  last: Delegation,
): Answer {
  if (last.rejected) {
    const before = delegations.filter(one => one.kind === 'verification').at(-1);
    const subject = lastDelivered(delegations);
    const failed = before && subject ? { subject, report: before.words } : null;
    return delegateWork(view, objective, ground, delegations, failed);
  }
  const { child } = last;
  if (child?.state !== 'succeeded' || /gave_?up|fail/.test(child.decision)) {
    const how = child
      ? `${child.state}${child.decision ? `, ${child.decision}` : ''}; checks: ${child.checks}`
      : 'could not be delegated';
    return finish(
      view,
      'gave_up',
      `The work of ${last.assignee} did not succeed (${how}).\n\n${lastLines(last.words, 80, 8_000)}`,
    );
  }
  if (!child.commit) {
    return finish(
      view,
      'done',
      `${last.assignee} found nothing to change (checks: ${child.checks}).\n\n${lastLines(child.summary, 60, 6_000)}`,
    );
  }
  return verify(view, ground, delegations, child);
}

function lastDelivered(delegations: Delegation[]): string | null {
  return delegations.findLast(one => one.kind === 'work' && one.child?.commit)?.child?.taskId ?? null;
}

/** Hands the delivered commit to a tester who has not refused it yet; without one, the server's checks stand alone. */
function verify(view: View, ground: Ground, delegations: Delegation[], work: ChildResult): Answer {
  const since = delegations.slice(delegations.findLastIndex(one => one.kind === 'work') + 1);
  const tester = view.me.reports
    .filter(isTester)
    .find(report => !since.some(one => one.assignee === report.name));
  if (!tester) {
    const why =
      since.length > 0
        ? since.map(one => `${one.assignee}: ${one.words}`).join('\n')
        : 'I have no report who verifies.';
    const facts = `${work.assignee} delivered ${work.commit} (checks: ${work.checks}), but nobody verified it independently. ${why}`;
    if (work.checks !== 'passed' && since.length > 0) return finish(view, 'gave_up', facts);
    return finish(view, 'done', `${facts}\n\n${lastLines(work.summary, 60, 6_000)}`, work.commit);
  }
  const { brief } = view;
  const criteria = [...brief.acceptanceCriteria, ...ground.checks.map(check => `\`${check}\` exits with 0.`)];
  const arguments_: JsonObject = {
    assignee: tester.name,
    kind: 'verification',
    title: `Verify: ${brief.title}`.slice(0, 200),
    objective: `Judge whether commit ${work.commit} of task ${work.taskId} meets the acceptance criteria. Run the checks yourself; do not rely on what its author says.`,
    requirements: ['The change must not touch or weaken tests.'],
    acceptance_criteria: criteria.length > 0 ? criteria : [brief.objective.slice(0, 2_000)],
    checks: ground.checks,
    subject_task: work.taskId,
  };
  return {
    text: `${tester.name} (${tester.role}) verifies ${work.commit!.slice(0, 12)}.`,
    calls: [{ name: 'delegate', arguments: arguments_ }],
  };
}

function afterVerification(
  view: View,
  objective: string,
  ground: Ground,
  delegations: Delegation[],
  last: Delegation,
): Answer {
  const delivery = delegations.findLast(one => one.kind === 'work' && one.child?.commit)!;
  const work = delivery.child!;
  const decided = last.child?.decision ?? '';
  if (last.child?.state === 'succeeded' && decided === 'pass') {
    const summary =
      `${delivery.assignee} delivered ${work.commit} (task ${work.taskId}, checks: ${work.checks}); ` +
      `${last.assignee} verified it (task ${last.child.taskId}): pass.\n\nThe work:\n${lastLines(work.summary, 60, 6_000)}` +
      `\n\nThe verification:\n${lastLines(last.words, 60, 6_000)}`;
    return finish(view, 'done', summary, work.commit);
  }
  if (decided !== 'fail') return verify(view, ground, delegations, work);
  const tried = delegations.filter(one => one.kind === 'work' && one.child?.commit).length;
  if (tried < attempts) {
    return delegateWork(view, objective, ground, delegations, { subject: work.taskId, report: last.words });
  }
  return finish(
    view,
    'gave_up',
    `${tried} deliveries failed the verification. The last report of ${last.assignee}:\n\n${lastLines(last.words, 80, 8_000)}`,
  );
}
