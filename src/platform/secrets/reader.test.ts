import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock, seconds } from '../../base/time.ts';
import { parseReference, type SecretStore, secretForbidden, storeUnavailable } from './port.ts';
import { createSecretReader } from './reader.ts';
import { createRedactor, mark } from './redactor.ts';

function setUp() {
  const clock = new ManualClock();
  const redactor = createRedactor();
  const state = { value: 'value-number-1', fault: null as 'away' | 'forbidden' | null, reads: 0 };
  const store: SecretStore = {
    scheme: 'vault',
    async read(reference) {
      state.reads += 1;
      if (state.fault === 'away') throw storeUnavailable(reference, 'away');
      if (state.fault === 'forbidden') throw secretForbidden(reference, 'no');
      return state.value;
    },
    close: async () => {},
  };
  return { clock, redactor, state, reader: createSecretReader([store], clock, redactor) };
}
const at = 'vault://secret/db#password';

test('SEC-03 a value is kept for a moment and read anew after it, or at once when it was refused', async () => {
  const { clock, state, reader } = setUp();
  assert.deepEqual(await Promise.all([reader.read(at), reader.read(at)]), [
    'value-number-1',
    'value-number-1',
  ]);
  assert.equal(state.reads, 1);
  state.value = 'value-number-2';
  assert.equal(await reader.read(at), 'value-number-1');
  clock.advance(seconds(59));
  assert.equal(await reader.read(at), 'value-number-2', 'within a minute');
  state.value = 'value-number-3';
  assert.equal(await reader.readAgain(at), 'value-number-3');
  assert.equal(await reader.read(at), 'value-number-3');
});

test('while the store is away the last value goes on; without one it is a problem', async () => {
  const { clock, state, reader } = setUp();
  state.fault = 'away';
  await assert.rejects(reader.read(at), { code: 'secret_store_unavailable' });
  state.fault = null;
  assert.equal(await reader.read(at), 'value-number-1');
  state.fault = 'away';
  for (let n = 0; n < 3; n++) {
    clock.advance(seconds(60));
    assert.equal(await reader.read(at), 'value-number-1');
  }
});

test('SEC-03 what is forbidden now is not used any longer, though a value was kept', async () => {
  const { clock, state, reader } = setUp();
  await reader.read(at);
  state.fault = 'forbidden';
  clock.advance(seconds(59));
  await assert.rejects(reader.read(at), { code: 'secret_forbidden' });
});

test('SEC-07 every value that was read is known to the redactor', async () => {
  const { redactor, reader } = setUp();
  const value = await reader.read(at);
  assert.equal(redactor.redact(`with ${value}!`), `with ${mark}!`);
});

test('a reference to a store that is not set up says what to set; malformed ones say how they look', async () => {
  const { reader } = setUp();
  await assert.rejects(reader.read('aws-sm://name'), { code: 'secret_store_missing', message: /AWS_REGION/ });
  for (const text of [
    'vault://only#x',
    'vault://a/b',
    'vault:a/b#c',
    'file://relative',
    'file:///a/../b',
    'vault://a//b#c',
    'env://',
  ])
    assert.throws(() => parseReference(text), { code: 'secret_reference_invalid' }, text);
  for (const text of ['postgres://a:b@c/d', 'plain', 'sk-ant-vault://'])
    assert.equal(parseReference(text), null);
});
