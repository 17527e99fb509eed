/** The ways in which servers bend the format of chat completions, and what is made of each. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { newTestDriver, sampleRequest } from '../../../test/harness/provider/drivers.ts';
import { startProvider } from '../../../test/harness/provider/provider.ts';
import type { Reply } from '../../../test/harness/provider/script.ts';
import { callOptions, failedOf, succeeded } from '../../features/models/conformance.ts';
import type { ModelMessage, ModelTool } from '../../features/models/port.ts';
import { createOpenAiCompatibleDriver } from './openai-compatible.ts';

const readFile: ModelTool = {
  name: 'read_file',
  description: 'Reads a file.',
  input_schema: { type: 'object', properties: { path: { type: 'string' } } },
};

const stop = { choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] };

function chunk(delta: object): object {
  return { choices: [{ index: 0, delta, finish_reason: null }] };
}

function streamOf(...chunks: (object | string)[]): Reply {
  const lines = chunks.map(value => `data: ${typeof value === 'string' ? value : JSON.stringify(value)}\n\n`);
  return { status: 200, headers: { 'content-type': 'text/event-stream' }, body: lines.join('') };
}

async function outcomeOf(reply: Reply) {
  await using provider = await startProvider([reply]);
  await using driver = newTestDriver('openai-compatible', provider.url);
  return await driver.call(sampleRequest({ tools: [readFile] }), callOptions());
}

/** The calls of an answer as `id name arguments`; ids that were made up are shown as `made-up`. */
async function callsOf(...chunks: (object | string)[]): Promise<string[]> {
  const { content, stop: end } = succeeded(await outcomeOf(streamOf(...chunks)));
  assert.equal(end, 'tool_calls');
  return content.flatMap(part => {
    if (part.type !== 'tool_call') return [];
    const id = /^call_[0-9a-f]{24}$/.test(part.id) ? 'made-up' : part.id;
    return [`${id} ${part.name} ${JSON.stringify(part.arguments)}`];
  });
}

const call = (more: object, fn: object = {}): object => chunk({ tool_calls: [{ ...more, function: fn }] });

describe('tool calls', () => {
  test('interleaved, by index', async () => {
    const calls = await callsOf(
      call({ index: 0, id: 'a' }, { name: 'read_file', arguments: '' }),
      call({ index: 1, id: 'b' }, { name: 'read_file', arguments: '{"path"' }),
      call({ index: 0 }, { arguments: '{"path":' }),
      call({ index: 1 }, { arguments: ':"2"}' }),
      call({ index: 0 }, { arguments: '"1"}' }),
      stop,
      '[DONE]',
    );
    assert.deepEqual(calls, ['a read_file {"path":"1"}', 'b read_file {"path":"2"}']);
  });

  test('without id and index, arguments as an object, finished with `stop` (Ollama of old)', async () => {
    const calls = await callsOf(
      chunk({ tool_calls: [{ function: { name: 'read_file', arguments: { path: '1' } } }] }),
      chunk({ tool_calls: [{ function: { name: 'read_file', arguments: { path: '2' } } }] }),
      stop,
      '[DONE]',
    );
    assert.deepEqual(calls, ['made-up read_file {"path":"1"}', 'made-up read_file {"path":"2"}']);
  });

  test('index 0 for all, told apart by id', async () => {
    const calls = await callsOf(
      call({ index: 0, id: 'a' }, { name: 'read_file', arguments: '{"path":"1"}' }),
      call({ index: 0, id: 'b' }, { name: 'read_file', arguments: '{"path":"2"}' }),
      stop,
    );
    assert.deepEqual(calls, ['a read_file {"path":"1"}', 'b read_file {"path":"2"}']);
  });

  test('index 0 for all, without ids', async () => {
    const calls = await callsOf(
      call({ index: 0 }, { name: 'read_file', arguments: '{"path":"1"}' }),
      call({ index: 0 }, { name: 'read_file', arguments: '{"path":"2"}' }),
      stop,
    );
    assert.deepEqual(calls, ['made-up read_file {"path":"1"}', 'made-up read_file {"path":"2"}']);
  });

  test('the same id twice', async () => {
    const calls = await callsOf(
      call({ index: 0, id: 'x' }, { name: 'read_file', arguments: '{}' }),
      call({ index: 1, id: 'x' }, { name: 'read_file', arguments: '{"path":"2"}' }),
      stop,
    );
    assert.deepEqual(calls, ['x read_file {}', 'made-up read_file {"path":"2"}']);
  });

  test('id and name on every delta', async () => {
    const calls = await callsOf(
      call({ index: 0, id: 'a' }, { name: 'read_file', arguments: '{"pa' }),
      call({ index: 0, id: 'a' }, { name: 'read_file', arguments: 'th":"1' }),
      call({ index: 0, id: 'a' }, { name: 'read_file', arguments: '"}' }),
      stop,
    );
    assert.deepEqual(calls, ['a read_file {"path":"1"}']);
  });

  test('the name on every delta, without id and index', async () => {
    const calls = await callsOf(
      call({}, { name: 'read_file', arguments: '{"pa' }),
      call({}, { name: 'read_file', arguments: 'th":"1"}' }),
      call({}, { name: 'read_file', arguments: '{"path":"2"}' }),
      stop,
    );
    assert.deepEqual(calls, ['made-up read_file {"path":"1"}', 'made-up read_file {"path":"2"}']);
  });

  test('arguments that are missing, null, or JSON within a string', async () => {
    const calls = await callsOf(
      call({ index: 0, id: 'a' }, { name: 'read_file' }),
      call({ index: 1, id: 'b' }, { name: 'read_file', arguments: null }),
      call({ index: 2, id: 'c' }, { name: 'read_file', arguments: '"{\\"path\\":\\"1\\"}"' }),
      call({ index: 3, id: 'd' }, { name: 'read_file', arguments: 'null' }),
      stop,
    );
    assert.deepEqual(calls, [
      'a read_file {}',
      'b read_file {}',
      'c read_file {"path":"1"}',
      'd read_file {}',
    ]);
  });

  test('arguments that are no JSON object fail the call, for another try', async () => {
    const reply = streamOf(call({ index: 0, id: 'a' }, { name: 'read_file', arguments: '{"path": "' }), stop);
    const { failure } = failedOf(await outcomeOf(reply));
    assert.equal(failure.kind, 'malformed');
    assert.equal(failure.retryable, true);
  });

  test('made-up ids are the same for the same call, and differ between calls', async () => {
    const reply = streamOf(call({}, { name: 'read_file', arguments: '{}' }), stop);
    await using provider = await startProvider(() => reply);
    await using driver = newTestDriver('openai-compatible', provider.url);
    const idOf = async (idempotency_key: string): Promise<string> => {
      const { content } = succeeded(
        await driver.call(sampleRequest({ tools: [readFile] }), callOptions({ idempotency_key })),
      );
      return content[0]?.type === 'tool_call' ? content[0].id : '';
    };
    assert.equal(await idOf('step_1'), await idOf('step_1'));
    assert.notEqual(await idOf('step_1'), await idOf('step_2'));
  });
});

describe('ends', () => {
  test('no [DONE] after a finish reason is an end', async () => {
    assert.equal(succeeded(await outcomeOf(streamOf(chunk({ content: 'x' }), stop))).stop, 'end');
  });

  test('[DONE] without a finish reason is a truncated answer', async () => {
    const { failure } = failedOf(await outcomeOf(streamOf(chunk({ content: 'x' }), '[DONE]')));
    assert.equal(failure.kind, 'truncated');
  });

  test('a server that gave up midway is no end', async () => {
    const gaveUp = { choices: [{ index: 0, delta: {}, finish_reason: 'insufficient_system_resource' }] };
    const { failure } = failedOf(await outcomeOf(streamOf(chunk({ content: 'x' }), gaveUp, '[DONE]')));
    assert.equal(failure.kind, 'overloaded');
  });

  test('a status in the code of an error within the stream (routers)', async () => {
    const { failure } = failedOf(
      await outcomeOf(streamOf(chunk({ content: 'x' }), { error: { code: 429, message: 'Busy' } })),
    );
    assert.equal(failure.kind, 'rate_limited');
  });

  test('an answer that was not streamed', async () => {
    const message = {
      role: 'assistant',
      content: 'I look.',
      tool_calls: [{ id: 'a', type: 'function', function: { name: 'read_file', arguments: '{"path":"1"}' } }],
    };
    const completion = {
      object: 'chat.completion',
      model: 'whole',
      choices: [{ index: 0, message, finish_reason: 'tool_calls' }],
      usage: { prompt_tokens: 9, completion_tokens: 3 },
    };
    const headers = { 'content-type': 'application/json' };
    await using provider = await startProvider([{ status: 200, headers, body: JSON.stringify(completion) }]);
    await using driver = newTestDriver('openai-compatible', provider.url);
    let live = '';
    const options = callOptions({ onText: text => (live += text) });
    const success = succeeded(await driver.call(sampleRequest({ tools: [readFile] }), options));
    assert.equal(success.stop, 'tool_calls');
    assert.equal(success.content.length, 2);
    assert.equal(success.model, 'whole');
    assert.deepEqual([success.usage.input_tokens, success.usage.output_tokens], [9, 3]);
    assert.equal(live, 'I look.');
  });

  test('content as a list of parts', async () => {
    const reply = streamOf(chunk({ content: [{ type: 'text', text: 'x' }] }), stop);
    assert.deepEqual(succeeded(await outcomeOf(reply)).content, [{ type: 'text', text: 'x' }]);
  });

  test('a first chunk without choices, and choices of another index, are passed over', async () => {
    const other = { choices: [{ index: 1, delta: { content: 'no' }, finish_reason: 'stop' }] };
    const reply = streamOf({ choices: [], prompt_filter_results: [] }, other, chunk({ content: 'x' }), stop);
    assert.deepEqual(succeeded(await outcomeOf(reply)).content, [{ type: 'text', text: 'x' }]);
  });
});

describe('errors in the words of', () => {
  const cases: [server: string, status: number, body: string, kind: string][] = [
    [
      'Ollama, no such model',
      404,
      '{"error":{"message":"model \\"x\\" not found, try pulling it first","type":"api_error"}}',
      'model_not_found',
    ],
    ['Ollama of old', 404, '{"error":"model \'x\' not found"}', 'model_not_found'],
    [
      'llama.cpp, context',
      400,
      '{"error":{"code":400,"message":"the request exceeds the available context size","type":"exceed_context_size_error"}}',
      'context_length',
    ],
    [
      'llama.cpp, loading',
      503,
      '{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}',
      'overloaded',
    ],
    [
      'vLLM, context',
      400,
      '{"object":"error","message":"This model\'s maximum context length is 4096 tokens.","type":"BadRequestError","code":400}',
      'context_length',
    ],
    [
      'vLLM, no such model',
      404,
      '{"object":"error","message":"The model `x` does not exist.","type":"NotFoundError","code":404}',
      'model_not_found',
    ],
    ['FastAPI', 422, '{"detail":[{"loc":["body","tools"],"msg":"field required"}]}', 'invalid_request'],
    ['OpenRouter, no credits', 402, '{"error":{"code":402,"message":"Insufficient credits"}}', 'quota'],
  ];
  for (const [server, status, body, kind] of cases)
    test(server, async () => {
      const headers = { 'content-type': 'application/json' };
      assert.equal(failedOf(await outcomeOf({ status, headers, body })).failure.kind, kind);
    });
});

test('the request on the wire, without a key', async () => {
  await using provider = await startProvider([{ parts: [{ text: 'Done.' }] }]);
  const driver = createOpenAiCompatibleDriver({ baseUrl: `${provider.url}/v1`, provider: 'ollama' });
  assert.equal(driver.provider, 'ollama');
  const messages: ModelMessage[] = [
    {
      role: 'user',
      content: [
        { type: 'text', text: 'Fix' },
        { type: 'text', text: 'it.' },
      ],
    },
    {
      role: 'assistant',
      content: [
        { type: 'opaque', provider: 'ollama', data: { reasoning_content: 'hm' } },
        { type: 'tool_call', id: 'call_1', name: 'read_file', arguments: { path: 'b', at: 1 } },
      ],
    },
    {
      role: 'tool',
      content: [{ type: 'tool_result', tool_call_id: 'call_1', content: 'no', is_error: true }],
    },
  ];
  succeeded(
    await driver.call(sampleRequest({ messages, tools: [readFile], tool_choice: 'required' }), callOptions()),
  );
  await driver.close();
  const { headers, body } = provider.requests[0]!;
  assert.equal(headers.authorization, undefined);
  assert.equal(headers['idempotency-key'], 'step_conformance');
  assert.equal(headers['x-request-id'], 'req_conformance');
  assert.deepEqual(body, {
    model: 'model-local',
    messages: [
      { role: 'system', content: 'You are a careful assistant.' },
      { role: 'user', content: 'Fix\n\nit.' },
      {
        role: 'assistant',
        content: null,
        reasoning_content: 'hm',
        tool_calls: [
          {
            id: 'call_1',
            type: 'function',
            function: { name: 'read_file', arguments: '{"at":1,"path":"b"}' },
          },
        ],
      },
      { role: 'tool', tool_call_id: 'call_1', content: 'Error: no' },
    ],
    tools: [
      {
        type: 'function',
        function: { name: 'read_file', description: 'Reads a file.', parameters: readFile.input_schema },
      },
    ],
    tool_choice: 'required',
    max_tokens: 1_000,
    stream: true,
    stream_options: { include_usage: true },
  });
});
