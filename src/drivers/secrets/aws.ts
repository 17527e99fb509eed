/**
 * AWS Secrets Manager (https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html). A field
 * is taken out of the JSON object that the secret is; without one the whole text is the secret.
 */
import { Agent } from 'undici';
import type { Clock } from '../../base/time.ts';
import {
  fieldOf,
  type SecretReference,
  type SecretStore,
  secretForbidden,
  secretMissing,
  storeUnavailable,
} from '../../platform/secrets/port.ts';
import { type AwsCredentials, sign, type UnsignedRequest } from './aws-signature.ts';
import { type StoreAnswer, type StoreConnection, send } from './http.ts';

export interface AwsOptions {
  region: string;
  credentials: AwsCredentials;
  /** Other address than the region's own: a private endpoint, or a server of one's own. */
  endpoint: string | null;
  clock: Clock;
  pauseMs?: number;
}

/** A version is named by its id, which is at least 32 characters, or by its stage, such as AWSPREVIOUS. */
const versionIdLength = 32;

export function createAwsStore(options: AwsOptions): SecretStore {
  const dispatcher = new Agent({ connect: { timeout: 5_000 } });
  const connection: StoreConnection = { dispatcher, pauseMs: options.pauseMs ?? 200 };
  const url = new URL(options.endpoint ?? `https://secretsmanager.${options.region}.amazonaws.com/`);
  const fetchValue = async (reference: SecretReference): Promise<string> => {
    const request: UnsignedRequest = {
      method: 'POST',
      url,
      headers: {
        'content-type': 'application/x-amz-json-1.1',
        'x-amz-target': 'secretsmanager.GetSecretValue',
      },
      body: JSON.stringify({ SecretId: reference.path, ...versionOf(reference) }),
    };
    const make = () => {
      const place = { region: options.region, service: 'secretsmanager' };
      const headers = sign(request, options.credentials, place, new Date(options.clock.now()));
      return { method: 'POST' as const, url, headers, body: request.body };
    };
    return readAnswer(reference, await send(connection, make, isPassing));
  };
  return {
    scheme: 'aws-sm',
    read: reference =>
      fetchValue(reference).catch(error => {
        if (error instanceof Error && error.name === 'Problem') throw error;
        throw storeUnavailable(reference, `AWS Secrets Manager cannot be reached at ${url.host}`, error);
      }),
    close: () => dispatcher.destroy(),
  };
}

function versionOf({ version }: SecretReference): object {
  if (version === null) return {};
  return version.length >= versionIdLength ? { VersionId: version } : { VersionStage: version };
}

/** AWS names its errors in the body; throttling is a 400 too. */
const errorOf = ({ body }: StoreAnswer): string =>
  String((body as { __type?: unknown } | undefined)?.__type ?? '').replace(/^.*#/, '');

const isPassing = (answer: StoreAnswer): boolean =>
  answer.status >= 500 ||
  answer.status === 429 ||
  /^(Throttling|ThrottlingException|TooManyRequestsException|RequestLimitExceeded)$/.test(errorOf(answer));

function readAnswer(reference: SecretReference, answer: StoreAnswer): string {
  if (answer.status !== 200) throw refusal(reference, answer);
  const { SecretString: text, SecretBinary: binary } = (answer.body ?? {}) as Record<string, unknown>;
  const value =
    typeof text === 'string'
      ? text
      : typeof binary === 'string'
        ? Buffer.from(binary, 'base64').toString()
        : '';
  if (reference.field === null) {
    if (value !== '') return value;
    throw secretMissing(reference, 'the secret is empty');
  }
  try {
    return fieldOf(reference, JSON.parse(value));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw secretMissing(reference, `the secret is no JSON object that could have a field ${reference.field}`);
  }
}

function refusal(reference: SecretReference, answer: StoreAnswer) {
  const name = errorOf(answer);
  if (name === 'ResourceNotFoundException')
    return secretMissing(reference, 'there is no such secret or version');
  if (name === 'InvalidRequestException')
    return secretMissing(reference, 'the secret is marked for deletion');
  if (answer.status < 500 && !isPassing(answer))
    return secretForbidden(reference, `AWS refused the request (${name || answer.status})`);
  return storeUnavailable(reference, `AWS did not answer (${name || answer.status})`);
}
