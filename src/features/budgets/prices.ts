/**
 * Prices: dated rows per model and token bucket, never rewritten; the newest that is valid at the time of a call
 * decides. Published ones are for all; those that an organization adds are for its own calls and go first. A model without a price is *unpriced*: its cost is unknown, never zero, and no call under a money
 * budget is made with it.
 */
import { sql } from 'kysely';
import { newId } from '../../base/ids.ts';
import { tokenCost } from '../../base/money.ts';
import type { Reader, Tx } from '../../platform/db/db.ts';
import type { Row } from '../../platform/db/schema.ts';

/** Disjoint token counts, as the model port gives them. */
export interface TokenCounts {
  input_tokens: number;
  cached_read_tokens: number;
  cached_write_tokens: number;
  output_tokens: number;
  reasoning_tokens: number;
}

export type Price = Row<'prices'>;

/** Published list prices in dollars per million tokens: input, cached read, cached write, output. */
const published: [
  provider: string,
  model: string,
  input: number,
  read: number,
  write: number,
  output: number,
  source: string,
][] = [
  ['scripted', 'team', 0, 0, 0, 0, 'runs inside Guildhall, costs nothing'],
  ['anthropic', 'claude-opus-4-5', 5, 0.5, 6.25, 25, 'anthropic.com/pricing'],
  ['anthropic', 'claude-sonnet-4-5', 3, 0.3, 3.75, 15, 'anthropic.com/pricing'],
  ['anthropic', 'claude-haiku-4-5', 1, 0.1, 1.25, 5, 'anthropic.com/pricing'],
  ['openai', 'gpt-5', 1.25, 0.125, 1.25, 10, 'openai.com/api/pricing'],
  ['openai', 'gpt-5-mini', 0.25, 0.025, 0.25, 2, 'openai.com/api/pricing'],
  ['openai', 'gpt-5-nano', 0.05, 0.005, 0.05, 0.4, 'openai.com/api/pricing'],
];

const micros = (dollars: number): number => Math.round(dollars * 1_000_000);

/** Writes the published prices that are not there yet. */
export async function ensurePublishedPrices(tx: Tx): Promise<void> {
  const validFrom = new Date(Date.UTC(2025, 0, 1));
  for (const [provider, model, input, read, write, output, source] of published) {
    await addPrice(tx, {
      provider,
      model,
      valid_from: validFrom,
      input_micros: micros(input),
      cached_read_micros: micros(read),
      cached_write_micros: micros(write),
      output_micros: micros(output),
      source,
    });
  }
}

/** Without an organization it is a published one. */
export type NewPrice = Omit<Price, 'id' | 'organization_id'> & { organization_id?: string };

/** Adds a dated price; the same model and date a second time changes nothing: prices are not rewritten. */
export async function addPrice(tx: Tx, price: NewPrice): Promise<void> {
  await tx
    .insertInto('prices')
    .values({ id: newId('prc'), ...price })
    .onConflict(oc => oc.columns(['organization_id', 'provider', 'model', 'valid_from']).doNothing())
    .execute();
}

const pricesLock = 7_204_812_119;

/**
 * Between who adds prices and who is about to wait for one: either the waiter sees the new price, or whoever adds it
 * sees the waiter and wakes it. Held to the end of the transaction.
 */
export async function lockPrices(tx: Tx, mode: 'add' | 'wait'): Promise<void> {
  const lock = mode === 'add' ? sql`pg_advisory_xact_lock` : sql`pg_advisory_xact_lock_shared`;
  await sql`select ${lock}(${pricesLock}::bigint)`.execute(tx);
}

/**
 * The price in force for the calls of an organization. A dated release of a model (`claude-sonnet-4-5-20250929`, `gpt-5-2025-08-07`) has the price
 * of the model that it is a release of.
 */
export async function findPrice(
  db: Reader,
  of: { organizationId: string },
  provider: string,
  model: string,
  at: Date,
): Promise<Price | null> {
  const family = model.replace(/-(\d{8}|\d{4}-\d{2}-\d{2}|latest)$/, '');
  const rows = await db
    .selectFrom('prices')
    .selectAll()
    .where('provider', '=', provider)
    .where('model', 'in', [model, family])
    .where(eb => eb.or([eb('organization_id', 'is', null), eb('organization_id', '=', of.organizationId)]))
    .where('valid_from', '<=', at)
    .orderBy('valid_from', 'desc')
    .execute();
  const own = rows.filter(row => row.organization_id !== null);
  const inForce = own.length > 0 ? own : rows;
  return inForce.find(row => row.model === model) ?? inForce[0] ?? null;
}

/** Cost in micro-dollars; each bucket is rounded up on its own. Reasoning is charged as output. */
export function costOf(price: Price, tokens: TokenCounts): number {
  return (
    tokenCost(tokens.input_tokens, price.input_micros) +
    tokenCost(tokens.cached_read_tokens, price.cached_read_micros) +
    tokenCost(tokens.cached_write_tokens, price.cached_write_micros) +
    tokenCost(tokens.output_tokens + tokens.reasoning_tokens, price.output_micros)
  );
}

/** The most that `inputTokens` can cost whatever the cache does. */
export function dearestInputCost(price: Price, inputTokens: number): number {
  return tokenCost(
    inputTokens,
    Math.max(price.input_micros, price.cached_write_micros, price.cached_read_micros),
  );
}
