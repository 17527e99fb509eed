/**
 * The settings of a new environment: what can be made is made at random, what only the operator knows is a blank
 * that is refused until it is filled in.
 */
import { randomBytes } from 'node:crypto';
import { blank } from './read.ts';

export interface Template {
  /** The text of the settings file. */
  text: string;
  /** Secrets that go into files of their own: name → value. Empty when they stand in the text. */
  secrets: Record<string, string>;
}

/** At least 256 bits each, in characters that need no quotes anywhere. */
const newSecret = (): string => randomBytes(32).toString('base64url');

/**
 * @param secretsDirectory where the secret files will lie, as the server sees it; null writes secrets into the text.
 */
export function settingsTemplate(environment: string, secretsDirectory: string | null): Template {
  const secrets: Record<string, string> = {};
  const secret = (name: string, file: string, value: string): string => {
    if (secretsDirectory === null) return `${name}=${value}`;
    secrets[file] = value;
    return `${name}_FILE=${secretsDirectory.replace(/\/$/, '')}/${file}`;
  };
  const password = newSecret();
  const text = `# Settings of Guildhall, ${environment}. Fill in what stands in <>, then: guildhall doctor --env ${environment} --env-file <this file>
# Every setting: docs/reference/settings.md. Keep this file to yourself (mode 0600) and out of git.

GUILDHALL_ENV=${environment}

# The https address that people use; the proxy before Guildhall ends TLS.
GUILDHALL_PUBLIC_URL=https://${blank}: name of the host>

# PostgreSQL 15 or newer. The password was made for you: create role guildhall login password '…'.
${secret('DATABASE_URL', 'database-url', `postgres://guildhall:${password}@${blank}: host of the database>:5432/guildhall?sslmode=verify-full`)}

# Seals what is secret in the database. Keep a copy apart from the backups: without it they cannot be read.
${secret('GUILDHALL_MASTER_KEY', 'master-key', randomBytes(32).toString('base64'))}

# Shares limits between several servers. The password was made for you.
# REDIS_URL=rediss://:${newSecret()}@${blank}: host of Redis>:6379

# Whether tasks may name repositories by a path on the server.
GUILDHALL_ALLOW_LOCAL_REPOSITORIES=false

# Keys of model providers, each in a file of mode 0600.
# ANTHROPIC_API_KEY_FILE=
# OPENAI_API_KEY_FILE=
`;
  return { text, secrets };
}
