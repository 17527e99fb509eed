/**
 * From a request to an answer: who am I, what is the task, what has happened, and which part of the program
 * plays this role. The parts get a `View` and give an `Answer`; nothing else passes between them.
 */
import type { JsonObject } from '../../../base/json.ts';
import type { ModelRequest } from '../../../features/models/port.ts';
import { type Brief, type Identity, readBrief, readIdentity } from './brief.ts';
import { answerAsCoder } from './coder.ts';
import { answerForced } from './forced.ts';
import { answerAsLead } from './lead.ts';
import { finish } from './submit.ts';
import { answerAsTester } from './tester.ts';
import { finished, readTranscript, type Transcript } from './transcript.ts';

export interface ToolCall {
  name: string;
  arguments: JsonObject;
}

export interface Answer {
  text: string;
  calls: ToolCall[];
}

export interface View {
  me: Identity;
  brief: Brief;
  transcript: Transcript;
  /** The tools that this call offers. */
  tools: Set<string>;
  maxOutputTokens: number;
}

const introduction =
  'I am the scripted model: a program that plays a team. I can lead, repair failing checks and verify, ' +
  'but not converse; for that, configure a real model with GUILDHALL_MODEL.';

export function answer(request: ModelRequest): Answer {
  const transcript = readTranscript(request.messages);
  const brief = readBrief(transcript.opening);
  const forced = typeof request.tool_choice === 'object' ? request.tool_choice.name : null;
  if (forced === 'decide_assignment') return decideAssignment(brief);
  if (!brief) {
    if (request.tool_choice === 'auto') return { text: introduction, calls: [] };
    return answerForced(request, transcript.opening);
  }
  const view: View = {
    me: readIdentity(request.system),
    brief,
    transcript,
    tools: new Set(request.tools.map(tool => tool.name)),
    maxOutputTokens: request.max_output_tokens,
  };
  if (forced === 'submit_result') {
    return finish(view, 'gave_up', 'I was told to hand in before I had a result that I can show.');
  }
  if (forced !== null) return answerForced(request, brief.objective);
  const refused = finished(transcript, 'submit_result').filter(use => use.result.is_error);
  if (refused.length > 0) return afterRefusal(view, refused.length, refused.at(-1)!.result.content);
  return play(view);
}

function play(view: View): Answer {
  const { me, brief, tools } = view;
  const verifying = brief.decisions.includes('pass') || brief.subject !== null;
  if (verifying && tools.has('run_command')) return answerAsTester(view);
  if (tools.has('delegate') && me.reports.length > 0) return answerAsLead(view);
  const builder = /coder|engineer|developer|programmer|worker/.test(me.role);
  if (tools.has('edit_file') && (builder || brief.checks.length > 0)) return answerAsCoder(view);
  return finish(
    view,
    verifying ? 'fail' : 'gave_up',
    `The scripted model cannot do this task as ${me.role || 'an agent without a role'}: it only delegates, repairs failing ` +
      'checks and verifies. Set GUILDHALL_MODEL to a real model for other work.',
  );
}

/** An assignment is refused only when it could not be done by anybody. */
function decideAssignment(brief: Brief | null): Answer {
  const decide = (decision: 'accept' | 'reject', reason: string): Answer => ({
    text: decision === 'accept' ? 'I take this task.' : reason,
    calls: [{ name: 'decide_assignment', arguments: { decision, reason } }],
  });
  if (!brief)
    return decide('reject', 'There is no brief that I can read: a task needs a title and an objective.');
  if (brief.decisions.includes('pass') && !brief.subject) {
    return decide('reject', 'A verification needs a subject: which task delivered which commit.');
  }
  if (brief.objective === '' && !brief.subject) {
    return decide('reject', 'The brief has no objective, so there is nothing that I could achieve.');
  }
  return decide('accept', '');
}

/** The server did not take the result: hand in what cannot be wrong, then stop. */
function afterRefusal(view: View, times: number, reason: string): Answer {
  if (times >= 3) return { text: `My result was refused ${times} times: ${reason}`, calls: [] };
  const verdict = view.brief.decisions.includes('pass') ? 'fail' : 'gave_up';
  return finish(view, verdict, `The result that I handed in before was refused: ${reason}`);
}
