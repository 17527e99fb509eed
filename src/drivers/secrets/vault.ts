/**
 * HashiCorp Vault, KV version 2 (https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v2). We come with a token
 * or with an AppRole; a token is renewed when two thirds of its life are over, and a new one is fetched when the old
 * one is no longer taken.
 */
import { Agent } from 'undici';
import { type Clock, seconds } from '../../base/time.ts';
import {
  fieldOf,
  type SecretReference,
  type SecretStore,
  secretForbidden,
  secretMissing,
  storeUnavailable,
} from '../../platform/secrets/port.ts';
import { type StoreAnswer, type StoreConnection, type StoreRequest, send } from './http.ts';

export interface VaultOptions {
  /** VAULT_ADDR, e.g. `https://vault.example:8200`. */
  address: string;
  namespace: string | null;
  login: { token: string } | { roleId: string; secretId: string };
  clock: Clock;
  pauseMs?: number;
}

interface Token {
  value: string;
  /** When to renew it; null: it does not end, or cannot be renewed. */
  renewAt: number | null;
}

interface Auth {
  client_token?: string;
  lease_duration?: number;
  ttl?: number;
  renewable?: boolean;
}

/** 429: limited; 412: a standby that is behind; 5xx: sealed, starting or down. */
const isPassing = ({ status }: StoreAnswer): boolean => status === 429 || status === 412 || status >= 500;

export function createVaultStore(options: VaultOptions): SecretStore {
  const dispatcher = new Agent({ connect: { timeout: 5_000 } });
  const connection: StoreConnection = { dispatcher, pauseMs: options.pauseMs ?? 200 };
  let token: Promise<Token> | null = null;

  const ask = (
    method: 'GET' | 'POST',
    path: string,
    auth: string | null,
    body?: object,
  ): Promise<StoreAnswer> => {
    const request: StoreRequest = {
      method,
      url: new URL(`/v1/${path}`, options.address),
      headers: {
        'x-vault-request': 'true',
        ...(auth === null ? {} : { 'x-vault-token': auth }),
        ...(options.namespace ? { 'x-vault-namespace': options.namespace } : {}),
        ...(body ? { 'content-type': 'application/json' } : {}),
      },
      ...(body ? { body: JSON.stringify(body) } : {}),
    };
    return send(connection, () => request, isPassing);
  };
  const tokenOf = (value: string, auth: Auth): Token => {
    const life = auth.lease_duration ?? auth.ttl ?? 0;
    const renewable = auth.renewable === true && life > 0;
    return { value, renewAt: renewable ? options.clock.now() + (seconds(life) * 2) / 3 : null };
  };
  const logIn = async (reference: SecretReference): Promise<Token> => {
    const { login } = options;
    if ('token' in login) {
      const { status, body } = await ask('GET', 'auth/token/lookup-self', login.token);
      if (status !== 200) throw refusal(reference, status, 'the token is not taken');
      return tokenOf(login.token, (body as { data?: Auth }).data ?? {});
    }
    const answer = await ask('POST', 'auth/approle/login', null, {
      role_id: login.roleId,
      secret_id: login.secretId,
    });
    const auth = (answer.body as { auth?: Auth } | undefined)?.auth;
    if (answer.status !== 200 || !auth?.client_token)
      throw refusal(reference, answer.status, 'the AppRole is not taken');
    return tokenOf(auth.client_token, auth);
  };
  const renewed = async (reference: SecretReference, held: Token): Promise<Token> => {
    const { status, body } = await ask('POST', 'auth/token/renew-self', held.value, {});
    const auth = (body as { auth?: Auth } | undefined)?.auth;
    return status === 200 && auth ? tokenOf(held.value, auth) : logIn(reference);
  };
  /** One login or renewal at a time, for all who read. */
  const hold = (next: Promise<Token>): Promise<Token> => {
    token = next;
    next.catch(() => {
      if (token === next) token = null;
    });
    return next;
  };
  const tokenFor = async (reference: SecretReference): Promise<Token> => {
    const held = await (token ?? hold(logIn(reference)));
    if (held.renewAt === null || options.clock.now() < held.renewAt) return held;
    held.renewAt = null; // Nobody else renews it meanwhile.
    return hold(renewed(reference, held));
  };
  const fetchValue = async (reference: SecretReference): Promise<string> => {
    const path = pathOf(reference);
    const held = await tokenFor(reference);
    let answer = await ask('GET', path, held.value);
    // The token may have ended or been revoked: a login tells that from a path that is not ours to read.
    if (answer.status === 403) answer = await ask('GET', path, (await hold(logIn(reference))).value);
    return readAnswer(reference, answer);
  };
  return {
    scheme: 'vault',
    read: reference =>
      fetchValue(reference).catch(error => {
        if (error instanceof Error && error.name === 'Problem') throw error;
        throw storeUnavailable(reference, `Vault cannot be reached at ${options.address}`, error);
      }),
    close: () => dispatcher.destroy(),
  };
}

/** KV version 2 has its data below `<mount>/data/`. */
function pathOf({ path, version }: SecretReference): string {
  const [mount, ...rest] = path.split('/').map(encodeURIComponent);
  return `${mount}/data/${rest.join('/')}${version ? `?version=${encodeURIComponent(version)}` : ''}`;
}

function readAnswer(reference: SecretReference, { status, body }: StoreAnswer): string {
  if (status === 404) {
    // A deleted or destroyed version is a 404 that has metadata.
    const gone = (body as { data?: { metadata?: object } } | undefined)?.data?.metadata !== undefined;
    throw secretMissing(reference, gone ? 'that version was deleted' : 'there is no such secret or version');
  }
  if (status !== 200) throw refusal(reference, status, 'Vault did not answer');
  const data = (body as { data?: { data?: unknown; metadata?: unknown } } | undefined)?.data;
  if (!data || data.metadata === undefined)
    throw secretMissing(reference, 'the mount is no KV version 2; version 1 is not read');
  return fieldOf(reference, data.data);
}

function refusal(reference: SecretReference, status: number, why: string) {
  if (status === 400 || status === 401 || status === 403)
    return secretForbidden(reference, `${why} (${status})`);
  return storeUnavailable(reference, `${why} (${status})`);
}
