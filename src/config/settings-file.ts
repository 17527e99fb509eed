/** A file of settings, `NAME=value` lines as for Docker, systemd or `node --env-file`, read as an environment of its own. */
import { readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';
import { Problem } from '../base/problem.ts';
import { checkSettings, checkSettingsFile, type Finding } from './checks.ts';
import { type Environment, type Reading, readValues } from './read.ts';

/** @throws Problem `settings_file_unreadable`. */
export function readSettingsFile(path: string): Reading {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new Problem(
      'invalid',
      'settings_file_unreadable',
      `${path} cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown error'}).`,
    );
  }
  return readValues(parseEnv(text) as Environment);
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
