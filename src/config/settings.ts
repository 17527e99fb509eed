/**
 * Every setting, once: variable → schema with a sentence. A new setting is a line here and a field of `Config` in
 * ../config.ts; the reference page, the template and the checks of the start are made from this list.
 */
import { z } from 'zod';
import { isRange } from '../base/addresses.ts';
import { readQuotas } from '../base/limits.ts';

const flag = z.enum(['true', 'false']).transform(v => v === 'true');
const whole = (min: number, max: number) => z.coerce.number().int().min(min).max(max);

/** Comma-separated parts, each of a form; of the empty text there are none. */
const listOf = (isPart: (part: string) => boolean, advice: string) =>
  z
    .string()
    .default('')
    .transform((text, context) => {
      const parts = text.split(',').map(part => part.trim());
      const given = parts.filter(part => part !== '');
      const wrong = given.filter(part => !isPart(part));
      if (wrong.length > 0) context.addIssue({ code: 'custom', message: `${wrong.join(', ')}: ${advice}` });
      return given;
    });

const isOrigin = (text: string): boolean => {
  const url = URL.parse(text);
  return (
    url !== null && ['http:', 'https:'].includes(url.protocol) && url.origin === text && !text.includes('*')
  );
};
const hostForm = /^(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])(?::\d{1,5})?$/i;

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
  GUILDHALL_AUDIT_SEAL_SECONDS: whole(1, 3_600)
    .default(10)
    .describe(
      'Seconds between seals of what was recorded for the audit: for so long a change may go unnoticed.',
    ),
  GUILDHALL_AUDIT_KEY_DAYS: whole(1, 3_650)
    .default(365)
    .describe('Days after which a new key signs the seals of the audit, introduced by the one before.'),
  GUILDHALL_AUDIT_ACCESS_DAYS: whole(365, 36_500)
    .default(400)
    .describe(
      'Days that sign-ins and refusals are kept. What people and the system changed is kept for ever.',
    ),
  GUILDHALL_AUDIT_CALL_DAYS: whole(365, 36_500)
    .default(400)
    .describe('Days that the steps of runs are kept: the calls of models and tools with all they said.'),
  GUILDHALL_TOKEN_MINUTES: whole(1, 60)
    .default(15)
    .describe('Minutes that a signed token lives which is made from an API key or for a service account.'),
  GUILDHALL_TOKEN_MAX_AGE_MINUTES: whole(1, 1_440)
    .default(60)
    .describe('Signed tokens issued longer ago are refused, whatever they say about their end.'),
  GUILDHALL_TOKEN_SKEW_SECONDS: whole(0, 300)
    .default(30)
    .describe('How far clocks may differ when the times in a signed token are checked.'),
  GUILDHALL_TOKEN_ISSUERS_FILE: z
    .string()
    .min(1)
    .optional()
    .describe(
      'JSON file of other issuers of signed tokens that are trusted; docs/operating/access.md shows one.',
    ),
  GUILDHALL_PUBLIC_URL: z
    .url()
    .optional()
    .describe('Address that people reach the page at, for links and cookies.'),
  GUILDHALL_SIGN_UP: z
    .enum(['invited', 'open'])
    .default('invited')
    .describe(
      'Who may make an account with a password: those who are `invited`, or with `open` anybody (at first without access).',
    ),
  GUILDHALL_SIGN_IN_PROVIDERS_FILE: z
    .string()
    .min(1)
    .optional()
    .describe(
      'JSON file with the outside providers that people sign in with (OpenID Connect, OAuth, Google); docs/operating/sign-in.md tells its form.',
    ),
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
  GUILDHALL_TRUSTED_PROXIES: listOf(isRange, 'not an address or a range such as 10.0.0.0/8').describe(
    'Comma-separated addresses and ranges of the reverse proxies in front of Guildhall: only from these is `X-Forwarded-*` believed.',
  ),
  GUILDHALL_CORS_ORIGINS: listOf(
    isOrigin,
    'name each origin as <scheme>://<host>[:<port>], without a path and without *',
  ).describe('Comma-separated origins of other web pages that may call the API with credentials.'),
  GUILDHALL_ALLOWED_HOSTS: listOf(
    text => hostForm.test(text),
    'not <host> or <host>:<port>, without * and without a scheme',
  ).describe(
    'Comma-separated further names, with or without a port, that the server answers to (`Host`), besides that of GUILDHALL_PUBLIC_URL and the address that it listens on.',
  ),
  GUILDHALL_LIVE_CONNECTIONS: whole(1, 1_000_000)
    .default(100)
    .describe('Live connections (SSE, WebSocket) that one user may hold at a time on one server.'),
  GUILDHALL_LIMITS: z
    .string()
    .default('')
    .transform((text, context) => {
      const read = readQuotas(text);
      if ('quotas' in read) return read.quotas;
      context.addIssue({ code: 'custom', message: read.fault });
      return z.NEVER;
    })
    .describe(
      'Changes to the limits, in requests a minute: `write=600,read=3000`. The limits and their defaults stand in docs/operating/limits.md.',
    ),
  REDIS_URL: z
    .string()
    .regex(/^rediss?:\/\//, 'must start with redis:// or rediss://')
    .optional()
    .describe('Redis or Valkey in which the limits are counted; default: in PostgreSQL.'),
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
  VAULT_ADDR: z
    .url()
    .optional()
    .describe('HashiCorp Vault that `vault://<mount>/<path>#<field>` references are read from.'),
  VAULT_NAMESPACE: z.string().min(1).optional().describe('Namespace of Vault.'),
  VAULT_TOKEN: z.string().min(1).optional().describe('Token for Vault.'),
  VAULT_ROLE_ID: z.string().min(1).optional().describe('AppRole to log into Vault with, instead of a token.'),
  VAULT_SECRET_ID: z.string().min(1).optional().describe('Secret id of VAULT_ROLE_ID.'),
  AWS_REGION: z
    .string()
    .min(1)
    .optional()
    .describe('Region of AWS Secrets Manager, that `aws-sm://<name>#<field>` references are read from.'),
  AWS_ACCESS_KEY_ID: z.string().min(1).optional().describe('Access key for AWS Secrets Manager.'),
  AWS_SECRET_ACCESS_KEY: z.string().min(1).optional().describe('Secret of AWS_ACCESS_KEY_ID.'),
  AWS_SESSION_TOKEN: z.string().min(1).optional().describe('Session of AWS_ACCESS_KEY_ID, if it has one.'),
  AWS_ENDPOINT_URL_SECRETS_MANAGER: z
    .url()
    .optional()
    .describe('Other address of AWS Secrets Manager, such as a private endpoint.'),
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
  'REDIS_URL',
  'ANTHROPIC_API_KEY',
  'OPENAI_API_KEY',
  'VAULT_TOKEN',
  'VAULT_SECRET_ID',
  'AWS_SECRET_ACCESS_KEY',
  'AWS_SESSION_TOKEN',
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
    const value = (field as z.ZodType).safeParse(undefined).data;
    // Lists and tables have none that is a text: without a word they are empty, or as their sentence says.
    const fallback = typeof value === 'object' ? undefined : value;
    return {
      name,
      description: field.description ?? '',
      fallback: fallback === undefined ? null : String(fallback),
      secret: (secretNames as readonly string[]).includes(name),
    };
  });
}
