/** What providers say about when to come back. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { retryAfterMs } from './retry-after.ts';

const now = Date.UTC(2030, 0, 1);

const cases: [title: string, headers: Record<string, string>, expected: number | undefined][] = [
  ['nothing', {}, undefined],
  ['seconds', { 'retry-after': '3' }, 3_000],
  ['a fraction of seconds', { 'retry-after': '0.25' }, 250],
  ['a date', { 'retry-after': 'Tue, 01 Jan 2030 00:00:20 GMT' }, 20_000],
  ['a date in the past', { 'retry-after': 'Mon, 31 Dec 2029 23:59:00 GMT' }, 0],
  ['a date without its zone', { 'retry-after': '2030-01-01T00:00:20' }, undefined],
  ['milliseconds before seconds', { 'retry-after-ms': '1250', 'retry-after': '2' }, 1_250],
  ['nonsense', { 'retry-after': 'soon' }, undefined],
  [
    'Anthropic: the limit that is used up',
    {
      'anthropic-ratelimit-requests-remaining': '4',
      'anthropic-ratelimit-requests-reset': '2030-01-01T00:59:00Z',
      'anthropic-ratelimit-input-tokens-remaining': '0',
      'anthropic-ratelimit-input-tokens-reset': '2030-01-01T00:00:12Z',
    },
    12_000,
  ],
  [
    'OpenAI: the later of two limits that are used up',
    {
      'x-ratelimit-remaining-requests': '0',
      'x-ratelimit-reset-requests': '20ms',
      'x-ratelimit-remaining-tokens': '0',
      'x-ratelimit-reset-tokens': '1m30.5s',
    },
    90_500,
  ],
  [
    'limits that are not used up',
    { 'x-ratelimit-remaining-tokens': '100', 'x-ratelimit-reset-tokens': '6m0s' },
    undefined,
  ],
  [
    'Retry-After before the reset headers',
    { 'retry-after': '1', 'x-ratelimit-remaining-tokens': '0', 'x-ratelimit-reset-tokens': '6m0s' },
    1_000,
  ],
];

for (const [title, headers, expected] of cases)
  test(title, () => assert.equal(retryAfterMs(headers, now), expected));
