/**
 * Secrets that stand elsewhere: a secret setting may be a reference (`vault://…`, `aws-sm://…`, `file://…`,
 * `env://…`) instead of a value, or come from a file by `<NAME>_FILE`. Both can be read again while the server runs.
 */
import { resolve } from 'node:path';
import { type Environment, readValues } from './read.ts';
import { type SettingName, secretNames } from './settings.ts';

export type SecretName = (typeof secretNames)[number];

/** What it takes to reach the stores. */
export interface StoreSettings {
  vault: {
    address: string;
    namespace: string | null;
    login: { token: string } | { roleId: string; secretId: string };
  } | null;
  aws: {
    region: string;
    endpoint: string | null;
    credentials: { accessKeyId: string; secretAccessKey: string; sessionToken: string | null };
  } | null;
}

const storeNames = [
  'VAULT_ADDR',
  'VAULT_NAMESPACE',
  'VAULT_TOKEN',
  'VAULT_ROLE_ID',
  'VAULT_SECRET_ID',
  'AWS_REGION',
  'AWS_ACCESS_KEY_ID',
  'AWS_SECRET_ACCESS_KEY',
  'AWS_SESSION_TOKEN',
  'AWS_ENDPOINT_URL_SECRETS_MANAGER',
] as const satisfies SettingName[];

/** A store is null when its settings are not all there; who refers to it is told. */
export function readStoreSettings(env: Environment): StoreSettings {
  const own = storeNames.flatMap(name => [name, `${name}_FILE`]);
  const { values: v } = readValues(Object.fromEntries(own.map(name => [name, env[name]])));
  if (!v) return { vault: null, aws: null };
  const login = v.VAULT_TOKEN
    ? { token: v.VAULT_TOKEN }
    : v.VAULT_ROLE_ID && v.VAULT_SECRET_ID
      ? { roleId: v.VAULT_ROLE_ID, secretId: v.VAULT_SECRET_ID }
      : null;
  const vault =
    v.VAULT_ADDR && login ? { address: v.VAULT_ADDR, namespace: v.VAULT_NAMESPACE ?? null, login } : null;
  const { AWS_REGION: region, AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey } = v;
  const aws =
    region && accessKeyId && secretAccessKey
      ? {
          region,
          endpoint: v.AWS_ENDPOINT_URL_SECRETS_MANAGER ?? null,
          credentials: { accessKeyId, secretAccessKey, sessionToken: v.AWS_SESSION_TOKEN ?? null },
        }
      : null;
  return { vault, aws };
}

const looksLikeReference = /^(file|env|vault|aws-sm):\/\//;

export interface Resolved {
  /** The environment with values in place of references. */
  env: Environment;
  /** Where secrets can be read again. */
  sources: Map<SecretName, string>;
  faults: string[];
}

/** Reads every reference among the secret settings. */
export async function resolveReferences(
  env: Environment,
  read: (reference: string) => Promise<string>,
): Promise<Resolved> {
  const resolved: Resolved = { env: { ...env }, sources: new Map(), faults: [] };
  for (const name of secretNames) {
    const value = env[name];
    const file = env[`${name}_FILE`];
    if (file && !value) resolved.sources.set(name, `file://${resolve(file)}`);
    if (!value || !looksLikeReference.test(value)) continue;
    try {
      resolved.env[name] = await read(value);
      resolved.sources.set(name, value);
    } catch (error) {
      resolved.faults.push(`${name}: ${error instanceof Error ? error.message : String(error)}`);
      delete resolved.env[name];
    }
  }
  return resolved;
}
