/**
 * Bodies in JSON, read once for what JSON.parse lets pass: a name twice in one object (two readers may take different
 * ones), names that reach the prototype of objects, nesting without end, and bytes that are not UTF-8.
 */
import { isUtf8 } from 'node:buffer';
import { Problem } from '../../base/problem.ts';
import type { Server } from './server.ts';

/** Deeper than any of our schemas, shallower than what breaks a recursive reader. */
const depthLimit = 64;

/** Replaces the server's own parser. */
export function parseJsonStrictly(server: Server): void {
  server.removeContentTypeParser('application/json');
  server.addContentTypeParser(
    'application/json',
    { parseAs: 'buffer' },
    async (_request: unknown, body: Buffer) => parseJson(body),
  );
}

/** @throws Problem `request_malformed` (400), `json_too_deep`, `json_key_refused`. */
export function parseJson(body: Buffer): unknown {
  if (!isUtf8(body)) throw malformed();
  const text = body.toString('utf8');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw malformed();
  }
  // Only what is an object can have names, and most of what is sent is shallow: one pass over the text.
  if (typeof value === 'object' && value !== null) scan(text);
  return value;
}

const malformed = (): Problem =>
  new Problem('invalid', 'request_malformed', 'The request could not be read: is the body valid JSON?', {
    status: 400,
  });

interface Level {
  /** Names so far; null in an array. */
  names: Set<string> | null;
  /** The name that this value stands under. */
  under: string | null;
  /** The name that was read last. */
  name: string | null;
}

const quote = 0x22;
const backslash = 0x5c;

/** Goes over text that is known to be JSON. */
function scan(text: string): void {
  const levels: Level[] = [];
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === quote) {
      const end = endOfString(text, at);
      const level = levels.at(-1);
      if (level?.names && isName(text, end)) readName(level, text.slice(at, end + 1));
      at = end;
    } else if (code === 0x7b || code === 0x5b) {
      const under = levels.at(-1)?.name ?? null;
      levels.push({ names: code === 0x7b ? new Set() : null, under, name: null });
      if (levels.length > depthLimit)
        throw new Problem('invalid', 'json_too_deep', `The body is nested deeper than ${depthLimit} levels.`);
    } else if (code === 0x7d || code === 0x5d) levels.pop();
  }
}

function endOfString(text: string, start: number): number {
  let at = start + 1;
  for (let code = text.charCodeAt(at); code !== quote; code = text.charCodeAt(at))
    at += code === backslash ? 2 : 1;
  return at;
}

/** Whether a string is followed by a colon. */
function isName(text: string, end: number): boolean {
  let at = end + 1;
  while (/\s/.test(text.charAt(at))) at += 1;
  return text.charAt(at) === ':';
}

function readName(level: Level, quoted: string): void {
  const name = quoted.includes('\\') ? (JSON.parse(quoted) as string) : quoted.slice(1, -1);
  const reaches = name === '__proto__' || (name === 'prototype' && level.under === 'constructor');
  if (reaches || level.names?.has(name))
    throw new Problem(
      'invalid',
      'json_key_refused',
      reaches
        ? 'The body has a name that reaches the prototype of objects.'
        : 'The body has an object in which a name stands twice.',
      { status: 400 },
    );
  level.names?.add(name);
  level.name = name;
}
