/**
 * What every model driver must do, as tests. A driver's own test file calls `modelConformance` with a way to make
 * the model behind it say given things. Drivers differ in what can be staged, so each says what it `can`; what holds
 * for any driver (outcomes are well-formed, nothing rejects, abort and close work) is always checked.
 *
 *   modelConformance({ name: 'anthropic', start, can: { answers: true, failures: [...], hang: true, opaque: true } });
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { JsonObject } from '../../base/json.ts';
import {
  type ContentPart,
  defaultModelTimeouts,
  type ModelCallOptions,
  type ModelDriver,
  type ModelFailed,
  type ModelFailureKind,
  type ModelOutcome,
  type ModelRequest,
  type ModelSuccess,
  type ModelTool,
  type ModelUsage,
} from './port.ts';

export type StagedPart =
  | { text: string }
  | { tool: string; id: string; arguments: JsonObject }
  /** Reasoning that has to come back with the next request. */
  | { thinking: string; sealed: string };

export interface StagedAnswer {
  parts: StagedPart[];
  stop?: ModelSuccess['stop'];
  usage?: ModelUsage;
}

export type Staged =
  | { answer: StagedAnswer }
  | { failure: ModelFailureKind }
  /** Silence, either at once or after some text. */
  | { hang: 'before_first_token' | 'midway' };

export interface ConformanceSubject {
  driver: ModelDriver;
  /** A request that the driver answers with success. */
  request: ModelRequest;
  /** How the next call is to end. Only called for what the subject `can`. */
  stage(next: Staged): void;
  /** Ends what stands behind the driver; the suite closes the driver itself. */
  close(): Promise<void>;
}

export interface Conformance {
  name: string;
  start(): Promise<ConformanceSubject>;
  can: {
    answers: boolean;
    failures: readonly ModelFailureKind[];
    hang: boolean;
    opaque: boolean;
  };
}

const tool: ModelTool = {
  name: 'read_file',
  description: 'Reads a file.',
  input_schema: {
    type: 'object',
    properties: { path: { type: 'string' }, lines: { type: 'integer' } },
    required: ['path'],
  },
};

/** Kinds after which a retry may help. */
const retryable: ReadonlySet<ModelFailureKind> = new Set([
  'timeout_connect',
  'timeout_first_token',
  'timeout_idle',
  'timeout_total',
  'network',
  'truncated',
  'malformed',
  'rate_limited',
  'overloaded',
]);

export function callOptions(more: Partial<ModelCallOptions> = {}): ModelCallOptions {
  return {
    signal: new AbortController().signal,
    timeouts: defaultModelTimeouts,
    idempotency_key: 'step_conformance',
    request_id: 'req_conformance',
    ...more,
  };
}

export function modelConformance({ name, start, can }: Conformance): void {
  async function using(run: (subject: ConformanceSubject) => Promise<void>): Promise<void> {
    const subject = await start();
    try {
      await run(subject);
    } finally {
      await subject.driver.close();
      await subject.close();
    }
  }
  const check = (title: string, run: (subject: ConformanceSubject) => Promise<void>): void => {
    test(title, () => using(run));
  };

  describe(`${name} driver: for any model`, () => anyModel(check));
  if (can.answers) describe(`${name} driver: answers`, () => answers(check));
  if (can.opaque) describe(`${name} driver: opaque parts`, () => opaqueParts(check));
  if (can.failures.length > 0) describe(`${name} driver: failures`, () => failures(check, can.failures));
  if (can.hang) describe(`${name} driver: silence`, () => silence(check));
}

type Check = (title: string, run: (subject: ConformanceSubject) => Promise<void>) => void;

function anyModel(check: Check): void {
  check('an answer is well-formed, and its live text is its text', async ({ driver, request, stage }) => {
    stage({ answer: { parts: [{ text: 'Good morning.' }] } });
    const pieces: string[] = [];
    const outcome = await driver.call(request, callOptions({ onText: text => pieces.push(text) }));
    const success = succeeded(outcome);
    assert.equal(pieces.join(''), textOf(success.content));
    const atEnd = pieces.length;
    await new Promise(resolve => setImmediate(resolve));
    assert.equal(pieces.length, atEnd, 'no text after the outcome');
  });

  check('a call aborted before it starts costs nothing', async ({ driver, request }) => {
    const failed = failedOf(await driver.call(request, callOptions({ signal: AbortSignal.abort() })));
    assert.equal(failed.failure.kind, 'aborted');
    assert.equal(failed.failure.retryable, false);
    assert.equal(total(failed.usage), 0);
  });

  check('after close a call fails as a value', async ({ driver, request }) => {
    await driver.close();
    const failed = failedOf(await driver.call(request, callOptions()));
    assert.equal(failed.failure.kind, 'aborted');
  });

  check('a listener that throws does no harm', async ({ driver, request, stage }) => {
    stage({ answer: { parts: [{ text: 'Good morning to you.' }] } });
    const onText = (): never => {
      throw new Error('listener');
    };
    succeeded(await driver.call(request, callOptions({ onText })));
  });
}

function answers(check: Check): void {
  check('text ends with `end`', async ({ driver, request, stage }) => {
    stage({ answer: { parts: [{ text: 'Grüße 🎉\n\n"quoted" \\ text' }] } });
    const success = succeeded(await driver.call(request, callOptions()));
    assert.deepEqual(success.content, [{ type: 'text', text: 'Grüße 🎉\n\n"quoted" \\ text' }]);
    assert.equal(success.stop, 'end');
  });

  check('an answer without content is an answer', async ({ driver, request, stage }) => {
    stage({ answer: { parts: [] } });
    const success = succeeded(await driver.call(request, callOptions()));
    assert.deepEqual(success.content, []);
    assert.equal(success.stop, 'end');
  });

  check('text and parallel calls keep their order, ids and arguments', async ({ driver, request, stage }) => {
    const first = { path: 'a "b".txt', lines: 3 };
    const parts: StagedPart[] = [
      { text: 'I look.' },
      { tool: 'read_file', id: 'call_1', arguments: first },
      { tool: 'read_file', id: 'call_2', arguments: { path: 'ü/ß.txt' } },
      { tool: 'read_file', id: 'call_3', arguments: {} },
    ];
    stage({ answer: { parts } });
    const success = succeeded(await driver.call({ ...request, tools: [tool] }, callOptions()));
    assert.equal(success.stop, 'tool_calls');
    assert.deepEqual(success.content, [
      { type: 'text', text: 'I look.' },
      { type: 'tool_call', id: 'call_1', name: 'read_file', arguments: first },
      { type: 'tool_call', id: 'call_2', name: 'read_file', arguments: { path: 'ü/ß.txt' } },
      { type: 'tool_call', id: 'call_3', name: 'read_file', arguments: {} },
    ]);
  });

  check('a conversation goes on with results, errors and more text', async ({ driver, request, stage }) => {
    const calls = ['call_1', 'call_2'].map(id => ({ tool: 'read_file', id, arguments: { path: id } }));
    stage({ answer: { parts: calls } });
    const withTool = { ...request, tools: [tool] };
    const first = succeeded(await driver.call(withTool, callOptions()));
    stage({ answer: { parts: [{ text: 'Done.' }] } });
    const messages: ModelRequest['messages'] = [
      ...request.messages,
      { role: 'assistant', content: first.content },
      {
        role: 'tool',
        content: [
          { type: 'tool_result', tool_call_id: 'call_1', content: 'line', is_error: false },
          { type: 'tool_result', tool_call_id: 'call_2', content: 'no such file', is_error: true },
        ],
      },
      { role: 'user', content: [{ type: 'text', text: 'Hurry.' }] },
    ];
    const second = succeeded(await driver.call({ ...withTool, messages }, callOptions()));
    assert.equal(textOf(second.content), 'Done.');
  });

  for (const choice of ['required', { name: 'read_file' }] as const)
    check(`tool choice ${JSON.stringify(choice)} is understood`, async ({ driver, request, stage }) => {
      stage({ answer: { parts: [{ tool: 'read_file', id: 'call_1', arguments: { path: 'a' } }] } });
      const forced = { ...request, tools: [tool], tool_choice: choice };
      assert.equal(succeeded(await driver.call(forced, callOptions())).stop, 'tool_calls');
    });

  check('a choice of a tool that is not there is an invalid request', async ({ driver, request }) => {
    for (const choice of ['required', { name: 'other' }] as const) {
      const failed = failedOf(
        await driver.call({ ...request, tools: [], tool_choice: choice }, callOptions()),
      );
      assert.equal(failed.failure.kind, 'invalid_request');
      assert.equal(total(failed.usage), 0);
    }
  });

  check('the output limit and a refusal are stops of their own', async ({ driver, request, stage }) => {
    for (const stop of ['max_tokens', 'refusal'] as const) {
      stage({ answer: { parts: [{ text: 'I' }], stop } });
      const success = succeeded(await driver.call(request, callOptions()));
      assert.equal(success.stop, stop);
      assert.equal(textOf(success.content), 'I');
    }
  });

  check('CST-01 usage comes in disjoint buckets, each exact', async ({ driver, request, stage }) => {
    const usage = {
      input_tokens: 21,
      cached_read_tokens: 2_000,
      cached_write_tokens: 100,
      output_tokens: 42,
      reasoning_tokens: 17,
    };
    stage({ answer: { parts: [{ text: 'Good morning.' }], usage } });
    const success = succeeded(await driver.call(request, callOptions()));
    assert.deepEqual(success.usage, usage);
    assert.equal(success.usage_exact, true);
  });

  check('calls at the same time get their own answers', async ({ driver, request, stage }) => {
    for (let i = 0; i < 8; i++) stage({ answer: { parts: [{ text: `answer ${i}` }] } });
    const outcomes = await Promise.all(Array.from({ length: 8 }, () => driver.call(request, callOptions())));
    const texts = outcomes.map(outcome => textOf(succeeded(outcome).content));
    assert.deepEqual(
      texts.sort(),
      Array.from({ length: 8 }, (_, i) => `answer ${i}`),
    );
  });
}

function opaqueParts(check: Check): void {
  check('reasoning comes as an opaque part, and is accepted back', async ({ driver, request, stage }) => {
    const parts = [
      { thinking: 'The file has the answer.', sealed: 'c2VhbGVk' },
      { tool: 'read_file', id: 'call_1', arguments: { path: 'a' } },
    ];
    stage({ answer: { parts } });
    const withTool = { ...request, tools: [tool] };
    const { content } = succeeded(await driver.call(withTool, callOptions()));
    const [opaque, call] = content;
    assert.equal(opaque?.type, 'opaque');
    assert.equal(call?.type, 'tool_call');
    stage({ answer: { parts: [{ text: 'Done.' }] } });
    const messages: ModelRequest['messages'] = [
      ...request.messages,
      { role: 'assistant', content },
      {
        role: 'tool',
        content: [{ type: 'tool_result', tool_call_id: 'call_1', content: 'x', is_error: false }],
      },
    ];
    succeeded(await driver.call({ ...withTool, messages }, callOptions()));
  });

  check("another provider's opaque parts are left out", async ({ driver, request, stage }) => {
    stage({ answer: { parts: [{ text: 'Done.' }] } });
    const foreign: ContentPart = { type: 'opaque', provider: 'elsewhere', data: { type: 'sealed', x: 1 } };
    const messages: ModelRequest['messages'] = [
      ...request.messages,
      { role: 'assistant', content: [foreign, { type: 'text', text: 'Well.' }] },
      { role: 'user', content: [{ type: 'text', text: 'Go on.' }] },
    ];
    succeeded(await driver.call({ ...request, messages }, callOptions()));
  });
}

function failures(check: Check, kinds: readonly ModelFailureKind[]): void {
  for (const kind of kinds)
    check(`${kind} is a value with the right advice`, async ({ driver, request, stage }) => {
      stage({ failure: kind });
      const { failure } = failedOf(await driver.call(request, callOptions()));
      assert.equal(failure.kind, kind, failure.message);
      assert.equal(failure.retryable, retryable.has(kind));
    });
}

function silence(check: Check): void {
  for (const hang of ['before_first_token', 'midway'] as const) {
    check(`LLM-01 ${hang}: silence ends at its limit`, async ({ driver, request, stage }) => {
      stage({ hang });
      const timeouts = { connect: 5_000, first_token: 60, idle: 60, total: 5_000 };
      const failed = failedOf(await driver.call(request, callOptions({ timeouts })));
      assert.equal(failed.failure.kind, hang === 'midway' ? 'timeout_idle' : 'timeout_first_token');
      assert.equal(failed.failure.retryable, true);
      assert.ok(failed.total_ms >= 50 && failed.total_ms < 2_000, `${failed.total_ms} ms`);
    });

    check(`${hang}: an abort ends it at once`, async ({ driver, request, stage }) => {
      stage({ hang });
      const controller = new AbortController();
      setTimeout(() => controller.abort(), 40);
      const failed = failedOf(await driver.call(request, callOptions({ signal: controller.signal })));
      assert.equal(failed.failure.kind, 'aborted');
      assert.ok(failed.total_ms < 1_000, `${failed.total_ms} ms`);
    });
  }

  check('LLM-01 the total limit holds over all phases', async ({ driver, request, stage }) => {
    stage({ hang: 'midway' });
    const timeouts = { connect: 5_000, first_token: 5_000, idle: 5_000, total: 80 };
    const failed = failedOf(await driver.call(request, callOptions({ timeouts })));
    assert.equal(failed.failure.kind, 'timeout_total');
  });

  check('close ends the calls that run', async ({ driver, request, stage }) => {
    stage({ hang: 'midway' });
    const running = driver.call(request, callOptions());
    await new Promise(resolve => setTimeout(resolve, 30));
    await driver.close();
    assert.equal(failedOf(await running).failure.kind, 'aborted');
  });
}

/** The outcome as a success, checked for form. */
export function succeeded(outcome: ModelOutcome): ModelSuccess {
  if (!outcome.ok) assert.fail(`${outcome.failure.kind}: ${outcome.failure.message}`);
  assertUsage(outcome.usage);
  assert.ok(outcome.model.length > 0);
  assert.ok(outcome.first_token_ms >= 0 && outcome.first_token_ms <= outcome.total_ms);
  const calls = outcome.content.filter(part => part.type === 'tool_call');
  assert.equal(new Set(calls.map(call => call.id)).size, calls.length, 'ids of calls are unique');
  assert.ok(calls.every(call => call.id !== '' && call.name !== ''));
  if (outcome.stop === 'tool_calls') assert.ok(calls.length > 0, 'calls were announced');
  if (outcome.stop === 'end') assert.equal(calls.length, 0, 'calls do not end an answer');
  return outcome;
}

/** The outcome as a failure, checked for form. */
export function failedOf(outcome: ModelOutcome): ModelFailed {
  if (outcome.ok) assert.fail(`expected a failure, got ${JSON.stringify(outcome.content)}`);
  const { failure, usage } = outcome;
  assert.ok(failure.message.length > 0 && failure.message.length <= 500, failure.message);
  assert.doesNotMatch(failure.message, /[\u0000-\u001f]/);
  assert.ok(failure.retry_after_ms === undefined || failure.retry_after_ms >= 0);
  if (usage) assertUsage(usage);
  return outcome;
}

function assertUsage(usage: ModelUsage): void {
  for (const [bucket, tokens] of Object.entries(usage))
    assert.ok(Number.isSafeInteger(tokens) && tokens >= 0, `${bucket}: ${tokens}`);
}

function total(usage: ModelUsage | null): number | null {
  return usage && Object.values(usage).reduce((sum: number, tokens: number) => sum + tokens, 0);
}

function textOf(content: ContentPart[]): string {
  return content.map(part => (part.type === 'text' ? part.text : '')).join('');
}
