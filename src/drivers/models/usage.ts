/**
 * Token counts in disjoint buckets, and the bound that stands in where a provider sent none.
 *
 * Absent and zero are different things: a reported zero is exact, an absent count is estimated. The estimate is an
 * upper one: with the byte-level vocabularies in use a token is at least one byte, so bytes bound tokens.
 */

import type { Json, JsonObject } from '../../base/json.ts';
import { type ModelRequest, type ModelUsage, noUsage } from '../../features/models/port.ts';
import { isObject } from './failures.ts';

/** Tokens that a chat template may add around a request beyond its JSON text. */
const templateTokens = 512;

export interface ReportedUsage {
  usage: ModelUsage;
  /** False while the output is still growing: the numbers then are what was counted at the start. */
  final: boolean;
}

export interface InclusiveCounts {
  input: number;
  cachedRead: number;
  cachedWrite: number;
  output: number;
  reasoning: number;
}

/** OpenAI's way of counting, where `input` contains the cached tokens and `output` the reasoning tokens. */
export function disjointUsage(counts: InclusiveCounts): ModelUsage {
  const cachedRead = Math.min(counts.cachedRead, counts.input);
  const cachedWrite = Math.min(counts.cachedWrite, counts.input - cachedRead);
  const reasoning = Math.min(counts.reasoning, counts.output);
  return {
    input_tokens: counts.input - cachedRead - cachedWrite,
    cached_read_tokens: cachedRead,
    cached_write_tokens: cachedWrite,
    output_tokens: counts.output - reasoning,
    reasoning_tokens: reasoning,
  };
}

/** The usage of a finished call; what the provider left out is bounded from above. */
export function settledUsage(
  reported: ReportedUsage | null,
  request: ModelRequest,
  requestBytes: number,
  outputBytes: number,
): { usage: ModelUsage; exact: boolean } {
  if (reported?.final) return { usage: reported.usage, exact: true };
  const bound = Math.min(outputBytes, request.max_output_tokens);
  const start = reported?.usage ?? { ...noUsage, input_tokens: requestBytes + templateTokens };
  return { usage: { ...start, output_tokens: Math.max(start.output_tokens, bound) }, exact: false };
}

/**
 * The usage of a call that failed midway: exact when the provider got to report it; when only the input was
 * reported, that and a bound on the output seen; null when nothing was.
 */
export function interruptedUsage(
  reported: ReportedUsage | null,
  request: ModelRequest,
  outputBytes: number,
): ModelUsage | null {
  return reported ? settledUsage(reported, request, 0, outputBytes).usage : null;
}

/** A count, or undefined when the field is absent, null or no whole number. */
export function count(value: Json | undefined): number | undefined {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined;
}

export function objectAt(parent: JsonObject, key: string): JsonObject {
  const value = parent[key];
  return isObject(value) ? value : {};
}
