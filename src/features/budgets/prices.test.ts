import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { openTestDatabase } from '../../../test/harness/database.ts';
import { transact } from '../../platform/db/db.ts';
import {
  addPrice,
  costOf,
  dearestInputCost,
  ensurePublishedPrices,
  findPrice,
  type Price,
  type TokenCounts,
} from './prices.ts';

const database = await openTestDatabase();
after(() => database[Symbol.asyncDispose]());
const { db } = database;
await transact(db, ensurePublishedPrices);
const somebody = { organizationId: 'org_somebody' };

const at = (text: string): Date => new Date(`${text}T00:00:00Z`);
const today = at('2026-06-01');
const tokens = (counts: Partial<TokenCounts>): TokenCounts => ({
  input_tokens: 0,
  cached_read_tokens: 0,
  cached_write_tokens: 0,
  output_tokens: 0,
  reasoning_tokens: 0,
  ...counts,
});
async function priceOf(provider: string, model: string, when = today): Promise<Price> {
  const price = await findPrice(db, somebody, provider, model, when);
  assert.ok(price, `${provider}/${model} has no price`);
  return price;
}

/** Provider, model, tokens, and what the providers' price lists make of them in micro-dollars, worked out by hand. */
const golden: [string, string, Partial<TokenCounts>, number][] = [
  ['anthropic', 'claude-sonnet-4-5', { input_tokens: 1_000_000 }, 3_000_000],
  ['anthropic', 'claude-sonnet-4-5', { output_tokens: 1_000_000 }, 15_000_000],
  ['anthropic', 'claude-sonnet-4-5', { cached_read_tokens: 1_000_000 }, 300_000],
  ['anthropic', 'claude-sonnet-4-5', { cached_write_tokens: 1_000_000 }, 3_750_000],
  ['anthropic', 'claude-sonnet-4-5', { input_tokens: 1_234, output_tokens: 567 }, 3_702 + 8_505],
  [
    'anthropic',
    'claude-sonnet-4-5',
    { input_tokens: 12, cached_read_tokens: 180_000, cached_write_tokens: 4_000, output_tokens: 900 },
    36 + 54_000 + 15_000 + 13_500,
  ],
  [
    'anthropic',
    'claude-opus-4-5',
    { input_tokens: 10, cached_read_tokens: 1, output_tokens: 10 },
    50 + 1 + 250,
  ],
  [
    'anthropic',
    'claude-haiku-4-5',
    { input_tokens: 3, cached_read_tokens: 3, cached_write_tokens: 3, output_tokens: 3 },
    3 + 1 + 4 + 15,
  ],
  ['openai', 'gpt-5', { input_tokens: 1_000, output_tokens: 100, reasoning_tokens: 900 }, 1_250 + 10_000],
  ['openai', 'gpt-5', { input_tokens: 1, output_tokens: 1 }, 2 + 10],
  [
    'openai',
    'gpt-5-mini',
    { input_tokens: 1_000_000, cached_read_tokens: 1_000_000, output_tokens: 1_000_000 },
    250_000 + 25_000 + 2_000_000,
  ],
  ['openai', 'gpt-5-nano', { input_tokens: 1, cached_read_tokens: 1, output_tokens: 1 }, 1 + 1 + 1],
  ['scripted', 'team', { input_tokens: 1_000_000, output_tokens: 1_000_000 }, 0],
];

for (const [provider, model, counts, micros] of golden) {
  test(`CST-02 ${provider}/${model} ${JSON.stringify(counts)} costs ${micros} micro-dollars`, async () => {
    assert.equal(costOf(await priceOf(provider, model), tokens(counts)), micros);
  });
}

test('CST-02 nothing used costs nothing, and output is charged although no input was (and the other way round)', async () => {
  const price = await priceOf('anthropic', 'claude-sonnet-4-5');
  assert.equal(costOf(price, tokens({})), 0);
  assert.equal(costOf(price, tokens({ output_tokens: 1 })), 15);
  assert.equal(costOf(price, tokens({ reasoning_tokens: 1 })), 15);
  assert.equal(costOf(price, tokens({ input_tokens: 1 })), 3);
});

test('CST-02 a long context of millions of tokens is exact', async () => {
  const price = await priceOf('anthropic', 'claude-opus-4-5');
  const counts = tokens({
    input_tokens: 987_654_321,
    cached_read_tokens: 123_456_789,
    output_tokens: 55_555_555,
  });
  assert.equal(costOf(price, counts), 987_654_321 * 5 + Math.ceil(123_456_789 / 2) + 55_555_555 * 25);
});

test('CST-02 a dated release costs what its model costs; another model does not', async () => {
  const family = (await priceOf('anthropic', 'claude-sonnet-4-5')).id;
  for (const release of ['claude-sonnet-4-5-20250929', 'claude-sonnet-4-5-latest']) {
    assert.equal((await priceOf('anthropic', release)).id, family, release);
  }
  assert.equal((await priceOf('openai', 'gpt-5-2025-08-07')).id, (await priceOf('openai', 'gpt-5')).id);
  const unknown = [
    ['anthropic', 'claude-sonnet-4'],
    ['anthropic', 'claude-sonnet-4-5-fast'],
    ['anthropic', 'claude-sonnet-4-5-2025'],
    ['openai', 'gpt-5-turbo'],
    ['openai', 'claude-sonnet-4-5'],
    ['openai-compatible', 'gpt-5'],
    ['anthropic', ''],
    ['anthropic', 'CLAUDE-SONNET-4-5'],
  ] as const;
  for (const [provider, model] of unknown) {
    assert.equal(await findPrice(db, somebody, provider, model, today), null, `${provider}/${model}`);
  }
});

test('CST-02 a release with a price of its own has that one', async () => {
  const own = {
    provider: 'anthropic',
    model: 'claude-haiku-4-5-20251001',
    valid_from: at('2025-10-01'),
    source: 'test',
  };
  const micros = { input_micros: 1, cached_read_micros: 1, cached_write_micros: 1, output_micros: 7 };
  await transact(db, tx => addPrice(tx, { ...own, ...micros }));
  assert.equal((await priceOf('anthropic', own.model)).output_micros, 7);
  assert.equal((await priceOf('anthropic', 'claude-haiku-4-5')).output_micros, 5_000_000);
});

test('CST-02 a change of price keeps history: each moment has the price that was in force', async () => {
  const base = {
    provider: 'p',
    model: 'm',
    cached_read_micros: 0,
    cached_write_micros: 0,
    output_micros: 0,
    source: 'test',
  };
  await transact(db, async tx => {
    await addPrice(tx, { ...base, input_micros: 100, valid_from: at('2026-01-01') });
    await addPrice(tx, { ...base, input_micros: 200, valid_from: at('2026-03-01') });
    await addPrice(tx, { ...base, input_micros: 300, valid_from: at('2027-01-01') });
  });
  const input = async (when: string) =>
    (await findPrice(db, somebody, 'p', 'm', at(when)))?.input_micros ?? null;
  assert.equal(await input('2025-12-31'), null);
  assert.equal(await input('2026-01-01'), 100);
  assert.equal(await input('2026-02-28'), 100);
  assert.equal(await input('2026-03-01'), 200);
  assert.equal(await input('2026-12-31'), 200);
  assert.equal(await input('2027-01-01'), 300);
});

test('CST-02 a price is never rewritten', async () => {
  const before = await priceOf('openai', 'gpt-5');
  const { id: _, organization_id: _published, ...same } = before;
  await transact(db, tx => addPrice(tx, { ...same, input_micros: 1 }));
  await transact(db, ensurePublishedPrices);
  assert.deepEqual(await priceOf('openai', 'gpt-5'), before);
});

test('CST-02 ADV-01 a price that an organization adds is for its own calls alone', async () => {
  const price = { ...(await priceOf('openai', 'gpt-5')), valid_from: at('2026-01-01'), output_micros: 1 };
  const organizations = ['org_a', 'org_b'].map(id => ({ id, name: id, created_at: today }));
  const { id: _, ...own } = price;
  await transact(db, async tx => {
    await tx.insertInto('organizations').values(organizations).execute();
    await addPrice(tx, { ...own, organization_id: 'org_a' });
    await addPrice(tx, { ...own, organization_id: 'org_b', output_micros: 2 });
  });
  const output = async (organizationId: string, model: string) =>
    (await findPrice(db, { organizationId }, 'openai', model, today))?.output_micros;
  assert.equal(await output('org_a', 'gpt-5'), 1);
  assert.equal(await output('org_b', 'gpt-5'), 2);
  assert.equal(await output('org_somebody', 'gpt-5'), 10_000_000);
  assert.equal(await output('org_a', 'gpt-5-2025-08-07'), 1, 'also for releases of the model');
  assert.equal(
    await output('org_a', 'gpt-5-mini'),
    2_000_000,
    'what it has no price for has the published one',
  );
});

test('the dearest case of input bounds every mix of cache and not', async () => {
  for (const [provider, model] of golden) {
    const price = await priceOf(provider, model);
    for (const mix of [
      { input_tokens: 1_000 },
      { cached_read_tokens: 1_000 },
      { cached_write_tokens: 1_000 },
      { input_tokens: 300, cached_read_tokens: 300, cached_write_tokens: 400 },
    ]) {
      assert.ok(dearestInputCost(price, 1_000) >= costOf(price, tokens(mix)));
    }
  }
});
