import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { startAws } from '../../../test/harness/stores/aws.ts';
import { ManualClock } from '../../base/time.ts';
import { parseReference, type SecretReference, type SecretStore } from '../../platform/secrets/port.ts';
import { type AwsOptions, createAwsStore } from './aws.ts';
import { sign } from './aws-signature.ts';

const clock = new ManualClock();
const aws = await startAws(clock);
aws.keys.set('AKIDONE', { secret: 'one', sessionToken: null });
aws.keys.set('ASIATWO', { secret: 'two', sessionToken: 'session' });
aws.secrets.set(
  'prod/db',
  new Map<string, string | Buffer>([
    ['AWSCURRENT', '{"password":"current-1","port":5432}'],
    ['AWSPREVIOUS', '{"password":"previous-0"}'],
  ]),
);
aws.secrets.set('text', new Map([['AWSCURRENT', 'only text']]));
aws.secrets.set('binary', new Map([['AWSCURRENT', Buffer.from('from bytes')]]));
const stores: SecretStore[] = [];
after(async () => {
  for (const store of stores) await store.close();
  await aws[Symbol.asyncDispose]();
});

const plain = { accessKeyId: 'AKIDONE', secretAccessKey: 'one', sessionToken: null };
function storeWith(credentials: AwsOptions['credentials'] = plain): SecretStore {
  const store = createAwsStore({ region: 'eu-central-1', credentials, endpoint: aws.url, clock, pauseMs: 1 });
  stores.push(store);
  return store;
}
const read = (store: SecretStore, text: string) => store.read(parseReference(text) as SecretReference);

test('signatures equal those of the published test suite', () => {
  const credentials = {
    accessKeyId: 'AKIDEXAMPLE',
    secretAccessKey: ['wJalrXUtnFEMI', 'K7MDENG+bPxRfiCYEXAMPLEKEY'].join('/'),
    sessionToken: null,
  };
  const signatureOf = (method: string, address: string) => {
    const url = new URL(address, 'https://example.amazonaws.com');
    const headers = sign(
      { method, url, headers: {}, body: '' },
      credentials,
      { region: 'us-east-1', service: 'service' },
      new Date(Date.UTC(2015, 7, 30, 12, 36, 0)),
    );
    return headers.authorization?.split('Signature=')[1];
  };
  assert.equal(signatureOf('GET', '/'), '5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31');
  assert.equal(signatureOf('POST', '/'), '5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b');
  assert.equal(
    signatureOf('GET', '/?Param2=value2&Param1=value1'),
    'b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500',
  );
});

test('a stage that is named is read, the current one without; text and bytes come whole', async () => {
  const store = storeWith();
  assert.equal(await read(store, 'aws-sm://prod/db#password'), 'current-1');
  assert.equal(await read(store, 'aws-sm://prod/db?stage=AWSPREVIOUS#password'), 'previous-0');
  await assert.rejects(read(store, 'aws-sm://prod/db?stage=NONE#password'), { code: 'secret_missing' });
  assert.equal(await read(store, 'aws-sm://text'), 'only text');
  assert.equal(await read(store, 'aws-sm://binary'), 'from bytes');
  await assert.rejects(read(store, 'aws-sm://text#password'), { message: /no JSON object/ });
  await assert.rejects(read(store, 'aws-sm://prod/db#port'), { code: 'secret_missing' });
});

test('credentials of a session are sent and signed; wrong ones are refused in clear words', async () => {
  const session = { accessKeyId: 'ASIATWO', secretAccessKey: 'two', sessionToken: 'session' };
  assert.equal(await read(storeWith(session), 'aws-sm://text'), 'only text');
  for (const wrong of [
    { ...plain, secretAccessKey: 'other' },
    { ...plain, accessKeyId: 'AKIDNONE' },
    { ...session, sessionToken: 'ended' },
  ])
    await assert.rejects(read(storeWith(wrong), 'aws-sm://text'), { code: 'secret_forbidden' });
});

test('throttling, faults and broken connections are tried again with a new signature; what lasts is unavailable', async () => {
  const store = storeWith();
  for (const fault of [
    { status: 400, body: { __type: 'ThrottlingException', Message: 'Rate exceeded' } },
    { status: 500, body: { __type: 'com.amazonaws#InternalServiceError' } },
    'hang up' as const,
  ]) {
    aws.faults.push(fault, fault);
    assert.equal(await read(store, 'aws-sm://text'), 'only text');
    aws.faults.push(...Array.from({ length: 4 }, () => fault));
    await assert.rejects(read(store, 'aws-sm://text'), { code: 'secret_store_unavailable', retryable: true });
  }
  aws.faults.push({ status: 400, body: { __type: 'AccessDeniedException' } });
  await assert.rejects(read(store, 'aws-sm://text'), { code: 'secret_forbidden' });
  aws.faults.push({ status: 400, body: { __type: 'InvalidRequestException' } });
  await assert.rejects(read(store, 'aws-sm://text'), { message: /marked for deletion/ });
});
