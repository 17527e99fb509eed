/** What only Anthropic's API has: its request with cache marks, signed reasoning, and its own stops. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newTestDriver, sampleRequest, testKey } from '../../../test/harness/provider/drivers.ts';
import { startProvider } from '../../../test/harness/provider/provider.ts';
import type { AnswerPart, Reply } from '../../../test/harness/provider/script.ts';
import { callOptions, failedOf, succeeded } from '../../features/models/conformance.ts';
import type { ModelMessage, ModelRequest, ModelTool } from '../../features/models/port.ts';
import { anthropicBody } from './anthropic-request.ts';

const readFile: ModelTool = {
  name: 'read_file',
  description: 'Reads a file.',
  input_schema: { type: 'object', properties: { path: { type: 'string' } }, required: ['path'] },
};
const writeFile: ModelTool = { ...readFile, name: 'write_file', description: 'Writes a file.' };
const mark = { type: 'ephemeral' };

async function outcomeOf(reply: Reply, request: ModelRequest = sampleRequest({ tools: [readFile] })) {
  await using provider = await startProvider([reply]);
  await using driver = newTestDriver('anthropic', provider.url);
  return await driver.call(request, callOptions());
}

test('the request on the wire', async () => {
  await using provider = await startProvider([{ parts: [{ text: 'Done.' }] }], { apiKey: testKey });
  await using driver = newTestDriver('anthropic', provider.url);
  const messages: ModelMessage[] = [
    { role: 'user', content: [{ type: 'text', text: 'Fix it.' }] },
    {
      role: 'assistant',
      content: [
        {
          type: 'opaque',
          provider: 'anthropic',
          data: { type: 'thinking', thinking: 'hm', signature: 'c2ln' },
        },
        { type: 'text', text: '' },
        { type: 'tool_call', id: 'toolu_1', name: 'read_file', arguments: { path: 'b', at: 1 } },
        { type: 'tool_call', id: 'toolu_2', name: 'read_file', arguments: {} },
      ],
    },
    {
      role: 'tool',
      content: [{ type: 'tool_result', tool_call_id: 'toolu_1', content: 'x', is_error: false }],
    },
    {
      role: 'tool',
      content: [{ type: 'tool_result', tool_call_id: 'toolu_2', content: 'no', is_error: true }],
    },
    { role: 'user', content: [{ type: 'text', text: 'Hurry.' }] },
  ];
  const request = sampleRequest({
    messages,
    tools: [readFile, writeFile],
    temperature: 0.5,
    tool_choice: 'required',
  });
  succeeded(await driver.call(request, callOptions()));
  const received = provider.requests[0]!;
  assert.equal(received.headers['anthropic-version'], '2023-06-01');
  assert.equal(received.headers['x-request-id'], 'req_conformance');
  assert.equal(received.headers['idempotency-key'], undefined);
  assert.deepEqual(received.body, {
    model: 'model-local',
    max_tokens: 1_000,
    stream: true,
    temperature: 0.5,
    tools: [
      { name: 'read_file', description: 'Reads a file.', input_schema: readFile.input_schema },
      {
        name: 'write_file',
        description: 'Writes a file.',
        input_schema: readFile.input_schema,
        cache_control: mark,
      },
    ],
    tool_choice: { type: 'any' },
    system: [{ type: 'text', text: 'You are a careful assistant.', cache_control: mark }],
    messages: [
      { role: 'user', content: [{ type: 'text', text: 'Fix it.', cache_control: mark }] },
      {
        role: 'assistant',
        content: [
          { type: 'thinking', thinking: 'hm', signature: 'c2ln' },
          { type: 'tool_use', id: 'toolu_1', name: 'read_file', input: { at: 1, path: 'b' } },
          { type: 'tool_use', id: 'toolu_2', name: 'read_file', input: {} },
        ],
      },
      {
        role: 'user',
        content: [
          { type: 'tool_result', tool_use_id: 'toolu_1', content: 'x' },
          { type: 'tool_result', tool_use_id: 'toolu_2', content: 'no', is_error: true },
          { type: 'text', text: 'Hurry.', cache_control: mark },
        ],
      },
    ],
  });
});

test('tool choices', () => {
  const choice = (tool_choice: ModelRequest['tool_choice']): unknown =>
    anthropicBody(sampleRequest({ tools: [readFile], tool_choice })).tool_choice;
  assert.deepEqual(choice('auto'), { type: 'auto' });
  assert.deepEqual(choice('required'), { type: 'any' });
  assert.deepEqual(choice({ name: 'read_file' }), { type: 'tool', name: 'read_file' });
});

test('each request of a loop begins with the one before, byte for byte but for the moving marks', () => {
  const unmarked = (request: ModelRequest): string =>
    JSON.stringify(anthropicBody(request))
      .replaceAll(',"cache_control":{"type":"ephemeral"}', '')
      .slice(0, -2);
  const request = sampleRequest({ tools: [readFile, writeFile] });
  let before = unmarked(request);
  for (let turn = 0; turn < 5; turn++) {
    const id = `toolu_${turn}`;
    // A database gives keys back in an order of its own.
    const values = turn % 2 === 0 ? { path: 'a', at: 1 } : { at: 1, path: 'a' };
    request.messages.push(
      { role: 'assistant', content: [{ type: 'tool_call', id, name: 'read_file', arguments: values }] },
      { role: 'tool', content: [{ type: 'tool_result', tool_call_id: id, content: 'x', is_error: false }] },
    );
    const now = unmarked(request);
    assert.ok(now.startsWith(before), `turn ${turn}`);
    before = now;
    const marks = JSON.stringify(anthropicBody(request)).split('cache_control').length - 1;
    assert.equal(marks, 4);
  }
});

test('signed reasoning comes back unchanged', async () => {
  const parts: AnswerPart[] = [
    { thinking: 'First, look at  the file.\n', sealed: 'EqQB+/==' },
    { tool: 'read_file', id: 'toolu_1', arguments: { path: 'a' } },
  ];
  await using provider = await startProvider([{ parts }, { parts: [{ text: 'Done.' }] }]);
  await using driver = newTestDriver('anthropic', provider.url);
  const request = sampleRequest({ tools: [readFile] });
  const { content } = succeeded(await driver.call(request, callOptions()));
  const thinking = { type: 'thinking', thinking: 'First, look at  the file.\n', signature: 'EqQB+/==' };
  assert.deepEqual(content[0], { type: 'opaque', provider: 'anthropic', data: thinking });
  request.messages.push(
    { role: 'assistant', content },
    {
      role: 'tool',
      content: [{ type: 'tool_result', tool_call_id: 'toolu_1', content: 'x', is_error: false }],
    },
  );
  succeeded(await driver.call(request, callOptions()));
  const [, assistant] = provider.requests[1]!.body.messages as { content: unknown[] }[];
  assert.deepEqual(assistant?.content[0], thinking);
});

test('reasoning is not live text', async () => {
  await using provider = await startProvider([
    { parts: [{ thinking: 'secret', sealed: 'x' }, { text: 'open' }] },
  ]);
  await using driver = newTestDriver('anthropic', provider.url);
  let live = '';
  succeeded(await driver.call(sampleRequest(), callOptions({ onText: text => (live += text) })));
  assert.equal(live, 'open');
});

test('arguments that are no JSON object fail the call, with its usage, for another try', async () => {
  for (const text of ['{"path": "a', '{"path": }', '[1]', '"a"', 'read a']) {
    const parts = [{ tool: 'read_file', id: 'toolu_1', arguments: text }];
    const failed = failedOf(await outcomeOf({ parts, usage: { input_tokens: 3, output_tokens: 4 } }));
    assert.equal(failed.failure.kind, 'malformed', text);
    assert.equal(failed.failure.retryable, true);
    assert.equal(failed.usage?.output_tokens, 4);
  }
});

test('a call that the output limit cut is dropped, the whole one before it stays', async () => {
  for (const cut of ['{"path": "b', '']) {
    const parts = [
      { tool: 'read_file', id: 'toolu_1', arguments: { path: 'a' } },
      { tool: 'read_file', id: 'toolu_2', arguments: cut },
    ];
    const success = succeeded(await outcomeOf({ parts, stop: 'max_tokens' }));
    assert.equal(success.stop, 'max_tokens');
    assert.deepEqual(success.content, [
      { type: 'tool_call', id: 'toolu_1', name: 'read_file', arguments: { path: 'a' } },
    ]);
  }
});

test('reasoning that the output limit cut has no signature and is dropped', async () => {
  const success = succeeded(await outcomeOf({ parts: [{ thinking: 'so', sealed: '' }], stop: 'max_tokens' }));
  assert.deepEqual(success.content, []);
});

test('calls announced but not made are malformed', async () => {
  const { failure } = failedOf(await outcomeOf({ parts: [{ text: 'x' }], stop: 'tool_calls' }));
  assert.equal(failure.kind, 'malformed');
});

test('a spend limit behind a rate limit error is no money left', async () => {
  const error = {
    type: 'rate_limit_error',
    message: 'Limit reached.',
    details: { error_code: 'contract_spend_limit_reached' },
  };
  const body = JSON.stringify({ type: 'error', error });
  const headers = { 'content-type': 'application/json', 'retry-after': '60', 'request-id': 'req_7' };
  const { failure } = failedOf(await outcomeOf({ status: 429, headers, body }));
  assert.equal(failure.kind, 'quota');
  assert.equal(failure.retryable, false);
  assert.equal(failure.message, '[req_7] anthropic answered 429: Limit reached.');
});

test('the answering model and the request id are reported', async () => {
  const success = succeeded(await outcomeOf({ parts: [{ text: 'x' }], model: 'claude-real-1' }));
  assert.equal(success.model, 'claude-real-1');
  assert.equal(success.provider_request_id, 'req_local');
});
