/**
 * The only reader of the environment. The settings stand in config/settings.ts, one schema with a sentence for every
 * field; all faults are reported at once and an unknown `GUILDHALL_*` variable is a fault. Secrets may come from a
 * file: `<NAME>_FILE`.
 */
import { resolve } from 'node:path';
import type { Quotas } from './base/limits.ts';
import { Problem } from './base/problem.ts';
import type { SignInProvider } from './base/sign-in-provider.ts';
import type { TokenIssuer } from './base/token-issuer.ts';
import { checkSettings, type Finding } from './config/checks.ts';
import { passwordOf } from './config/fingerprint.ts';
import { type Environment, type Reading, readValues } from './config/read.ts';
import {
  type Resolved,
  readStoreSettings,
  resolveReferences,
  type SecretName,
  type StoreSettings,
} from './config/references.ts';
import { secretNames, type Values } from './config/settings.ts';
import { readSignInProviders } from './config/sign-in-providers.ts';
import { placeholderReason } from './config/strength.ts';
import { readTokenIssuers } from './config/token-issuers.ts';

export interface Config {
  /** What the server is for; the last two start only with safe settings. */
  environment: 'development' | 'staging' | 'production';
  dataDir: string;
  databaseUrl: string | null;
  /** Every secret among the settings, for redaction. */
  secrets: string[];
  /** Texts of the key that seals and of those that only open. Null: the file in the data directory. */
  masterKey: { current: string | null; others: string[] };
  host: string;
  port: number;
  publicUrl: string | null;
  http: { trustedProxies: string[]; corsOrigins: string[]; allowedHosts: string[]; liveConnections: number };
  limits: { quotas: Quotas; redisUrl: string | null };
  signIn: { open: boolean; providers: SignInProvider[] };
  tokens: { lifeMinutes: number; maxAgeMinutes: number; skewSeconds: number; issuers: TokenIssuer[] };
  logLevel: Values['GUILDHALL_LOG_LEVEL'];
  /** `<provider>/<model>` that agents use by default. */
  defaultModel: string;
  sandbox: { driver: 'bwrap' | 'off'; toolchainPaths: string[]; uidBase: number };
  repositories: { hosts: string[]; allowLocal: boolean };
  worker: { concurrency: number; leaseMs: number };
  audit: {
    sealIntervalMs: number;
    keyMaxAgeMs: number;
    retention: { accessDays: number; callDays: number };
  };
  models: {
    totalTimeoutMs: number;
    anthropic: { apiKey: string | null; baseUrl: string | null };
    openai: { apiKey: string | null };
    compatible: { baseUrl: string | null; apiKey: string | null };
  };
}

/** Reads and checks the configuration. @throws Problem `configuration_invalid` that names every fault. */
export function readConfig(env: Environment = process.env): Config {
  const { values, faults } = readValues(env);
  const outside = readProviders(values, env);
  if (!values || outside.faults.length > 0) throw invalid([...faults, ...outside.faults]);
  return toConfig(values, outside);
}

/**
 * The configuration that a server starts with. In `staging` and `production` it must also be safe: what the checks
 * refuse is a fault like any other, what they only warn of comes along. @param elsewhere secrets that a store or a
 * file holds, and where. @throws Problem `configuration_invalid`.
 */
export function readStartConfig(
  env: Environment = process.env,
  elsewhere: ReadonlyMap<string, string> = new Map(),
): { config: Config; warnings: Finding[] } {
  const reading = readValues(env);
  Object.assign(reading.files, Object.fromEntries(elsewhere));
  const findings = facesPeople(reading.given.GUILDHALL_ENV) ? checkSettings(reading) : [];
  const refused = findings.filter(f => f.level === 'refuse').map(f => `${f.setting} ${f.text}`);
  const outside = readProviders(reading.values, env);
  if (!reading.values || refused.length > 0 || outside.faults.length > 0)
    throw invalid([...reading.faults, ...refused, ...outside.faults]);
  return { config: toConfig(reading.values, outside), warnings: findings };
}

/** What stands in files of their own: who else vouches for people and programs. */
interface Outside {
  providers: SignInProvider[];
  issuers: TokenIssuer[];
}

function readProviders(values: Values | null, env: Environment): Outside & { faults: string[] } {
  const people = values?.GUILDHALL_SIGN_IN_PROVIDERS_FILE;
  const programs = values?.GUILDHALL_TOKEN_ISSUERS_FILE;
  const { providers, faults } = people ? readSignInProviders(people, env) : { providers: [], faults: [] };
  const tokens = programs ? readTokenIssuers(programs) : { issuers: [], faults: [] };
  const weak = facesPeople(values?.GUILDHALL_ENV) ? providers.flatMap(weaknessOf) : [];
  return { providers, issuers: tokens.issuers, faults: [...faults, ...tokens.faults, ...weak] };
}

const facesPeople = (environment: string | undefined): boolean =>
  environment === 'staging' || environment === 'production';

function weaknessOf({ id, clientSecret }: SignInProvider): string[] {
  const reason = placeholderReason(clientSecret);
  return reason ? [`GUILDHALL_SIGN_IN_PROVIDERS_FILE: the client secret of ${id} ${reason}`] : [];
}

/** Faults of the files that the settings name, whoever vouches there. */
export const findOutsideFaults = (reading: Reading, env: Environment): string[] =>
  readProviders(reading.values, env).faults;

/** Where the secrets among the settings come from, so that they can be read again while the server runs. */
export interface SecretSources {
  sources: ReadonlyMap<SecretName, string>;
  reader: Reader;
}

/** Reads references to secrets. */
export interface Reader extends AsyncDisposable {
  read(reference: string): Promise<string>;
  readAgain(reference: string): Promise<string>;
}

/**
 * Like `readStartConfig`, with every reference to a secret read. The caller disposes the reader.
 * @param checked false: also what is not safe is let through, for who only wants to look.
 */
export async function readWholeConfig(
  openReader: (settings: StoreSettings, env: Environment) => Reader,
  checked = true,
  env: Environment = process.env,
): Promise<{ config: Config; warnings: Finding[]; secrets: SecretSources }> {
  const reader = openReader(readStoreSettings(env), env);
  try {
    const resolved = await resolveReferences(env, reference => reader.read(reference));
    return {
      ...startConfigOf(resolved, checked),
      secrets: { sources: resolved.sources, reader },
    };
  } catch (error) {
    await reader[Symbol.asyncDispose]();
    throw error;
  }
}

function startConfigOf(
  { env, faults, sources }: Resolved,
  checked: boolean,
): { config: Config; warnings: Finding[] } {
  if (faults.length === 0)
    return checked ? readStartConfig(env, sources) : { config: readConfig(env), warnings: [] };
  let more: string[] = [];
  try {
    readStartConfig(env);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    more = error.detail?.faults as string[];
  }
  throw invalid([...faults, ...more]);
}

function invalid(faults: string[]): Problem {
  return new Problem(
    'invalid',
    'configuration_invalid',
    `The configuration has ${faults.length} fault(s): ${faults.join('; ')}.`,
    { detail: { faults } },
  );
}

function toConfig(v: Values, { providers, issuers }: Outside): Config {
  const list = (text: string, separator: string) =>
    text
      .split(separator)
      .map(item => item.trim())
      .filter(item => item !== '');
  return {
    environment: v.GUILDHALL_ENV,
    dataDir: resolve(v.GUILDHALL_DATA),
    databaseUrl: v.DATABASE_URL ?? null,
    secrets: [...secretNames.flatMap(name => secretsIn(v[name])), ...providers.map(p => p.clientSecret)],
    masterKey: {
      current: v.GUILDHALL_MASTER_KEY ?? null,
      others: (v.GUILDHALL_MASTER_KEYS_OLD ?? '').split(/[\s,]+/).filter(key => key !== ''),
    },
    host: v.HOST,
    port: v.PORT,
    publicUrl: v.GUILDHALL_PUBLIC_URL ?? null,
    http: {
      trustedProxies: v.GUILDHALL_TRUSTED_PROXIES,
      corsOrigins: v.GUILDHALL_CORS_ORIGINS,
      allowedHosts: v.GUILDHALL_ALLOWED_HOSTS,
      liveConnections: v.GUILDHALL_LIVE_CONNECTIONS,
    },
    limits: { quotas: v.GUILDHALL_LIMITS, redisUrl: v.REDIS_URL ?? null },
    signIn: { open: v.GUILDHALL_SIGN_UP === 'open', providers },
    tokens: {
      lifeMinutes: v.GUILDHALL_TOKEN_MINUTES,
      maxAgeMinutes: v.GUILDHALL_TOKEN_MAX_AGE_MINUTES,
      skewSeconds: v.GUILDHALL_TOKEN_SKEW_SECONDS,
      issuers,
    },
    logLevel: v.GUILDHALL_LOG_LEVEL,
    defaultModel: v.GUILDHALL_MODEL ?? defaultModel(v),
    sandbox: {
      driver: v.GUILDHALL_SANDBOX,
      toolchainPaths: list(v.GUILDHALL_SANDBOX_PATHS ?? '', ':'),
      uidBase: v.GUILDHALL_SANDBOX_UID_BASE,
    },
    repositories: {
      hosts: list(v.GUILDHALL_REPOSITORY_HOSTS.toLowerCase(), ','),
      allowLocal: v.GUILDHALL_ALLOW_LOCAL_REPOSITORIES,
    },
    worker: { concurrency: v.GUILDHALL_WORKER_CONCURRENCY, leaseMs: v.GUILDHALL_LEASE_SECONDS * 1000 },
    audit: {
      sealIntervalMs: v.GUILDHALL_AUDIT_SEAL_SECONDS * 1000,
      keyMaxAgeMs: v.GUILDHALL_AUDIT_KEY_DAYS * 86_400_000,
      retention: { accessDays: v.GUILDHALL_AUDIT_ACCESS_DAYS, callDays: v.GUILDHALL_AUDIT_CALL_DAYS },
    },
    models: {
      totalTimeoutMs: v.GUILDHALL_MODEL_TIMEOUT_SECONDS * 1000,
      anthropic: { apiKey: v.ANTHROPIC_API_KEY ?? null, baseUrl: v.ANTHROPIC_BASE_URL ?? null },
      openai: { apiKey: v.OPENAI_API_KEY ?? null },
      compatible: { baseUrl: v.OPENAI_BASE_URL ?? null, apiKey: v.OPENAI_API_KEY ?? null },
    },
  };
}

/** A secret, and the password in it when it is an address. */
function secretsIn(value: string | undefined): string[] {
  if (value === undefined) return [];
  const password = passwordOf(value);
  return password === null ? [value] : [value, password];
}

/** With a key, its provider; the model names are those the providers listed as their general choice in 2026. */
function defaultModel(v: Values): string {
  if (v.ANTHROPIC_API_KEY) return 'anthropic/claude-sonnet-4-5';
  if (v.OPENAI_BASE_URL) return 'openai-compatible/default';
  if (v.OPENAI_API_KEY) return 'openai/gpt-5';
  return 'scripted/team';
}
