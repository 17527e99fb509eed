/**
 * The live timeline: one short line for each event that says something to a reader. Who acts is told by the name of
 * the agent, with a colour of its own. What an agent repeats (edit, run, edit, run …) is shown once and counted.
 */
import type { LiveEvent } from '../sdk/events.ts';
import type { Format } from './call.ts';
import { count, oneLine } from './text.ts';

/** Writes text in a style, or as it is. */
export type Paint = (format: Format, text: string) => string;

interface Line {
  text: string;
  format?: Format;
}

const width = 100;
/** An agent that goes round in circles of so many steps repeats itself. */
const repeatWindow = 3;
/** So many are told at once: who watches sees that it goes on. */
const leftOutMost = 50;
const agentColours: Format[] = ['cyan', 'magenta', 'blue', 'yellow', 'green'];

export class Timeline {
  readonly #paint: Paint;
  readonly #names: Map<string, string>;
  readonly #colours = new Map<string, Format>();
  /** By actor: the last lines, and how many that repeat them were left out. */
  readonly #repeats = new Map<string, { shown: string[]; leftOut: number }>();

  /** @param names agent id → name. */
  constructor(names: Map<string, string>, paint: Paint) {
    this.#names = names;
    this.#paint = paint;
  }

  /** What to print for an event: nothing, its line, or before that how many were left out. */
  lines(event: LiveEvent): string[] {
    const line = describe(event, id => this.#names.get(id) ?? 'somebody');
    if (!line) return [];
    const repeats = this.#repeats.get(event.actor) ?? { shown: [], leftOut: 0 };
    this.#repeats.set(event.actor, repeats);
    if (event.type === 'step.finished' && repeats.shown.includes(line.text)) {
      repeats.leftOut += 1;
      return repeats.leftOut < leftOutMost ? [] : this.#tellLeftOut(event, repeats);
    }
    const before = this.#tellLeftOut(event, repeats);
    repeats.shown = [...repeats.shown, line.text].slice(-repeatWindow);
    return [...before, this.#write(event, line)];
  }

  #tellLeftOut(event: LiveEvent, repeats: { leftOut: number }): string[] {
    const { leftOut } = repeats;
    repeats.leftOut = 0;
    return leftOut === 0
      ? []
      : [this.#write(event, { text: `… ${count(leftOut, 'more step')} like these`, format: 'dim' })];
  }

  #write(event: LiveEvent, line: Line): string {
    const clock = new Date(event.created_at).toTimeString().slice(0, 8);
    const text = line.format ? this.#paint(line.format, line.text) : line.text;
    return `${this.#paint('dim', clock)}  ${this.#who(event.actor)}  ${text}`;
  }

  #who(actor: string): string {
    const [kind, id = ''] = actor.split(':');
    const name =
      kind === 'agent' ? (this.#names.get(id) ?? 'agent') : kind === 'member' ? 'you' : 'guildhall';
    if (kind === 'agent' && !this.#colours.has(name))
      this.#colours.set(name, agentColours[this.#colours.size % agentColours.length] as Format);
    return this.#paint(this.#colours.get(name) ?? 'dim', oneLine(name, 12).padEnd(10));
  }
}

type NameOf = (agentId: string) => string;
const say = (text: unknown, most = width): string => (typeof text === 'string' ? oneLine(text, most) : '');

function describe(event: LiveEvent, nameOf: NameOf): Line | null {
  const { type, data } = event;
  switch (type) {
    case 'task.created': {
      const to = nameOf(String(data.agent_id));
      return { text: `gives ${to} the task: ${say(data.title, 80)}`, format: 'bold' };
    }
    case 'step.finished':
      return data.kind === 'tool' ? describeTool(data) : data.kind === 'model' ? describeTurn(data) : null;
    case 'task.waiting':
      return describeWait(data);
    case 'approval.requested':
      return { text: `asks: ${say(data.question, 200)}`, format: 'yellow' };
    case 'message.sent':
      return { text: `writes to ${say(data.to, 30)}: ${say(data.subject, 60)}` };
    case 'task.rejected':
      return { text: `rejects the task: ${say(data.reason)}`, format: 'yellow' };
    case 'task.in_review':
      return { text: 'hands in' };
    case 'task.verified':
      return data.passed
        ? { text: 'verified: pass', format: 'green' }
        : { text: 'verified: fail', format: 'red' };
    case 'check.failed':
      return {
        text: `checks failed in round ${data.round}: ${say((data.checks as string[] | undefined)?.join(', '))}`,
        format: 'red',
      };
    case 'model.failed':
      return {
        text: `the model call failed (${say(data.kind, 40)}): ${say(data.message)}`,
        format: 'yellow',
      };
    case 'budget.exhausted':
      return { text: say(data.reason) || 'the budget is exhausted', format: 'red' };
    case 'run.lost':
      return { text: 'the worker was lost; another one takes over', format: 'yellow' };
    default:
      return describeEnd(type, data);
  }
}

function describeEnd(type: string, data: LiveEvent['data']): Line | null {
  const state = type.startsWith('task.') ? type.slice('task.'.length) : '';
  const reason = say(data.reason, 160);
  if (state === 'succeeded') return { text: 'task succeeded', format: 'green' };
  if (state === 'paused' || state === 'cancelled')
    return { text: `task ${state}${reason && `: ${reason}`}`, format: 'yellow' };
  if (['failed', 'timed_out', 'dead_letter'].includes(state))
    return { text: `task ${state.replace('_', ' ')}${reason && `: ${reason}`}`, format: 'red' };
  return null;
}

/** A turn is worth a line when the agent said something. */
function describeTurn(data: LiveEvent['data']): Line | null {
  const text = say(data.text);
  return text === '' ? null : { text, format: 'dim' };
}

function describeWait(data: LiveEvent['data']): Line | null {
  // Delegating says so by itself; waiting for the time between two attempts is no news.
  if (data.waiting_on === 'children' || data.waiting_on === 'time') return null;
  const human = data.waiting_on === 'approval' || data.waiting_on === 'input';
  const where = human ? ' (./guildhall approval list)' : '';
  return { text: `waits for ${say(data.waiting_on, 40)}${where}`, format: 'yellow' };
}

/** Tools open their result with `key: value` lines: those are the short facts. */
function describeTool(data: LiveEvent['data']): Line | null {
  const name = String(data.name);
  const result = typeof data.result === 'string' ? data.result : '';
  const fact = (key: string): string => say(new RegExp(`^${key}: (.*)$`, 'm').exec(result)?.[1] ?? '', 60);
  const given = (data.arguments ?? {}) as Record<string, unknown>;
  if (data.outcome !== 'ok')
    return {
      text: `${name} ${data.outcome}: ${say(result)}`,
      format: data.outcome === 'refused' ? 'yellow' : 'red',
    };
  switch (name) {
    case 'run_command': {
      const exit = fact('exit_code');
      const how = exit === '' ? fact('outcome') : `exit ${exit}`;
      return {
        text: `run_command ${say(given.command, 60)} ${how}`.replace(/ {2,}/g, ' '),
        format: exit === '0' ? 'green' : 'red',
      };
    }
    case 'git_commit':
      return {
        text: `git_commit ${fact('commit').slice(0, 12)} ${say(given.message, 60)}`.trimEnd(),
        format: 'green',
      };
    case 'read_file':
    case 'write_file':
    case 'edit_file':
      return { text: `${name} ${fact('path') || fact('wrote') || fact('edited')}` };
    case 'delegate': {
      const state = fact('state');
      return {
        text: `hears from ${fact('assignee') || 'its report'}: ${[state, fact('decision')].filter(Boolean).join(', ')}`,
      };
    }
    // The server's own events tell of these.
    case 'submit_result':
    case 'send_message':
    case 'decide_assignment':
      return null;
    default:
      return { text: name };
  }
}
