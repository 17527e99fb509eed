/** When a provider says a retry may succeed: `Retry-After` in its forms, and the providers' own reset headers. */
import type { Headers } from './http.ts';

/** Milliseconds from now; undefined when the answer does not tell. @param now milliseconds since the epoch. */
export function retryAfterMs(headers: Headers, now: number): number | undefined {
  const milliseconds = numberOf(one(headers['retry-after-ms']));
  if (milliseconds !== undefined) return Math.ceil(milliseconds);
  const value = one(headers['retry-after']);
  const seconds = numberOf(value);
  if (seconds !== undefined) return Math.ceil(seconds * 1_000);
  const date = instantOf(value ?? '');
  if (date !== undefined) return Math.max(0, date - now);
  const waits = exhaustedResets(headers, now);
  return waits.length > 0 ? Math.max(...waits) : undefined;
}

/**
 * The waits for those limits that are used up. Anthropic gives a time (`anthropic-ratelimit-tokens-reset:
 * 2030-01-01T00:00:30Z`), OpenAI a duration (`x-ratelimit-reset-tokens: 6m0s`); both tell what remains beside it.
 */
function exhaustedResets(headers: Headers, now: number): number[] {
  const waits: number[] = [];
  for (const name of Object.keys(headers)) {
    const anthropic = /^anthropic-ratelimit-(.+)-reset$/.exec(name);
    const openAi = /^x-ratelimit-reset-(.+)$/.exec(name);
    const remaining = anthropic
      ? `anthropic-ratelimit-${anthropic[1]}-remaining`
      : `x-ratelimit-remaining-${openAi?.[1]}`;
    if (!(anthropic || openAi) || (numberOf(one(headers[remaining])) ?? 0) > 0) continue;
    const reset = one(headers[name]) ?? '';
    const instant = anthropic ? instantOf(reset) : undefined;
    const wait = instant === undefined ? durationMs(reset) : instant - now;
    if (wait !== undefined) waits.push(Math.max(0, Math.ceil(wait)));
  }
  return waits;
}

/** A time with its zone (HTTP's `GMT`, or RFC 3339); without one it would be read in the zone of this machine. */
function instantOf(text: string): number | undefined {
  if (!/(GMT|Z|[+-]\d\d:\d\d)$/.test(text)) return undefined;
  const instant = new Date(text).getTime();
  return Number.isNaN(instant) ? undefined : instant;
}

const unitMs: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `1h2m3.5s`, `20ms`, or a bare number of seconds. */
function durationMs(text: string): number | undefined {
  const bare = numberOf(text);
  if (bare !== undefined) return bare * 1_000;
  if (!/^(\d+(\.\d+)?(ms|s|m|h|d))+$/.test(text)) return undefined;
  let sum = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g))
    sum += Number(amount) * unitMs[unit!]!;
  return sum;
}

function numberOf(text: string | undefined): number | undefined {
  return text !== undefined && /^\d+(\.\d+)?$/.test(text.trim()) ? Number(text) : undefined;
}

/** A header's value; the first when it was sent several times. */
export function one(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value;
}
