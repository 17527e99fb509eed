/** Exponential backoff with full jitter on its upper half: spread enough to avoid herds, never near zero. */

export interface BackoffOptions {
  baseMs: number;
  capMs: number;
}

/** Delay in milliseconds before retry number `attempt` (1 for the first). @param random 0 ≤ random < 1. */
export function backoffMs(attempt: number, options: BackoffOptions, random: number = Math.random()): number {
  const ceiling = Math.min(options.capMs, options.baseMs * 2 ** (attempt - 1));
  return Math.round(ceiling / 2 + (ceiling / 2) * random);
}
