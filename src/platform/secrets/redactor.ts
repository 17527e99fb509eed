/**
 * Redaction: what is secret does not leave in a text. A secret that the server knows is found by its value, in every
 * form that it may take (forms.ts), however the text came about; credentials that it cannot know are found by their
 * looks. Values too short or too plain to be secrets are not learned: a text would lose its words.
 */
import { formsOf } from './forms.ts';
import { type Range, Search, shortestLength } from './search.ts';

export const mark = '[redacted]';

export interface Redactor {
  /** Never again leave this value in a text. */
  learn(value: string | Buffer): void;
  /** For what is read by operators: logs, problems, messages of errors. Known values, and what looks like a credential. */
  redact(text: string): string;
  /** For what work goes on with: steps, events, transcripts. Known values and our own credentials only. */
  redactValues(text: string): string;
  /** A document of JSON as `redact` does it; it stays JSON. */
  redactJson(json: string): string;
  /** Strings of a value of JSON, however deep, as `redactValues` does it. The value itself when nothing is in it. */
  redactDeep<T>(value: T): T;
  /** For a text that comes in pieces: see RedactingWindow. */
  window(): RedactingWindow;
}

/** A text in pieces. What may be the beginning of a secret is held back until it is known not to be one. */
export interface RedactingWindow {
  push(piece: string): string;
  /** What was held back. */
  end(): string;
}

/** More than this, and the oldest are forgotten: a bound on memory, far above what one installation holds. */
const mostValues = 5_000;
/** Longer than any secret; a longer value is known by its beginning. */
const longestValue = 16_384;

/** Credentials of our own: what `newToken` makes. */
const ownCredentials = /\bgh[a-z]_[A-Za-z0-9_-]{20,}/g;
const looksLikeCredential = new RegExp(
  [
    ownCredentials.source,
    '\\beyJ[A-Za-z0-9_-]{8,}\\.[A-Za-z0-9_-]{8,}\\.[A-Za-z0-9_-]*', // JWT
    '\\b(?:sk|pk|rk)-[A-Za-z0-9_-]{20,}', // model providers
    '\\b(?:AKIA|ASIA)[A-Z0-9]{16}\\b', // AWS
    '\\bhv[sb]\\.[A-Za-z0-9_-]{20,}', // Vault
    '(?<=\\b(?:Bearer|Basic|bearer|basic) )[A-Za-z0-9+/._~=-]{8,}',
    '(?<=\\b[a-z][a-z0-9+.-]{1,20}://)[^\\s/?#@"\'\\\\]{0,200}:[^\\s/?#@"\'\\\\]{1,500}(?=@)', // user:password@
  ].join('|'),
  'g',
);

export function createRedactor(): Redactor {
  const values = new Set<string>();
  let search = new Search();
  const forget = (): void => {
    const kept = [...values].slice(mostValues / 10);
    values.clear();
    search = new Search();
    for (const value of kept) {
      values.add(value);
      for (const form of formsOf(Buffer.from(value, 'latin1'))) search.add(form);
    }
  };
  const redactValues = (text: string): string =>
    text.length < shortestLength ? text : cut(text, search.find(text)).replace(ownCredentials, mark);
  const redact = (text: string): string =>
    text.length < shortestLength ? text : cut(text, search.find(text)).replace(looksLikeCredential, mark);
  const redactDeep = <T>(value: T): T => deep(value, redactValues) as T;
  return {
    learn(value) {
      const bytes = Buffer.from(value as string).subarray(0, longestValue);
      if (!isLearnable(bytes)) return;
      const name = bytes.toString('latin1');
      if (values.has(name)) return;
      if (values.size >= mostValues) forget();
      values.add(name);
      for (const form of formsOf(typeof value === 'string' ? value.slice(0, longestValue) : bytes))
        search.add(form);
    },
    redact,
    redactValues,
    redactJson(json) {
      const redacted = redact(json);
      if (redacted === json || isJson(redacted)) return redacted;
      // A secret of digits stood where JSON wants a number, or took a quote along.
      return isJson(json) ? JSON.stringify(deep(JSON.parse(json), redact)) : redacted;
    },
    redactDeep,
    window: () => newWindow(() => search),
  };
}

/** What this process knows to be secret. There is one, as there is one log: a secret of one part is one of all. */
export const redactor: Redactor = createRedactor();

/** Eight characters, and not merely a word or a row of the same: those are in every text. */
function isLearnable(bytes: Buffer): boolean {
  if (bytes.length < shortestLength || new Set(bytes).size < 5) return false;
  return bytes.length >= 16 || !/^[a-z]+$/i.test(bytes.toString('latin1'));
}

function cut(text: string, ranges: readonly Range[]): string {
  if (ranges.length === 0) return text;
  let result = '';
  let from = 0;
  for (const { start, end } of ranges) {
    result += text.slice(from, start) + mark;
    from = end;
  }
  return result + text.slice(from);
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** A number can be a secret too: it becomes a text when something was cut out of it. */
function deep(value: unknown, change: (text: string) => string): unknown {
  if (typeof value === 'string') return change(value);
  if (typeof value === 'number') {
    const text = String(value);
    const changed = change(text);
    return changed === text ? value : changed;
  }
  if (Array.isArray(value)) {
    const changed = value.map(item => deep(item, change));
    return changed.some((item, at) => item !== value[at]) ? changed : value;
  }
  if (value === null || typeof value !== 'object') return value;
  const entries = Object.entries(value);
  const changed = entries.map(([name, item]) => [change(name), deep(item, change)] as const);
  const same = changed.every(([name, item], at) => name === entries[at]?.[0] && item === entries[at]?.[1]);
  return same ? value : Object.fromEntries(changed);
}

function newWindow(current: () => Search): RedactingWindow {
  let held = '';
  return {
    push(piece) {
      const text = held + piece;
      const { found, tail } = current().findWithTail(text);
      held = text.slice(tail);
      return cut(text.slice(0, tail), found);
    },
    end() {
      const rest = cut(held, current().find(held));
      held = '';
      return rest;
    },
  };
}
