/**
 * From environment variables, and the files that they name, to checked values. All faults are found before any is
 * reported, and none repeats a value.
 */
import { readFileSync, statSync } from 'node:fs';
import { schema, secretNames, type Values, variables } from './settings.ts';

export type Environment = Record<string, string | undefined>;

export interface Reading {
  /** Null when there are faults. */
  values: Values | null;
  /** What was given, before defaults: the text of each setting that is set. */
  given: Record<string, string>;
  /** Secrets that came from the file of `<NAME>_FILE`: setting → path. */
  files: Record<string, string>;
  faults: string[];
}

/** What the template writes where only the operator knows the value. */
export const blank = '<fill in';

/** Reads what the variables and the files that they name say. */
export function readValues(env: Environment): Reading {
  const faults: string[] = [];
  const given: Record<string, string> = {};
  const files: Record<string, string> = {};
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
    else {
      given[name] = read.value;
      files[name] = file;
    }
  }
  const known = new Set<string>([...Object.keys(variables), ...secretNames.map(name => `${name}_FILE`)]);
  for (const name of Object.keys(env)) {
    if (name.startsWith('GUILDHALL_') && !known.has(name))
      faults.push(`${name} is not a setting of Guildhall`);
  }
  const parsed = schema.safeParse(given);
  if (!parsed.success) {
    for (const issue of parsed.error.issues) {
      const name = issue.path.join('.');
      if (!given[name]?.includes(blank)) faults.push(`${name}: ${issue.message}`);
    }
  }
  for (const [name, value] of Object.entries(given)) {
    if (value.includes(blank)) faults.push(`${name} still has a blank of the template: fill it in`);
  }
  return {
    values: parsed.success && faults.length === 0 ? (parsed.data as Values) : null,
    given,
    files,
    faults,
  };
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
