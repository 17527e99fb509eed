/**
 * Text that can be kept. PostgreSQL stores no NUL, and JSON with half of a surrogate pair is not text at all: both
 * are refused at the door, for every field alike, rather than found out by the database.
 */
import { Problem } from '../../base/problem.ts';

/** Whether every string in the value, however deep, can be stored. Not recursive: the depth is the sender's choice. */
export function isStorable(value: unknown): boolean {
  const open: unknown[] = [value];
  while (open.length > 0) {
    const next = open.pop();
    if (typeof next === 'string') {
      if (next.includes('\0') || !next.isWellFormed()) return false;
    } else if (next !== null && typeof next === 'object') {
      for (const part of Object.values(next)) open.push(part);
    }
  }
  return true;
}

/** @throws Problem `text_invalid`. */
export function requireStorable(parts: Record<string, unknown>): void {
  for (const [name, value] of Object.entries(parts)) {
    if (isStorable(value)) continue;
    throw new Problem(
      'invalid',
      'text_invalid',
      `The ${name} of the request has a NUL character or half of a surrogate pair, which is not text.`,
    );
  }
}
