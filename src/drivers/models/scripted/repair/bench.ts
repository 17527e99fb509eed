/**
 * The workbench: what is known of the files and what each trial showed, replayed from the transcript.
 *
 * Every successful edit is applied to the remembered text, so each command that ran belongs to an exact state of the
 * files. An edit that was refused changes nothing here either, and the trials after it are booked where they belong.
 */
import { createHash } from 'node:crypto';
import { type CommandResult, type FilePart, readCommandResult, readFileResult } from '../tool-results.ts';
import { type Transcript, textArgument } from '../transcript.ts';

export interface Bench {
  /** Present text of the files that were read whole. */
  files: Map<string, string>;
  /** The same files as they were when first seen. */
  original: Map<string, string>;
  /** Files that could not be read. */
  unreadable: Set<string>;
  /** Files of which only the first lines were read so far: the text and the line to go on from. */
  begun: Map<string, { text: string; next: number; of: number }>;
  /** Results by state and command; the last one counts. */
  trials: Map<string, CommandResult>;
  /** States in which any command ran. */
  states: Set<string>;
  /** States that were to be reached by an edit which was refused. */
  unreachable: Set<string>;
  /** Reasons of tool calls that were refused or went wrong, in order. */
  refusals: { tool: string; reason: string }[];
}

/** Changed files only: path to text. */
export type State = Map<string, string>;

export function readBench(transcript: Transcript): Bench {
  const bench: Bench = {
    files: new Map(),
    original: new Map(),
    unreadable: new Set(),
    begun: new Map(),
    trials: new Map(),
    states: new Set(),
    unreachable: new Set(),
    refusals: [],
  };
  for (const use of transcript.uses) {
    if (!use.result) continue;
    const { content, is_error } = use.result;
    if (is_error) bench.refusals.push({ tool: use.name, reason: content });
    const path = textArgument(use, 'path');
    if (use.name === 'read_file') {
      remember(bench, path, is_error ? null : readFileResult(content));
    } else if (use.name === 'edit_file') {
      const text = bench.files.get(path) ?? '';
      const old = textArgument(use, 'old_text');
      const at = old === '' ? -1 : text.indexOf(old);
      if (at < 0) continue;
      const next = text.slice(0, at) + textArgument(use, 'new_text') + text.slice(at + old.length);
      bench.files.set(path, next);
      if (!is_error) continue;
      bench.unreachable.add(stateKey(presentState(bench)));
      bench.files.set(path, text);
    } else if (use.name === 'run_command') {
      const refused = { exitCode: null, outcome: 'refused', durationMs: 0, output: content };
      const result = (is_error ? null : readCommandResult(content)) ?? refused;
      const key = stateKey(presentState(bench));
      bench.trials.set(trialKey(key, textArgument(use, 'command')), result);
      bench.states.add(key);
    }
  }
  return bench;
}

/** Files are read in parts that follow each other; a part in the wrong place is of no use. */
function remember(bench: Bench, path: string, part: FilePart | null): void {
  const before = bench.begun.get(path);
  bench.begun.delete(path);
  const expected = before?.next ?? 1;
  if (!part || (part.from !== expected && part.of > 0)) {
    bench.unreadable.add(path);
    return;
  }
  const text = before ? `${before.text}\n${part.text}` : part.text;
  if (part.to < part.of) {
    bench.begun.set(path, { text, next: part.to + 1, of: part.of });
    return;
  }
  bench.files.set(path, text);
  if (!bench.original.has(path)) bench.original.set(path, text);
}

/** What differs now from the files as first seen. */
export function presentState(bench: Bench): State {
  const changed: State = new Map();
  for (const [path, text] of bench.files) {
    if (text !== bench.original.get(path)) changed.set(path, text);
  }
  return changed;
}

export function stateKey(state: State): string {
  if (state.size === 0) return 'original';
  const hash = createHash('sha1');
  for (const [path, text] of [...state].sort(([a], [b]) => (a < b ? -1 : 1)))
    hash.update(`${path}\0${text}\0`);
  return hash.digest('hex');
}

function trialKey(key: string, command: string): string {
  return `${key} ${command}`;
}

export function resultOf(bench: Bench, key: string, command: string): CommandResult | null {
  return bench.trials.get(trialKey(key, command)) ?? null;
}

/** The whole text of a file in a state. */
export function textIn(bench: Bench, state: State, path: string): string {
  return state.get(path) ?? bench.original.get(path) ?? '';
}
