/**
 * Money is whole micro-dollars (1 USD = 1,000,000) so that sums are exact. Prices are micro-dollars per million
 * tokens, i.e. the published dollar price per million tokens × 1,000,000.
 */

/** Micro-dollars for `tokens` at a price per million tokens, rounded up: a charge is never below what it costs. */
export function tokenCost(tokens: number, microsPerMillion: number): number {
  return Math.ceil((tokens * microsPerMillion) / 1_000_000);
}

/** `$0.0123` for people: as many places as the amount needs, at least two. */
export function formatMicros(micros: number): string {
  const text = (micros / 1_000_000).toFixed(6);
  return `$${text.replace(/(\.\d\d\d*?)0+$/, '$1')}`;
}
