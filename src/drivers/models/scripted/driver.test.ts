/** The scripted driver at the port: the conformance suite, determinism, counted tokens, limits, abort. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { modelConformance } from '../../../features/models/conformance.ts';
import type { ModelFailed, ModelMessage, ModelSuccess } from '../../../features/models/port.ts';
import { createScriptedDriver } from './driver.ts';
import { briefOf, callOptions, decisions, rehearse, requestOf } from './rehearsal.test.ts';

const system = 'You are cora, Coder in the team test.\nRole: coder\nYou report to lead.';
const opening = (text: string): ModelMessage[] => [{ role: 'user', content: [{ type: 'text', text }] }];
const repair = requestOf(system, opening(briefOf({ checks: ['npm test'] }, decisions('done', 'gave_up'))));

modelConformance({
  name: 'scripted',
  can: { answers: false, failures: [], hang: false, opaque: false },
  start: async () => ({
    driver: createScriptedDriver(),
    request: repair,
    stage: () => {},
    close: async () => {},
  }),
});

async function success(
  driver: ReturnType<typeof createScriptedDriver>,
  request = repair,
): Promise<ModelSuccess> {
  const outcome = await driver.call(request, callOptions());
  if (!outcome.ok) assert.fail(outcome.failure.message);
  return outcome;
}

test('TST-06 the same request gets the same answer, from any driver, at every turn of a repair', async () => {
  const { messages } = await rehearse({
    files: {
      'check.mjs':
        "import assert from 'node:assert';\nimport { last } from './last.mjs';\nassert.equal(last([1, 2, 3]), 3);\n",
      'last.mjs': 'export function last(list) {\n  return list[list.length];\n}\n',
    },
    checks: ['node check.mjs'],
  });
  const turns = messages.flatMap((message, index) => (message.role === 'assistant' ? [index] : []));
  assert.ok(turns.length > 4);
  for (const index of turns) {
    const again = await success(
      createScriptedDriver(),
      requestOf(
        'You are cora, Coder in the team test.\nRole: coder\nYou report to lead.\n\nWork carefully.',
        messages.slice(0, index),
      ),
    );
    assert.deepEqual(again.content, messages[index]!.content);
  }
});

test('TST-06 the program reaches nothing but its request: no module for files, network, processes or workers', () => {
  const folders = [import.meta.dirname, join(import.meta.dirname, 'repair')];
  const sources = folders.flatMap(folder =>
    readdirSync(folder)
      .filter(name => name.endsWith('.ts') && !name.endsWith('.test.ts'))
      .map(name => join(folder, name)),
  );
  assert.ok(sources.length > 20);
  const modules = new Set(
    sources.flatMap(path =>
      [...readFileSync(path, 'utf8').matchAll(/^(?:import\b.*|\}) from '([^.'][^']*)'/gm)].map(
        match => match[1],
      ),
    ),
  );
  assert.deepEqual([...modules].sort(), ['node:crypto', 'node:timers/promises']);
  for (const path of sources)
    assert.doesNotMatch(
      readFileSync(path, 'utf8'),
      /\bfetch\(|\bprocess\.|\beval\(|new Function\(|import\(/,
      path,
    );
});

test('CST-01 tokens are a quarter of the UTF-8 bytes that were sent and generated', async () => {
  const request = requestOf('ä'.repeat(100), opening('hello'), []);
  const { usage, content, usage_exact } = await success(createScriptedDriver(), request);
  const sent = 200 + JSON.stringify(request.messages).length + JSON.stringify([]).length;
  const said = content[0]?.type === 'text' ? content[0].text : '';
  assert.deepEqual(usage, {
    input_tokens: Math.ceil(sent / 4),
    cached_read_tokens: 0,
    cached_write_tokens: 0,
    output_tokens: Math.ceil(said.length / 4),
    reasoning_tokens: 0,
  });
  assert.equal(usage_exact, true);
});

test('an answer over the cap is cut: text without a call, and the stop says so', async () => {
  const { content, stop, usage } = await success(createScriptedDriver(), { ...repair, max_output_tokens: 5 });
  assert.equal(stop, 'max_tokens');
  assert.deepEqual(content, [{ type: 'text', text: 'I look at the files ' }]);
  assert.equal(usage.output_tokens, 5);
});

test('an abort during the latency ends the call at once', async () => {
  const abort = new AbortController();
  setTimeout(() => abort.abort(), 20);
  const outcome = (await createScriptedDriver({ latencyMs: 60_000 }).call(
    repair,
    callOptions({ signal: abort.signal }),
  )) as ModelFailed;
  assert.deepEqual([outcome.failure.kind, outcome.failure.retryable], ['aborted', false]);
  assert.ok(outcome.total_ms < 5_000);
});

test('closing the driver ends the calls that run', async () => {
  const driver = createScriptedDriver({ latencyMs: 60_000 });
  const running = driver.call(repair, callOptions());
  await driver.close();
  const outcome = await running;
  assert.equal(!outcome.ok && outcome.failure.kind, 'aborted');
});

test('a latency beyond the time limit is a time-out', async () => {
  const timeouts = { connect: 10, first_token: 10, idle: 10, total: 100 };
  const outcome = await createScriptedDriver({ latencyMs: 60_000 }).call(repair, callOptions({ timeouts }));
  assert.equal(!outcome.ok && outcome.failure.kind, 'timeout_first_token');
});

test('there is one model', async () => {
  assert.equal((await success(createScriptedDriver(), { ...repair, model: 'scripted/team' })).model, 'team');
  const outcome = await createScriptedDriver().call({ ...repair, model: 'gpt' }, callOptions());
  assert.equal(!outcome.ok && outcome.failure.kind, 'model_not_found');
});

test('outside a task it says what it is, and fills a forced call as its schema demands', async () => {
  const plain = await success(createScriptedDriver(), requestOf('', opening('Hello!'), ['read_file']));
  assert.equal(plain.stop, 'end');
  const schema = {
    type: 'object',
    properties: {
      path: { type: 'string' },
      mode: { enum: ['r', 'w'] },
      lines: { type: 'integer', minimum: 1 },
      more: { type: 'string' },
    },
    required: ['path', 'mode', 'lines'],
  };
  const tools = [{ name: 'read_file', description: '', input_schema: schema }];
  const forced = await success(createScriptedDriver(), {
    ...requestOf('', opening('notes.txt'), []),
    tools,
    tool_choice: 'required',
  });
  assert.deepEqual(forced.content, [
    {
      type: 'tool_call',
      id: 'call_1_1',
      name: 'read_file',
      arguments: { path: 'notes.txt', mode: 'r', lines: 1 },
    },
  ]);
  const missing = await createScriptedDriver().call(
    { ...repair, tool_choice: { name: 'other' } },
    callOptions(),
  );
  assert.equal(!missing.ok && missing.failure.kind, 'invalid_request');
});
