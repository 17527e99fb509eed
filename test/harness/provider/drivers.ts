/** The three drivers for HTTP, set up against the local provider, for tests that hold for all of them. */
import type { Dispatcher } from 'undici';
import { createAnthropicDriver } from '../../../src/drivers/models/anthropic.ts';
import { createOpenAiDriver } from '../../../src/drivers/models/openai.ts';
import { createOpenAiCompatibleDriver } from '../../../src/drivers/models/openai-compatible.ts';
import type { ModelDriver, ModelRequest } from '../../../src/features/models/port.ts';

export const driverKinds = ['anthropic', 'openai', 'openai-compatible'] as const;
export type DriverKind = (typeof driverKinds)[number];

export const testKey = 'sk-test-0123456789abcdef';

/** A driver that is closed at the end of its block, with which a test cannot hang. */
export type TestDriver = ModelDriver & AsyncDisposable;

export function newTestDriver(kind: DriverKind, url: string, options: TestOptions = {}): TestDriver {
  const driver = newDriver(kind, url, { apiKey: testKey, ...options });
  return Object.assign(driver, { [Symbol.asyncDispose]: () => driver.close() });
}

interface TestOptions {
  apiKey?: string;
  dispatcher?: Dispatcher;
}

function newDriver(kind: DriverKind, url: string, options: TestOptions & { apiKey: string }): ModelDriver {
  switch (kind) {
    case 'anthropic':
      return createAnthropicDriver({ ...options, baseUrl: url });
    case 'openai':
      return createOpenAiDriver({ ...options, baseUrl: `${url}/v1` });
    case 'openai-compatible':
      return createOpenAiCompatibleDriver({ ...options, baseUrl: `${url}/v1` });
  }
}

export function sampleRequest(more: Partial<ModelRequest> = {}): ModelRequest {
  return {
    model: 'model-local',
    system: 'You are a careful assistant.',
    messages: [{ role: 'user', content: [{ type: 'text', text: 'Good morning.' }] }],
    tools: [],
    tool_choice: 'auto',
    max_output_tokens: 1_000,
    ...more,
  };
}
