/**
 * From one state of the files to another with `edit_file` calls. The tool replaces a text that must occur exactly
 * once, so each edit takes along as many neighbouring lines as make it unique, before and after.
 */
import type { ToolCall } from '../answer.ts';
import { type Bench, type State, textIn } from './bench.ts';

/** Two changes closer than this are one edit; farther apart, the first is taken back separately. */
const nearLines = 8;

export function moves(bench: Bench, from: State, to: State, between?: State): ToolCall[] {
  const calls: ToolCall[] = [];
  for (const path of new Set([...from.keys(), ...to.keys()])) {
    const before = textIn(bench, from, path);
    const after = textIn(bench, to, path);
    if (before === after) continue;
    const middle = between ? textIn(bench, between, path) : after;
    const far = changedLines(before, after) > nearLines && middle !== before && middle !== after;
    if (far) calls.push(edit(path, before, middle), edit(path, middle, after));
    else calls.push(edit(path, before, after));
  }
  return calls;
}

function edit(path: string, before: string, after: string): ToolCall {
  return { name: 'edit_file', arguments: { path, ...uniqueChange(before, after) } };
}

interface Window {
  old: string[];
  fresh: string[];
  /** Lines that both texts share before and after the change. */
  head: number;
  tail: number;
}

function window(before: string, after: string): Window {
  const old = before.split('\n');
  const fresh = after.split('\n');
  let head = 0;
  while (head < Math.min(old.length, fresh.length) && old[head] === fresh[head]) head += 1;
  let tail = 0;
  while (tail < Math.min(old.length, fresh.length) - head && old.at(-1 - tail) === fresh.at(-1 - tail))
    tail += 1;
  return { old, fresh, head, tail };
}

export function changedLines(before: string, after: string): number {
  const { old, fresh, head, tail } = window(before, after);
  return Math.max(old.length, fresh.length) - head - tail;
}

export function uniqueChange(before: string, after: string): { old_text: string; new_text: string } {
  const { old, fresh, head, tail } = window(before, after);
  for (let around = 0; ; around += 1) {
    const from = Math.max(0, head - around);
    const end = Math.max(0, tail - around);
    const oldText = old.slice(from, old.length - end).join('\n');
    const newText = fresh.slice(from, fresh.length - end).join('\n');
    const whole = from === 0 && end === 0;
    if (whole || (occursOnce(before, oldText) && occursOnce(after, newText))) {
      return { old_text: oldText, new_text: newText };
    }
  }
}

function occursOnce(text: string, piece: string): boolean {
  if (piece.trim() === '') return false;
  const at = text.indexOf(piece);
  return at >= 0 && text.indexOf(piece, at + 1) < 0;
}

/** A change in words, line by line: `- old` and `+ new`. */
export function describeChange(path: string, before: string, after: string): string {
  const { old, fresh, head, tail } = window(before, after);
  const removed = old.slice(head, old.length - tail).map(line => `- ${line.trim()}`);
  const added = fresh.slice(head, fresh.length - tail).map(line => `+ ${line.trim()}`);
  return [`${path}, line ${head + 1}:`, ...removed, ...added].join('\n');
}
