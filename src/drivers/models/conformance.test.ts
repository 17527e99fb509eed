/** All three drivers pass the suite of the port, against a provider on this machine that speaks their wire format. */

import { driverKinds, newTestDriver, sampleRequest } from '../../../test/harness/provider/drivers.ts';
import { startProvider } from '../../../test/harness/provider/provider.ts';
import type { ErrorName, Reply } from '../../../test/harness/provider/script.ts';
import { modelConformance, type Staged } from '../../features/models/conformance.ts';
import type { ModelFailureKind, ModelUsage } from '../../features/models/port.ts';

const errors: Partial<Record<ModelFailureKind, ErrorName>> = {
  rate_limited: 'rate_limited',
  overloaded: 'overloaded',
  quota: 'quota',
  unauthorized: 'unauthorized',
  model_not_found: 'model_not_found',
  context_length: 'context_length',
  invalid_request: 'invalid_request',
};

const plainUsage: ModelUsage = {
  input_tokens: 12,
  cached_read_tokens: 0,
  cached_write_tokens: 0,
  output_tokens: 7,
  reasoning_tokens: 0,
};

function replyFor(next: Staged): Reply {
  const parts = [{ text: 'one two three four five six' }];
  if ('answer' in next) return { usage: plainUsage, ...next.answer };
  if ('hang' in next)
    return next.hang === 'midway'
      ? { parts, fault: { fault: 'stall', after: 5 } }
      : { parts, fault: { fault: 'hang_before_first_token' } };
  const error = errors[next.failure];
  if (error) return { error };
  if (next.failure === 'truncated') return { parts, fault: { fault: 'truncate', after: 5 } };
  if (next.failure === 'malformed') return { parts, fault: { fault: 'malformed_json', after: 3 } };
  throw new Error(`No way to stage ${next.failure}.`);
}

for (const kind of driverKinds)
  modelConformance({
    name: kind,
    can: {
      answers: true,
      failures: [...(Object.keys(errors) as ModelFailureKind[]), 'truncated', 'malformed'],
      hang: true,
      opaque: true,
    },
    async start() {
      const provider = await startProvider();
      return {
        driver: newTestDriver(kind, provider.url),
        request: sampleRequest(),
        stage: next => provider.script(replyFor(next)),
        close: () => provider.close(),
      };
    },
  });
