/**
 * The only reader of the environment. One schema, a sentence for every field; all faults are reported at once and
 * an unknown `GUILDHALL_*` variable is a fault. Secrets may come from a file: `<NAME>_FILE`.
 */
import { readFileSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { z } from 'zod';
import { Problem } from './base/problem.ts';

const flag = z.enum(['true', 'false']).transform(v => v === 'true');
const whole = (min: number, max: number) => z.coerce.number().int().min(min).max(max);

/** Variable → schema. The description of each is what the reference page and `guildhall doctor` print. */
const variables = {
  GUILDHALL_DATA: z
    .string()
    .min(1)
    .default('./.guildhall')
    .describe('Directory for everything that Guildhall keeps on disk.'),
  GUILDHALL_MODEL: z
    .string()
    .regex(/^[a-z0-9-]+\/.+$/, 'must be <provider>/<model>, e.g. anthropic/claude-sonnet-4-5')
    .optional()
    .describe(
      'Model that agents use unless their definition names one: <provider>/<model>. Default: by the keys that are set, else scripted/team.',
    ),
  GUILDHALL_LOG_LEVEL: z
    .enum(['debug', 'info', 'warn', 'error', 'silent'])
    .default('info')
    .describe('Least severe level that is logged.'),
  GUILDHALL_SANDBOX: z
    .enum(['bwrap', 'off'])
    .default('bwrap')
    .describe(
      'Where tool code runs. `off` refuses every task that needs a sandbox; nothing ever runs unsandboxed.',
    ),
  GUILDHALL_SANDBOX_PATHS: z
    .string()
    .optional()
    .describe(
      'Colon-separated directories with toolchains outside /usr, shown read-only in sandboxes and put on their PATH.',
    ),
  GUILDHALL_SANDBOX_UID_BASE: whole(1_000, 2_000_000_000)
    .default(200_000)
    .describe('First uid of the pool that sandboxes use when the server is root.'),
  GUILDHALL_REPOSITORY_HOSTS: z
    .string()
    .default('github.com,gitlab.com,bitbucket.org,codeberg.org')
    .describe('Comma-separated hosts that repositories may be fetched from by https URL.'),
  GUILDHALL_WORKER_CONCURRENCY: whole(1, 500)
    .default(10)
    .describe('Runs that one worker process advances at a time.'),
  GUILDHALL_LEASE_SECONDS: whole(2, 300)
    .default(8)
    .describe('Seconds without a heartbeat after which the runs of a worker are taken over.'),
  GUILDHALL_PUBLIC_URL: z
    .url()
    .optional()
    .describe('Address that people reach the page at, for links and cookies.'),
  GUILDHALL_MODEL_TIMEOUT_SECONDS: whole(1, 3_600)
    .default(600)
    .describe('Longest that a single model call may take in total.'),
  GUILDHALL_ALLOW_LOCAL_REPOSITORIES: flag
    .default(true)
    .describe('Whether tasks may name a repository by a path on the server.'),
  DATABASE_URL: z
    .string()
    .regex(/^postgres(ql)?:\/\//, 'must start with postgres:// or postgresql://')
    .optional()
    .describe('PostgreSQL ≥ 15 to use instead of the embedded server.'),
  PORT: whole(0, 65_535).default(4000).describe('Port of the HTTP server.'),
  HOST: z.string().default('127.0.0.1').describe('Address that the HTTP server binds to.'),
  ANTHROPIC_API_KEY: z.string().min(1).optional().describe('Key for the provider `anthropic`.'),
  ANTHROPIC_BASE_URL: z.url().optional().describe('Other address for the provider `anthropic`.'),
  OPENAI_API_KEY: z
    .string()
    .min(1)
    .optional()
    .describe('Key for the provider `openai`, or for OPENAI_BASE_URL.'),
  OPENAI_BASE_URL: z
    .url()
    .optional()
    .describe('An OpenAI-compatible endpoint (Ollama, vLLM, llama.cpp …): provider `openai-compatible`.'),
} as const;

type Variables = { [K in keyof typeof variables]: z.output<(typeof variables)[K]> };
const secretNames = ['DATABASE_URL', 'ANTHROPIC_API_KEY', 'OPENAI_API_KEY'] as const;
const schema = z.object(variables);

export interface Config {
  dataDir: string;
  databaseUrl: string | null;
  host: string;
  port: number;
  publicUrl: string | null;
  logLevel: Variables['GUILDHALL_LOG_LEVEL'];
  /** `<provider>/<model>` that agents use by default. */
  defaultModel: string;
  sandbox: { driver: 'bwrap' | 'off'; toolchainPaths: string[]; uidBase: number };
  repositories: { hosts: string[]; allowLocal: boolean };
  worker: { concurrency: number; leaseMs: number };
  models: {
    totalTimeoutMs: number;
    anthropic: { apiKey: string | null; baseUrl: string | null };
    openai: { apiKey: string | null };
    compatible: { baseUrl: string | null; apiKey: string | null };
  };
}

/** A setting as the reference page lists it. */
export interface Setting {
  name: string;
  description: string;
  /** Null: none, the setting is optional. */
  fallback: string | null;
  /** Whether `<name>_FILE` is read too. */
  secret: boolean;
}

export function describeVariables(): Setting[] {
  return Object.entries(variables).map(([name, field]) => {
    const fallback = (field as z.ZodType).safeParse(undefined).data;
    return {
      name,
      description: field.description ?? '',
      fallback: fallback === undefined ? null : String(fallback),
      secret: (secretNames as readonly string[]).includes(name),
    };
  });
}

/** Reads and checks the configuration. @throws Problem `configuration_invalid` that names every fault. */
export function readConfig(env: Record<string, string | undefined> = process.env): Config {
  const faults: string[] = [];
  const given: Record<string, string> = {};
  for (const name of Object.keys(variables)) {
    const value = env[name];
    if (value !== undefined && value !== '') given[name] = value;
  }
  for (const name of secretNames) {
    const file = env[`${name}_FILE`];
    if (!file) continue;
    if (given[name]) faults.push(`${name} and ${name}_FILE are both set: keep one`);
    const read = readSecretFile(`${name}_FILE`, file);
    if ('fault' in read) faults.push(read.fault);
    else given[name] = read.value;
  }
  for (const name of Object.keys(env)) {
    if (name.startsWith('GUILDHALL_') && !(name in variables))
      faults.push(`${name} is not a setting of Guildhall`);
  }
  const parsed = schema.safeParse(given);
  if (!parsed.success) {
    for (const issue of parsed.error.issues) faults.push(`${issue.path.join('.')}: ${issue.message}`);
  }
  if (!parsed.success || faults.length > 0) {
    throw new Problem(
      'invalid',
      'configuration_invalid',
      `The configuration has ${faults.length} fault(s): ${faults.join('; ')}.`,
      {
        detail: { faults },
      },
    );
  }
  return toConfig(parsed.data as Variables);
}

function readSecretFile(name: string, path: string): { value: string } | { fault: string } {
  try {
    if ((statSync(path).mode & 0o077) !== 0)
      return { fault: `${name}: ${path} is readable by others, set its mode to 0600` };
    return { value: readFileSync(path, 'utf8').trim() };
  } catch (error) {
    return {
      fault: `${name}: ${path} cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown error'})`,
    };
  }
}

function toConfig(v: Variables): Config {
  const list = (text: string, separator: string) =>
    text
      .split(separator)
      .map(item => item.trim())
      .filter(item => item !== '');
  return {
    dataDir: resolve(v.GUILDHALL_DATA),
    databaseUrl: v.DATABASE_URL ?? null,
    host: v.HOST,
    port: v.PORT,
    publicUrl: v.GUILDHALL_PUBLIC_URL ?? null,
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
    models: {
      totalTimeoutMs: v.GUILDHALL_MODEL_TIMEOUT_SECONDS * 1000,
      anthropic: { apiKey: v.ANTHROPIC_API_KEY ?? null, baseUrl: v.ANTHROPIC_BASE_URL ?? null },
      openai: { apiKey: v.OPENAI_API_KEY ?? null },
      compatible: { baseUrl: v.OPENAI_BASE_URL ?? null, apiKey: v.OPENAI_API_KEY ?? null },
    },
  };
}

/** With a key, its provider; the model names are those the providers listed as their general choice in 2026. */
function defaultModel(v: Variables): string {
  if (v.ANTHROPIC_API_KEY) return 'anthropic/claude-sonnet-4-5';
  if (v.OPENAI_BASE_URL) return 'openai-compatible/default';
  if (v.OPENAI_API_KEY) return 'openai/gpt-5';
  return 'scripted/team';
}
