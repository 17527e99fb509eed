/** What only the Responses API has: stateless requests, encrypted reasoning, refusals, incomplete answers. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newTestDriver, sampleRequest, testKey } from '../../../test/harness/provider/drivers.ts';
import { startProvider } from '../../../test/harness/provider/provider.ts';
import type { AnswerPart, Reply } from '../../../test/harness/provider/script.ts';
import { callOptions, failedOf, succeeded } from '../../features/models/conformance.ts';
import type { ModelMessage, ModelRequest, ModelTool } from '../../features/models/port.ts';
import { createOpenAiDriver } from './openai.ts';
import { openAiBody } from './openai-request.ts';

const readFile: ModelTool = {
  name: 'read_file',
  description: 'Reads a file.',
  input_schema: { type: 'object', properties: { path: { type: 'string' } } },
};

async function outcomeOf(reply: Reply, request: ModelRequest = sampleRequest({ tools: [readFile] })) {
  await using provider = await startProvider([reply]);
  await using driver = newTestDriver('openai', provider.url);
  return await driver.call(request, callOptions());
}

function streamOf(...events: object[]): Reply {
  const body = events.map(event => `data: ${JSON.stringify(event)}\n\n`).join('');
  return { status: 200, headers: { 'content-type': 'text/event-stream' }, body };
}

test('the request on the wire', async () => {
  await using provider = await startProvider([{ parts: [{ text: 'Done.' }] }], { apiKey: testKey });
  const options = {
    apiKey: testKey,
    baseUrl: `${provider.url}/v1`,
    organization: 'org-1',
    project: 'proj_1',
  };
  const driver = createOpenAiDriver(options);
  const reasoning = { type: 'reasoning', summary: [], encrypted_content: 'c2ln' };
  const messages: ModelMessage[] = [
    { role: 'user', content: [{ type: 'text', text: 'Fix it.' }] },
    {
      role: 'assistant',
      content: [
        { type: 'opaque', provider: 'openai', data: reasoning },
        { type: 'opaque', provider: 'openai', data: { type: 'message', phase: 'commentary' } },
        { type: 'text', text: 'I look.' },
        { type: 'tool_call', id: 'call_1', name: 'read_file', arguments: { path: 'b', at: 1 } },
        { type: 'opaque', provider: 'openai', data: reasoning },
      ],
    },
    {
      role: 'tool',
      content: [{ type: 'tool_result', tool_call_id: 'call_1', content: 'no', is_error: true }],
    },
  ];
  const request = sampleRequest({
    messages,
    tools: [readFile],
    tool_choice: { name: 'read_file' },
    temperature: 0,
  });
  succeeded(await driver.call(request, callOptions()));
  await driver.close();
  const { headers, body } = provider.requests[0]!;
  assert.equal(headers['openai-organization'], 'org-1');
  assert.equal(headers['openai-project'], 'proj_1');
  assert.equal(headers['idempotency-key'], 'step_conformance');
  assert.equal(headers['x-client-request-id'], 'req_conformance');
  assert.deepEqual(body, {
    model: 'model-local',
    instructions: 'You are a careful assistant.',
    tools: [
      {
        type: 'function',
        name: 'read_file',
        description: 'Reads a file.',
        parameters: readFile.input_schema,
        strict: false,
      },
    ],
    tool_choice: { type: 'function', name: 'read_file' },
    input: [
      { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'Fix it.' }] },
      reasoning,
      {
        type: 'message',
        role: 'assistant',
        content: [{ type: 'output_text', text: 'I look.' }],
        phase: 'commentary',
      },
      { type: 'function_call', call_id: 'call_1', name: 'read_file', arguments: '{"at":1,"path":"b"}' },
      { type: 'function_call_output', call_id: 'call_1', output: 'Error: no' },
    ],
    max_output_tokens: 1_000,
    temperature: 0,
    store: false,
    stream: true,
    include: ['reasoning.encrypted_content'],
  });
});

test('models that do not reason are not asked for encrypted reasoning, which they would refuse', async () => {
  for (const model of ['gpt-4o', 'gpt-4.1-mini', 'ft:gpt-4o-mini:acme', 'gpt-5-chat-latest', 'gpt-3.5-turbo'])
    assert.equal(openAiBody(sampleRequest({ model })).include, undefined, model);
  for (const model of ['o3', 'o4-mini', 'gpt-5', 'gpt-5.4-mini', 'codex-mini-latest'])
    assert.deepEqual(openAiBody(sampleRequest({ model })).include, ['reasoning.encrypted_content'], model);
  succeeded(await outcomeOf({ parts: [{ text: 'x' }] }, sampleRequest({ model: 'gpt-4o' })));
});

test('encrypted reasoning comes back, without the id of an item that is stored nowhere', async () => {
  const parts: AnswerPart[] = [
    { thinking: 'Look first.', sealed: 'gAAAAB+/==' },
    { tool: 'read_file', id: 'call_1', arguments: { path: 'a' } },
  ];
  await using provider = await startProvider([{ parts }, { parts: [{ text: 'Done.' }] }]);
  await using driver = newTestDriver('openai', provider.url);
  const request = sampleRequest({ tools: [readFile] });
  const { content } = succeeded(await driver.call(request, callOptions()));
  const summary = [{ type: 'summary_text', text: 'Look first.' }];
  const item = { type: 'reasoning', summary, encrypted_content: 'gAAAAB+/==' };
  assert.deepEqual(content[0], { type: 'opaque', provider: 'openai', data: item });
  request.messages.push(
    { role: 'assistant', content },
    {
      role: 'tool',
      content: [{ type: 'tool_result', tool_call_id: 'call_1', content: 'x', is_error: false }],
    },
  );
  succeeded(await driver.call(request, callOptions()));
  assert.deepEqual((provider.requests[1]!.body.input as unknown[])[1], item);
});

test('the phase of a message comes back with it', async () => {
  const item = {
    id: 'msg_1',
    type: 'message',
    role: 'assistant',
    phase: 'final_answer',
    content: [{ type: 'output_text', text: 'Done.' }],
  };
  const reply = streamOf(
    { type: 'response.output_item.done', output_index: 0, item },
    { type: 'response.completed', response: { status: 'completed', output: [item] } },
  );
  const { content } = succeeded(await outcomeOf(reply));
  const messages: ModelMessage[] = [...sampleRequest().messages, { role: 'assistant', content }];
  const input = openAiBody(sampleRequest({ messages })).input as { phase?: string }[];
  assert.equal(input[1]?.phase, 'final_answer');
});

test('a refusal is a stop, its words are the text', async () => {
  const success = succeeded(await outcomeOf({ parts: [{ refusal: 'I cannot help.' }] }));
  assert.equal(success.stop, 'refusal');
  assert.deepEqual(success.content, [{ type: 'text', text: 'I cannot help.' }]);
});

test('a call that the output limit cut is dropped', async () => {
  const parts = [{ text: 'I look.' }, { tool: 'read_file', id: 'call_1', arguments: '{"path": "b' }];
  const success = succeeded(await outcomeOf({ parts, stop: 'max_tokens' }));
  assert.equal(success.stop, 'max_tokens');
  assert.deepEqual(success.content, [{ type: 'text', text: 'I look.' }]);
});

test('arguments that are no JSON object fail the call, for another try', async () => {
  const parts = [{ tool: 'read_file', id: 'call_1', arguments: '{"path": "b' }];
  const { failure } = failedOf(await outcomeOf({ parts }));
  assert.equal(failure.kind, 'malformed');
  assert.equal(failure.retryable, true);
});

test('items whose end was not streamed are taken from the closing event', async () => {
  const item = { type: 'function_call', call_id: 'call_1', name: 'read_file', arguments: '{}' };
  const reply = streamOf({ type: 'response.completed', response: { status: 'completed', output: [item] } });
  assert.equal(succeeded(await outcomeOf(reply)).stop, 'tool_calls');
});

test('the error event, in both of its shapes', async () => {
  for (const event of [
    { type: 'error', code: 'rate_limit_exceeded', message: 'Slow down.', param: null, sequence_number: 3 },
    { type: 'error', error: { type: 'tokens', code: 'rate_limit_exceeded', message: 'Slow down.' } },
  ]) {
    const { failure } = failedOf(await outcomeOf(streamOf(event)));
    assert.equal(failure.kind, 'rate_limited');
    assert.match(failure.message, /Slow down/);
  }
});

test('a prompt against the usage policy is refused', async () => {
  const error = { code: 'bio_policy', message: 'Not this.' };
  const { failure } = failedOf(
    await outcomeOf(streamOf({ type: 'response.failed', response: { status: 'failed', error } })),
  );
  assert.equal(failure.kind, 'refused');
  assert.equal(failure.retryable, false);
});
