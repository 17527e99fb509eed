/**
 * From journal steps to what the timeline shows: turns with their words, tool calls with their results, notices.
 *
 * The journal holds what has ended. A call that the model made and that has no result yet is shown as running:
 * calls and results are matched by name, in order, within one turn.
 */
import type { Step } from './api/types.ts';

export interface ToolCall {
  name: string;
  arguments: Record<string, unknown>;
}

export type Row =
  | { kind: 'words'; key: string; step: Step; text: string }
  | { kind: 'tool'; key: string; step: Step }
  | { kind: 'pending'; key: string; call: ToolCall; since: string }
  | { kind: 'ahead'; key: string; names: string[] }
  | { kind: 'notice'; key: string; step: Step; text: string };

/** Rows of one agent at one task, with nothing of others between. */
export interface Group {
  key: string;
  taskId: string;
  runId: string;
  rows: Row[];
  /** The model calls among what was done here. */
  turns: Step[];
}

export const stepKey = (step: Step): string => `${step.run_id}.${step.seq}`;

function compare(a: Step, b: Step): number {
  if (a.started_at !== b.started_at) return a.started_at < b.started_at ? -1 : 1;
  if (a.run_id !== b.run_id) return a.run_id < b.run_id ? -1 : 1;
  return a.seq - b.seq;
}

/** Both, each step once, in order. The very same array when nothing is new, so that nothing is drawn again. */
export function mergeSteps(known: Step[], incoming: readonly Step[]): Step[] {
  const keys = new Set(known.map(stepKey));
  const fresh = incoming.filter(step => {
    const key = stepKey(step);
    return !keys.has(key) && keys.add(key);
  });
  return fresh.length === 0 ? known : [...known, ...fresh].sort(compare);
}

/** A moment earlier: `after` excludes the time it is given. */
export function beforeMillis(time: string): string {
  return new Date(Date.parse(time) - 1).toISOString();
}

/** From when on steps of a task may be unknown: the start of its last known turn. Null: from the beginning. */
export function resumeAt(steps: readonly Step[], taskId: string): string | null {
  const turn = steps.findLast(step => step.task_id === taskId && step.kind === 'model');
  return turn ? beforeMillis(turn.started_at) : null;
}

/** @param isOpen whether calls without a result are still under way in this task. */
export function buildGroups(steps: readonly Step[], isOpen: (taskId: string) => boolean): Group[] {
  const rows = steps.map(step => ({ taskId: step.task_id, runId: step.run_id, row: rowOf(step) }));
  for (const open of openTurns(steps)) {
    const { turn } = open;
    if (!isOpen(turn.task_id)) continue;
    const at = rows.findLastIndex(({ row }) => row.kind === 'words' && row.step === turn) + 1;
    const pending = pendingRows(open).map(row => ({ taskId: turn.task_id, runId: turn.run_id, row }));
    rows.splice(afterOwn(rows, at, turn.run_id), 0, ...pending);
  }
  const groups: Group[] = [];
  for (const { taskId, runId, row } of rows) {
    let group = groups.at(-1);
    if (group?.runId !== runId) {
      group = { key: row.key, taskId, runId, rows: [], turns: [] };
      groups.push(group);
    }
    if (row.kind === 'words') group.turns.push(row.step);
    if (!isMute(row)) group.rows.push(row);
  }
  return groups;
}

/** A turn without words whose calls stand below it needs no row of its own. */
const isMute = (row: Row): boolean => row.kind === 'words' && row.text === '' && callsOf(row.step).length > 0;

/** Where the results that directly follow a turn end: calls under way come after them. */
function afterOwn(rows: readonly { runId: string }[], from: number, runId: string): number {
  let at = from;
  while (rows[at]?.runId === runId) at++;
  return at;
}

function rowOf(step: Step): Row {
  const key = stepKey(step);
  if (step.kind === 'tool') return { kind: 'tool', key, step };
  if (step.kind === 'notice') return { kind: 'notice', key, step, text: textOf(step.data, 'text') };
  return { kind: 'words', key, step, text: wordsOf(step) };
}

interface OpenTurn {
  turn: Step;
  /** Calls without a result, in order. */
  calls: ToolCall[];
  /** When the last result came, or the turn itself ended. */
  since: string;
}

/** Delegated work runs side by side; every other call waits for the one before it, and is only named. */
function pendingRows({ turn, calls, since }: OpenTurn): Row[] {
  const first = calls.find(call => call.name !== 'delegate');
  const running = calls.filter(call => call.name === 'delegate' || call === first);
  const ahead = calls.filter(call => !running.includes(call));
  const rows: Row[] = running.map((call, index) => ({
    kind: 'pending',
    key: `${stepKey(turn)}.${call === first ? 'now' : index}`,
    call,
    since: call === first ? since : turn.ended_at,
  }));
  if (ahead.length > 0)
    rows.push({ kind: 'ahead', key: `${stepKey(turn)}.ahead`, names: ahead.map(call => call.name) });
  return rows;
}

/** The last turn of each run, with the calls that have no result yet. */
function openTurns(steps: readonly Step[]): OpenTurn[] {
  const byRun = new Map<string, { turn: Step; done: string[]; since: string }>();
  for (const step of [...steps].sort((a, b) => a.seq - b.seq)) {
    if (step.kind === 'model') byRun.set(step.run_id, { turn: step, done: [], since: step.ended_at });
    const open = byRun.get(step.run_id);
    if (step.kind !== 'tool' || !open) continue;
    open.done.push(step.name);
    open.since = step.ended_at;
  }
  return [...byRun.values()].map(({ turn, done, since }) => ({
    turn,
    since,
    calls: callsOf(turn).filter(call => {
      const at = done.indexOf(call.name);
      if (at >= 0) done.splice(at, 1);
      return at < 0;
    }),
  }));
}

function partsOf(step: Step): Record<string, unknown>[] {
  const { content } = step.data;
  return Array.isArray(content) ? content.filter(isRecord) : [];
}

function wordsOf(step: Step): string {
  return partsOf(step)
    .filter(part => part.type === 'text')
    .map(part => textOf(part, 'text'))
    .join('\n')
    .trim();
}

function callsOf(step: Step): ToolCall[] {
  return partsOf(step)
    .filter(part => part.type === 'tool_call')
    .map(part => ({ name: textOf(part, 'name'), arguments: isRecord(part.arguments) ? part.arguments : {} }));
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function textOf(record: Record<string, unknown>, key: string): string {
  const value = record[key];
  return typeof value === 'string' ? value : '';
}

/** What model calls took together. Cost is null when none of them had a price. */
export function sumTurns(turns: readonly Step[]): { tokens: number; costMicros: number | null; ms: number } {
  const sum = { tokens: 0, costMicros: null as number | null, ms: 0 };
  for (const { data } of turns) {
    for (const value of Object.values(isRecord(data.usage) ? data.usage : {}))
      if (typeof value === 'number') sum.tokens += value;
    const cost = numberOf(data, 'cost_micros');
    if (cost !== null) sum.costMicros = (sum.costMicros ?? 0) + cost;
    sum.ms += numberOf(data, 'total_ms') ?? 0;
  }
  return sum;
}

export function numberOf(record: Record<string, unknown>, key: string): number | null {
  const value = record[key];
  return typeof value === 'number' ? value : null;
}
