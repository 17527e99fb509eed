/**
 * Usage from literal streams, as the providers send them: written down here rather than made by the local provider,
 * so that an error in both ways of counting cannot hide.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type DriverKind, newTestDriver, sampleRequest } from '../../../test/harness/provider/drivers.ts';
import { startProvider } from '../../../test/harness/provider/provider.ts';
import { callOptions } from '../../features/models/conformance.ts';
import { type ModelOutcome, type ModelUsage, noUsage } from '../../features/models/port.ts';

interface Golden {
  title: string;
  kind: DriverKind;
  events: object[];
  /** In the order of ModelUsage: input, cached read, cached write, output, reasoning. Null: unknown. */
  usage: [number, number, number, number, number] | null;
  exact?: boolean;
}

const anthropicStart = (usage?: object): object => ({
  type: 'message_start',
  message: { model: 'm', usage },
});
const anthropicText = [
  { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
  { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'twelve bytes' } },
  { type: 'content_block_stop', index: 0 },
];
const anthropicEnd = (usage?: object): object[] => [
  { type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage },
  { type: 'message_stop' },
];
const chatText = (more: object = {}): object => ({
  choices: [{ index: 0, delta: { content: 'twelve bytes' } }],
  ...more,
});
const chatStop = (more: object = {}): object => ({
  choices: [{ index: 0, delta: {}, finish_reason: 'stop' }],
  ...more,
});
const responseEnd = (usage: object | null): object => ({
  type: 'response.completed',
  response: { status: 'completed', model: 'm', output: [], usage },
});

const goldens: Golden[] = [
  {
    title: 'the input excludes the cache, and the last totals replace the first',
    kind: 'anthropic',
    events: [
      anthropicStart({
        input_tokens: 21,
        cache_creation_input_tokens: 100,
        cache_read_input_tokens: 2_000,
        output_tokens: 1,
      }),
      ...anthropicText,
      { type: 'message_delta', delta: {}, usage: { output_tokens: 30 } },
      ...anthropicEnd({ output_tokens: 42 }),
    ],
    usage: [21, 2_000, 100, 42, 0],
  },
  {
    title: 'totals that repeat the input side count, nulls do not',
    kind: 'anthropic',
    events: [
      anthropicStart({ input_tokens: 21, cache_read_input_tokens: 5, output_tokens: 1 }),
      ...anthropicText,
      ...anthropicEnd({
        input_tokens: 25,
        cache_read_input_tokens: null,
        cache_creation_input_tokens: 7,
        output_tokens: 42,
        output_tokens_details: { thinking_tokens: 40 },
      }),
    ],
    usage: [25, 5, 7, 2, 40],
  },
  {
    title: 'zero is a number',
    kind: 'anthropic',
    events: [
      anthropicStart({ input_tokens: 0, output_tokens: 0 }),
      ...anthropicText,
      ...anthropicEnd({ output_tokens: 0 }),
    ],
    usage: [0, 0, 0, 0, 0],
  },
  {
    title: 'without totals at the end the output is bounded by its bytes',
    kind: 'anthropic',
    events: [anthropicStart({ input_tokens: 21, output_tokens: 1 }), ...anthropicText, ...anthropicEnd()],
    usage: [21, 0, 0, 12, 0],
    exact: false,
  },
  {
    title: 'cut after the start: the reported input, and a bound on the output seen',
    kind: 'anthropic',
    events: [
      anthropicStart({ input_tokens: 21, cache_read_input_tokens: 5, output_tokens: 1 }),
      ...anthropicText,
    ],
    usage: [21, 5, 0, 12, 0],
  },
  {
    title: 'cut before any usage: unknown',
    kind: 'anthropic',
    events: [anthropicStart(), ...anthropicText],
    usage: null,
  },
  {
    title: 'the prompt contains the cache and the completion the reasoning; usage comes after the finish',
    kind: 'openai-compatible',
    events: [
      chatText({ usage: null }),
      chatStop({ usage: null }),
      {
        choices: [],
        usage: {
          prompt_tokens: 127,
          completion_tokens: 34,
          total_tokens: 161,
          prompt_tokens_details: { cached_tokens: 100, cache_write_tokens: 20 },
          completion_tokens_details: { reasoning_tokens: 30 },
        },
      },
    ],
    usage: [7, 100, 20, 4, 30],
  },
  {
    title: 'usage on each chunk: the last one counts',
    kind: 'openai-compatible',
    events: [
      chatText({ usage: { prompt_tokens: 9, completion_tokens: 1 } }),
      chatText({ usage: { prompt_tokens: 9, completion_tokens: 2 } }),
      chatStop({ usage: { prompt_tokens: 9, completion_tokens: 3 } }),
    ],
    usage: [9, 0, 0, 3, 0],
  },
  {
    title: 'reasoning that is counted beside the completion',
    kind: 'openai-compatible',
    events: [
      chatText(),
      chatStop({
        usage: {
          prompt_tokens: 10,
          completion_tokens: 4,
          total_tokens: 34,
          completion_tokens_details: { reasoning_tokens: 20 },
        },
      }),
    ],
    usage: [10, 0, 0, 4, 20],
  },
  {
    title: 'cache hits under the name that DeepSeek gives them',
    kind: 'openai-compatible',
    events: [
      chatText(),
      chatStop({ usage: { prompt_tokens: 10, prompt_cache_hit_tokens: 8, completion_tokens: 4 } }),
    ],
    usage: [2, 8, 0, 4, 0],
  },
  {
    title: 'zero is a number',
    kind: 'openai-compatible',
    events: [chatText(), chatStop({ usage: { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 } })],
    usage: [0, 0, 0, 0, 0],
  },
  {
    title: 'cut although usage came with each chunk: the latest, and a bound on the output seen',
    kind: 'openai-compatible',
    events: [chatText({ usage: { prompt_tokens: 9, completion_tokens: 2 } })],
    usage: [9, 0, 0, 12, 0],
  },
  {
    title: 'cut before any usage: unknown',
    kind: 'openai-compatible',
    events: [chatText()],
    usage: null,
  },
  {
    title: 'the input contains the cache and the output the reasoning',
    kind: 'openai',
    events: [
      { type: 'response.output_text.delta', delta: 'twelve bytes' },
      responseEnd({
        input_tokens: 127,
        input_tokens_details: { cached_tokens: 100, cache_write_tokens: 20 },
        output_tokens: 34,
        output_tokens_details: { reasoning_tokens: 30 },
        total_tokens: 161,
      }),
    ],
    usage: [7, 100, 20, 4, 30],
  },
  {
    title: 'zero is a number',
    kind: 'openai',
    events: [responseEnd({ input_tokens: 0, output_tokens: 0 })],
    usage: [0, 0, 0, 0, 0],
  },
  {
    title: 'details that say more than the totals add nothing',
    kind: 'openai',
    events: [
      responseEnd({
        input_tokens: 10,
        input_tokens_details: { cached_tokens: 12 },
        output_tokens: 5,
        output_tokens_details: { reasoning_tokens: 6 },
      }),
    ],
    usage: [0, 10, 0, 0, 5],
  },
  {
    title: 'a failed response charges what it reports',
    kind: 'openai',
    events: [
      { type: 'response.output_text.delta', delta: 'twelve bytes' },
      {
        type: 'response.failed',
        response: {
          status: 'failed',
          error: { code: 'server_error', message: 'Oh.' },
          usage: { input_tokens: 10, output_tokens: 3 },
        },
      },
    ],
    usage: [10, 0, 0, 3, 0],
  },
  {
    title: 'cut: unknown',
    kind: 'openai',
    events: [{ type: 'response.output_text.delta', delta: 'twelve bytes' }],
    usage: null,
  },
];

function usageOf([input, read, write, output, reasoning]: NonNullable<Golden['usage']>): ModelUsage {
  return {
    input_tokens: input,
    cached_read_tokens: read,
    cached_write_tokens: write,
    output_tokens: output,
    reasoning_tokens: reasoning,
  };
}

async function outcomeOf(kind: DriverKind, events: object[]): Promise<ModelOutcome> {
  const body = events.map(event => `data: ${JSON.stringify(event)}\n\n`).join('');
  const headers = { 'content-type': 'text/event-stream' };
  await using provider = await startProvider([{ status: 200, headers, body }]);
  await using driver = newTestDriver(kind, provider.url);
  return await driver.call(sampleRequest(), callOptions());
}

describe('CST-01 usage is exact, and says when it is not', () => {
  for (const { title, kind, events, usage, exact = true } of goldens)
    test(`${kind}: ${title}`, async () => {
      const outcome = await outcomeOf(kind, events);
      assert.deepEqual(outcome.usage, usage && usageOf(usage));
      if (outcome.ok) assert.equal(outcome.usage_exact, exact);
    });

  for (const kind of ['openai', 'openai-compatible'] as const)
    test(`${kind}: missing usage is bounded from above`, async () => {
      const events =
        kind === 'openai'
          ? [{ type: 'response.output_text.delta', delta: 'twelve bytes' }, responseEnd(null)]
          : [chatText(), chatStop()];
      const outcome = await outcomeOf(kind, events);
      assert.ok(outcome.ok && !outcome.usage_exact);
      const { input_tokens, ...rest } = outcome.usage;
      assert.deepEqual({ ...rest, input_tokens: 0 }, usageOf([0, 0, 0, 12, 0]));
      assert.ok(input_tokens > 100 && input_tokens < 2_000, `${input_tokens}`);
    });

  test('the estimate of the output stays below the limit that was asked for', async () => {
    await using provider = await startProvider([{ parts: [{ text: 'x'.repeat(5_000) }], usage: null }]);
    await using driver = newTestDriver('openai-compatible', provider.url);
    const outcome = await driver.call(sampleRequest({ max_output_tokens: 50 }), callOptions());
    assert.equal(outcome.usage?.output_tokens, 50);
  });

  test('the sum over the calls of a run is what the provider reported for it', async () => {
    const usages = Array.from({ length: 20 }, (_, i) => usageOf([i, 3 * i, i % 3, 7 * i + 1, i % 5]));
    for (const kind of ['anthropic', 'openai', 'openai-compatible'] as const) {
      await using provider = await startProvider(usages.map(usage => ({ parts: [{ text: 'x' }], usage })));
      await using driver = newTestDriver(kind, provider.url);
      const sum = { ...noUsage };
      for (const _ of usages) {
        const { usage } = await driver.call(sampleRequest(), callOptions());
        for (const bucket of Object.keys(sum) as (keyof ModelUsage)[]) sum[bucket] += usage![bucket];
      }
      const expected = { ...noUsage };
      for (const usage of usages)
        for (const bucket of Object.keys(expected) as (keyof ModelUsage)[]) expected[bucket] += usage[bucket];
      assert.deepEqual(sum, expected);
    }
  });
});
