/**
 * Values as test runners print them (`{ id: 1, tags: [ 'a' ] }`), read back. What is not a plain value (functions,
 * dates, cut off parts) is kept as `Opaque`, so that it never compares equal to something else by accident.
 */

export class Opaque {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

export type Value =
  | string
  | number
  | boolean
  | null
  | undefined
  | Opaque
  | Value[]
  | { [key: string]: Value };

/** Where two values differ, leaf by leaf. */
export interface Pair {
  actual: Value;
  expected: Value;
}

export function isRecord(value: Value): value is { [key: string]: Value } {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Opaque);
}

export function same(a: Value, b: Value): boolean {
  return differences(a, b).length === 0;
}

export function differences(actual: Value, expected: Value): Pair[] {
  if (Array.isArray(actual) && Array.isArray(expected) && actual.length === expected.length) {
    return actual.flatMap((item, index) => differences(item, expected[index]));
  }
  if (isRecord(actual) && isRecord(expected)) {
    const keys = new Set([...Object.keys(actual), ...Object.keys(expected)]);
    return [...keys].flatMap(key => differences(actual[key], expected[key]));
  }
  if (actual instanceof Opaque && expected instanceof Opaque && actual.text === expected.text) return [];
  return Object.is(actual, expected) ? [] : [{ actual, expected }];
}

/** All leaves of a value, keys not included. */
export function leaves(value: Value): Value[] {
  if (Array.isArray(value)) return value.flatMap(leaves);
  return isRecord(value) ? Object.values(value).flatMap(leaves) : [value];
}

interface Cursor {
  text: string;
  at: number;
}

/** The value printed at an offset, or null when there is none. */
export function readValue(text: string, at = 0): { value: Value; end: number } | null {
  const cursor = { text, at };
  const value = readAt(cursor);
  return value === nothing ? null : { value: value as Value, end: cursor.at };
}

const nothing = Symbol('no value');

function take(cursor: Cursor, pattern: RegExp): RegExpExecArray | null {
  pattern.lastIndex = cursor.at;
  const match = pattern.exec(cursor.text);
  if (match) cursor.at = pattern.lastIndex;
  return match;
}

function readAt(cursor: Cursor): Value | typeof nothing {
  take(cursor, /\s*/y);
  const opaqueStart = cursor.at;
  if (
    take(
      cursor,
      /\[(Function|class|Getter|Setter|Circular|Object|Array|Symbol|AsyncFunction|GeneratorFunction)[^\]\n]*\](?! \{)/y,
    )
  ) {
    return new Opaque(cursor.text.slice(opaqueStart, cursor.at));
  }
  take(cursor, /(\[[\w$]+(: null prototype)?\]|[A-Z][\w$]*)(\(\d+\))?(?: \[[\w$]+\])?\s+(?=[[{])/y);
  const prefix = cursor.text.slice(opaqueStart, cursor.at);
  if (prefix.startsWith('Promise')) {
    take(cursor, /\{[^}]*\}/y);
    return new Opaque('Promise');
  }
  if (take(cursor, /\[/y)) return readList(cursor, /\s*\]/y);
  if (/^(Set|Weak)/.test(prefix) && take(cursor, /\{/y)) return readList(cursor, /\s*\}/y);
  if (take(cursor, /\{/y)) return readRecord(cursor);
  const string = readString(cursor);
  if (string !== null) return string;
  const scalar = take(
    cursor,
    /-?(?:\d[\d_]*(?:\.\d+)?(?:e[+-]?\d+)?|Infinity)n?(?![\w-])|(?:true|false|null|undefined|NaN)\b/y,
  );
  if (scalar) return readScalar(scalar[0]);
  const other = take(cursor, /[^\s,\]}][^,\n\]}]*/y);
  return other ? new Opaque(other[0]) : nothing;
}

function readScalar(text: string): Value {
  if (text === 'true' || text === 'false') return text === 'true';
  if (text === 'null') return null;
  if (text === 'undefined') return undefined;
  return text.endsWith('n') ? new Opaque(text) : Number(text.replaceAll('_', ''));
}

/** A quoted string; long ones are printed in pieces joined by `+`. */
function readString(cursor: Cursor): string | null {
  const first = take(cursor, /'((?:[^'\\\n]|\\.)*)'|"((?:[^"\\\n]|\\.)*)"|`((?:[^`\\]|\\.)*)`/y);
  if (!first) return null;
  const text = decodeEscapes(first[1] ?? first[2] ?? first[3] ?? '');
  return take(cursor, /\s*\+\s*(?=['"`])/y) ? text + (readString(cursor) ?? '') : text;
}

export function decodeEscapes(text: string): string {
  return text.replace(
    /\\(?:u([\da-fA-F]{4})|x([\da-fA-F]{2})|([\s\S]))/g,
    (_, u?: string, x?: string, char?: string) => {
      if (u ?? x) return String.fromCharCode(Number.parseInt((u ?? x)!, 16));
      return { n: '\n', t: '\t', r: '\r', 0: '\0', b: '\b' }[char!] ?? char!;
    },
  );
}

function readList(cursor: Cursor, end: RegExp): Value {
  const list: Value[] = [];
  while (!take(cursor, end)) {
    const value = readAt(cursor);
    if (value === nothing) return new Opaque('cut off');
    list.push(value as Value);
    take(cursor, /\s*,/y);
  }
  return list;
}

function readRecord(cursor: Cursor): Value {
  const record: { [key: string]: Value } = {};
  while (!take(cursor, /\s*\}/y)) {
    take(cursor, /\s*/y);
    const quoted = readString(cursor);
    const key = quoted ?? take(cursor, /[\w$]+|\[[^\]\n]+\]/y)?.[0];
    if (key === undefined || !take(cursor, /\s*(?::|=>)/y)) return new Opaque('cut off');
    const value = readAt(cursor);
    if (value === nothing) return new Opaque('cut off');
    record[key] = value as Value;
    take(cursor, /\s*,/y);
  }
  return record;
}
