/** `guildhall admin bootstrap`: the first admin, made on the server itself, once. */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { value } from '../../sdk/client.ts';
import { group } from '../arguments.ts';
import type { Does } from '../call.ts';
import { usage } from '../failures.ts';

export function adminCommands(program: Command, does: Does): void {
  const admin = group(program, 'admin', 'the first admin of a new server');
  admin
    .command('bootstrap')
    .summary('make the first admin; refused when there is one')
    .description(
      'Make the first admin: prints a one-time link to set a password with. Refused when there is an admin who can sign in.',
    )
    .requiredOption('--email <address>', 'the address that they sign in with')
    .option('--name <name>', 'what others see')
    .option(
      '--password-file <file>',
      'set this password instead of printing a link; `-` reads standard input',
    )
    .addHelpText(
      'after',
      `
Examples:
  ./guildhall admin bootstrap --email ann@example.com
  ./guildhall admin bootstrap --email ann@example.com --name Ann --password-file - < password.txt`,
    )
    .action(
      does<{ email: string; name?: string; passwordFile?: string }>(async (call, options) => {
        const { email, name, passwordFile } = options;
        const password =
          passwordFile === undefined
            ? undefined
            : passwordFile === '-'
              ? await call.io.readInput()
              : await readPassword(resolve(call.io.cwd, passwordFile));
        const { api, place } = await call.connect();
        const body = { email, name, password: password?.replace(/\r?\n$/, '') };
        const { path } = await value(api.POST('/api/v1/bootstrap', { body }));
        const url = path === null ? null : `${place.url}${path}`;
        call.print({ email, url }, () =>
          url === null
            ? `${email} is the first admin and signs in with the password that you gave.`
            : `${email} is the first admin. Open this within 30 minutes, it works once:\n${url}`,
        );
      }),
    );
}

async function readPassword(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw usage('file_unreadable', `${path} cannot be read (${(error as NodeJS.ErrnoException).code}).`);
  }
}
