/**
 * Settings looked at without a server: of a process or of a file, `NAME=value` lines as for Docker, systemd or
 * `node --env-file`. References to secrets in stores are read, as the server would.
 */
import { readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';
import { Problem } from '../base/problem.ts';
import { findOutsideFaults, type Reader } from '../config.ts';
import { checkSettings, checkSettingsFile, type Finding } from './checks.ts';
import { type Environment, type Reading, readValues } from './read.ts';
import { readStoreSettings, resolveReferences, type StoreSettings } from './references.ts';

/** @throws Problem `settings_file_unreadable`. */
export function readSettingsFile(path: string): Environment {
  try {
    return parseEnv(readFileSync(path, 'utf8')) as Environment;
  } catch (error) {
    throw new Problem(
      'invalid',
      'settings_file_unreadable',
      `${path} cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown error'}).`,
    );
  }
}

export type OpenReader = (settings: StoreSettings, env: Environment) => Reader;

/** Reads settings with what they refer to; a reference that cannot be read stays what it is, and is a fault. */
export async function readSettings(env: Environment, openReader: OpenReader): Promise<Reading> {
  await using reader = openReader(readStoreSettings(env), env);
  const { env: whole, sources, faults } = await resolveReferences(env, reference => reader.read(reference));
  const reading = readValues(whole);
  Object.assign(reading.files, Object.fromEntries(sources));
  const unread = Object.keys(env).filter(name => env[name] && whole[name] === undefined);
  for (const name of unread) reading.given[name] = env[name] as string;
  return { ...reading, faults: [...reading.faults, ...faults, ...findOutsideFaults(reading, whole)] };
}

/**
 * What a server of this environment would say of these settings: faults of reading, then what is not safe.
 * @param path the file that they come from, null for the environment of a process.
 */
export function findingsFor(environment: string, reading: Reading, path: string | null): Finding[] {
  const given = reading.given.GUILDHALL_ENV;
  const other: Finding[] =
    given !== undefined && given !== environment
      ? [{ setting: 'GUILDHALL_ENV', level: 'refuse', text: `is ${given}, not ${environment}` }]
      : [];
  const faults = reading.faults.map(fault => {
    const [, setting = '', text = fault] = /^(\w+):? (.*)$/s.exec(fault) ?? [];
    return { setting, level: 'refuse' as const, text };
  });
  const safe = environment === 'development' ? [] : checkSettings(reading);
  return [...faults, ...other, ...(path === null ? [] : checkSettingsFile(path, reading)), ...safe];
}
