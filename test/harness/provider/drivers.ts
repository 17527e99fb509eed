/** The three drivers for HTTP, set up against the local provider, for tests that hold for all of them. */
import { createAnthropicDriver } from '../../../src/drivers/models/anthropic.ts';
import { createOpenAiDriver } from '../../../src/drivers/models/openai.ts';
import { createOpenAiCompatibleDriver } from '../../../src/drivers/models/openai-compatible.ts';
import type { ModelDriver, ModelRequest } from '../../../src/features/models/port.ts';

export const driverKinds = ['anthropic', 'openai', 'openai-compatible'] as const;
export type DriverKind = (typeof driverKinds)[number];

export const testKey = 'sk-test-0123456789abcdef';

export function newTestDriver(kind: DriverKind, url: string, apiKey: string = testKey): ModelDriver {
  switch (kind) {
    case 'anthropic':
      return createAnthropicDriver({ apiKey, baseUrl: url });
    case 'openai':
      return createOpenAiDriver({ apiKey, baseUrl: `${url}/v1` });
    case 'openai-compatible':
      return createOpenAiCompatibleDriver({ apiKey, baseUrl: `${url}/v1` });
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
