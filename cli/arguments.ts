/** Reading arguments: numbers, ids, text from files. What is wrong is said before anything is sent. */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import { Problem } from '../src/base/problem.ts';
import type { Call } from './call.ts';
import { usage } from './failures.ts';

/** A commander parser of a number above zero, or from `least` on. */
export function amount(least?: number): (text: string) => number {
  return text => {
    const n = Number(text.replace(/^\$/, ''));
    const fits = text.trim() !== '' && Number.isFinite(n) && (least === undefined ? n > 0 : n >= least);
    if (!fits)
      throw new InvalidArgumentError(
        least === undefined ? 'It must be a number above 0.' : `It must be a number of ${least} or more.`,
      );
    return n;
  };
}

export function whole(least: number, most: number): (text: string) => number {
  return text => {
    const n = Number(text);
    if (!/^\d+$/.test(text) || n < least || n > most)
      throw new InvalidArgumentError(`It must be a whole number from ${least} to ${most}.`);
    return n;
  };
}

/** A commander parser of one of several words. */
export function choice<T extends string>(words: readonly T[]): (text: string) => T {
  return text => {
    if ((words as readonly string[]).includes(text)) return text as T;
    throw new InvalidArgumentError(`It must be one of ${words.join(', ')}.`);
  };
}

/** A commander parser of an option that may be given several times. */
export const several = (text: string, before: string[] | undefined): string[] => [...(before ?? []), text];

/** The first argument as an id. What cannot be one is not found, without asking. @throws Problem `<noun>_missing`. */
export function idArgument(call: Call, prefix: string, noun: string): string {
  const id = call.args[0] ?? '';
  if (new RegExp(`^${prefix}_[0-9a-z]{26}$`).test(id)) return id;
  throw new Problem(
    'missing',
    `${noun.replace(' ', '_')}_missing`,
    `There is no ${noun} ${id}: ids look like ${prefix}_ and 26 characters.`,
  );
}

/** Text, or with `@` before it the text of a file. */
export async function textArgument(call: Call, given: string): Promise<string> {
  if (!given.startsWith('@')) return given;
  try {
    return await readFile(resolve(call.io.cwd, given.slice(1)), 'utf8');
  } catch (error) {
    throw usage(
      'file_unreadable',
      `${given.slice(1)} cannot be read (${(error as NodeJS.ErrnoException).code}).`,
    );
  }
}

/** A repository as the server takes it: URLs as they are, paths made absolute. */
export function repositoryArgument(call: Call, given: string): string {
  const isUrl = /^[a-z][a-z0-9+.-]*:\/\//i.test(given) || /^[\w.-]+@[\w.-]+:/.test(given);
  return isUrl ? given : resolve(call.io.cwd, given);
}

/** A command that only holds others: without one of them it shows its help. */
export function group(program: Command, name: string, description: string): Command {
  return program.command(name).description(description).usage('<command> [options]').helpCommand(false);
}
