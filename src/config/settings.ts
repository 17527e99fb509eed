/**
 * Every setting, once: variable → schema with a sentence. A new setting is a line here and a field of `Config` in
 * ../config.ts; the reference page, the template and the checks of the start are made from this list.
 */
import { z } from 'zod';

const flag = z.enum(['true', 'false']).transform(v => v === 'true');
const whole = (min: number, max: number) => z.coerce.number().int().min(min).max(max);

const masterKeyForm = /^\s*[A-Za-z0-9+/_-]{43}=?\s*$/;
const masterKeysForm = /^\s*[A-Za-z0-9+/_-]{43}=?(\s*[\s,]\s*[A-Za-z0-9+/_-]{43}=?)*\s*$/;
const masterKeyAdvice = 'must be 32 bytes in base64, as `openssl rand -base64 32` prints them';

/** Variable → schema. The description of each is what the reference page and `guildhall doctor` print. */
export const variables = {
  GUILDHALL_ENV: z
    .enum(['development', 'staging', 'production'])
    .default('development')
    .describe(
      'What the server is for. `staging` and `production` refuse to start with a setting that is not safe.',
    ),
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
  GUILDHALL_MASTER_KEY: z
    .string()
    .regex(masterKeyForm, masterKeyAdvice)
    .optional()
    .describe(
      'Key that seals the secrets in the database: 32 random bytes in base64 (`openssl rand -base64 32`). Needed with DATABASE_URL, the same on every replica; with the embedded database it is made, in the data directory.',
    ),
  GUILDHALL_MASTER_KEYS_OLD: z
    .string()
    .regex(masterKeysForm, `every key ${masterKeyAdvice}`)
    .optional()
    .describe(
      'Other master keys that values may be sealed with, separated by commas: the ones before during a rotation, and the next one while it is rolled out.',
    ),
  GUILDHALL_OTHER_FINGERPRINTS: z
    .string()
    .min(1)
    .optional()
    .describe(
      'File with what `guildhall config fingerprints` printed for the other environments: none of their secrets may be used here.',
    ),
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

/** The values of all settings, checked, with defaults filled in. */
export type Values = { [K in keyof typeof variables]: z.output<(typeof variables)[K]> };
export type SettingName = keyof typeof variables;

/** Settings that are secrets: `<NAME>_FILE` is read too, and no value of theirs is ever shown. */
export const secretNames = [
  'GUILDHALL_MASTER_KEY',
  'GUILDHALL_MASTER_KEYS_OLD',
  'DATABASE_URL',
  'ANTHROPIC_API_KEY',
  'OPENAI_API_KEY',
] as const satisfies SettingName[];

export const schema = z.object(variables);

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
