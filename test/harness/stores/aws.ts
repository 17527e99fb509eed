/**
 * AWS Secrets Manager on this machine, as far as GetSecretValue goes. It checks the signature of each request as AWS
 * does: from what arrived, within five minutes, with the key that belongs to the id.
 */
import { createHash, createHmac } from 'node:crypto';
import type { Clock } from '../../../src/base/time.ts';
import { type Asked, type Reply, type StoreServer, startStoreServer } from './server.ts';

export interface FakeAws extends StoreServer {
  keys: Map<string, { secret: string; sessionToken: string | null }>;
  /** Name → versions by stage. A Buffer is a binary secret. */
  secrets: Map<string, Map<string, string | Buffer>>;
}

const error = (name: string, message: string, status = 400): Reply => ({
  status,
  body: { __type: name, Message: message },
});

export async function startAws(clock: Clock): Promise<FakeAws> {
  const keys: FakeAws['keys'] = new Map();
  const secrets: FakeAws['secrets'] = new Map();
  const server = await startStoreServer(asked => {
    const refusal = checkSignature(asked, keys, clock.now());
    if (refusal) return refusal;
    if (asked.headers['x-amz-target'] !== 'secretsmanager.GetSecretValue')
      return error('UnknownOperationException', '');
    const { SecretId: name, VersionStage: stage = 'AWSCURRENT' } = JSON.parse(asked.text);
    const value = secrets.get(name)?.get(stage);
    if (value === undefined)
      return error('ResourceNotFoundException', "Secrets Manager can't find the specified secret.");
    const content =
      typeof value === 'string' ? { SecretString: value } : { SecretBinary: value.toString('base64') };
    return { status: 200, body: { Name: name, VersionStages: [stage], ...content } };
  });
  return Object.assign(server, { keys, secrets });
}

function checkSignature(asked: Asked, keys: FakeAws['keys'], now: number): Reply | null {
  const { headers } = asked;
  const parts =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/secretsmanager\/aws4_request, SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})$/.exec(
      headers.authorization ?? '',
    );
  if (!parts) return error('IncompleteSignatureException', '');
  const [, id = '', day = '', region = '', signedNames = '', signature = ''] = parts;
  const key = keys.get(id);
  if (!key || (headers['x-amz-security-token'] ?? null) !== key.sessionToken)
    return error('UnrecognizedClientException', 'The security token included in the request is invalid.');
  const stamp = headers['x-amz-date'] ?? '';
  const sent = Date.parse(stamp.replace(/(....)(..)(..T..)(..)(..Z)/, '$1-$2-$3:$4:$5'));
  if (!(Math.abs(sent - now) < 300_000)) return error('RequestExpired', '');
  for (const needed of ['host', 'x-amz-date', ...(key.sessionToken ? ['x-amz-security-token'] : [])])
    if (!signedNames.split(';').includes(needed))
      return error('SignatureDoesNotMatch', `${needed} is not signed`);
  const lines = signedNames.split(';').map(name => `${name}:${(headers[name] ?? '').trim()}\n`);
  const sha = (text: string) => createHash('sha256').update(text).digest('hex');
  const canonical = `${asked.method}\n${asked.path}\n\n${lines.join('')}\n${signedNames}\n${sha(asked.text)}`;
  const toSign = `AWS4-HMAC-SHA256\n${stamp}\n${day}/${region}/secretsmanager/aws4_request\n${sha(canonical)}`;
  const mac = (k: string | Buffer, text: string) => createHmac('sha256', k).update(text).digest();
  const signing = mac(mac(mac(mac(`AWS4${key.secret}`, day), region), 'secretsmanager'), 'aws4_request');
  return mac(signing, toSign).toString('hex') === signature
    ? null
    : error('InvalidSignatureException', 'The request signature we calculated does not match.');
}
