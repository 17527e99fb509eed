/** `guildhall secret …`: secrets of the organization. A value comes from standard input or a file, never from argv. */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { value } from '../../sdk/client.ts';
import { Problem } from '../../src/base/problem.ts';
import { group, whole } from '../arguments.ts';
import type { Call, Does } from '../call.ts';
import { usage } from '../failures.ts';
import { table, when } from '../text.ts';

const databasePassword = 'database-password';

interface Setting {
  file?: string;
  days?: number;
}

export function secretCommands(program: Command, does: Does): void {
  const secret = group(program, 'secret', 'secrets: set, rotate, list, delete');
  const set = (command: Command) =>
    command
      .argument('<name>', 'such as providers/anthropic/api-key')
      .option('--file <path>', 'read the value from a file instead of standard input')
      .option('--days <n>', 'days until it ought to be replaced', whole(1, 3_650));
  set(secret.command('set').description('Set a secret: the value is read from standard input.'))
    .addHelpText(
      'after',
      '\nExamples:\n  ./guildhall secret set providers/anthropic/api-key < key.txt\n  ./guildhall secret set deploy/token --file token.txt --days 90',
    )
    .action(does<Setting>((call, options) => put(call, options, false)));
  set(secret.command('rotate').description('Replace the value of a secret that there is.'))
    .addHelpText(
      'after',
      '\n`rotate database-password` sets new passwords for the embedded database, and asks for none.',
    )
    .action(
      does<Setting>((call, options) =>
        call.args[0] === databasePassword ? rotateDatabasePassword(call) : put(call, options, true),
      ),
    );
  rotationCommands(secret, does);
  secret
    .command('list')
    .description('List secrets: names, versions and times, never values.')
    .action(
      does(async call => {
        const { api } = await call.connect();
        const list = await value(api.GET('/api/v1/secrets'));
        call.print(list, () => {
          const rows = list.items.map(s => [
            s.name,
            String(s.version),
            when(s.created_at),
            s.rotate_by ? `${when(s.rotate_by)}${s.is_overdue ? ' (overdue)' : ''}` : '–',
            s.last_used_at ? when(s.last_used_at) : 'never',
          ]);
          return table(['NAME', 'VERSION', 'SET', 'ROTATE BY', 'LAST USED'], rows, call.io.columns);
        });
      }),
    );
  secret
    .command('delete')
    .alias('revoke')
    .description('Revoke a secret: its value is erased, and no longer used within a minute.')
    .argument('<name>')
    .action(
      does(async call => {
        const { api } = await call.connect();
        const name = call.args[0] as string;
        const revoked = await value(api.DELETE('/api/v1/secrets/{name}', { params: { path: { name } } }));
        call.print(revoked, () => `${name} is revoked.`);
      }),
    );
}

function rotationCommands(secret: Command, does: Does): void {
  secret
    .command('rotate-master')
    .description('Seal every secret anew under a new master key, while the server goes on.')
    .option('--forget-old', 'drop the keys before: backups made until now cannot be opened any more')
    .action(
      does<{ forgetOld?: boolean }>(async (call, options) => {
        const { api } = await call.connect();
        const body = { forget_old: options.forgetOld === true };
        const done = await value(api.POST('/api/v1/installation/master-key/rotation', { body }));
        const kept =
          done.older_keys.length > 0
            ? ` Kept for older backups: ${done.older_keys.join(', ')}; drop them with --forget-old.`
            : '';
        call.print(done, () => `${done.resealed} values are sealed with the key ${done.key_id} now.${kept}`);
      }),
    );
}

async function put(call: Call, options: Setting, mustExist: boolean): Promise<void> {
  const name = call.args[0] as string;
  const { api } = await call.connect();
  if (mustExist) {
    const known = await value(api.GET('/api/v1/secrets', { params: { query: { name } } }));
    if (!known.items.some(s => s.state === 'in_force'))
      throw new Problem(
        'missing',
        'secret_missing',
        `There is no secret ${name} to rotate: ./guildhall secret set makes one.`,
      );
  }
  const body = { name, value: await readValue(call, options.file), rotate_in_days: options.days ?? null };
  const made = await value(api.POST('/api/v1/secrets', { body }));
  call.print(made, () => `${made.name} is set, version ${made.version}.`);
}

async function rotateDatabasePassword(call: Call): Promise<void> {
  const { api } = await call.connect();
  const done = await value(api.POST('/api/v1/installation/database-password/rotation'));
  call.print(done, () => 'The embedded database has new passwords; no connection was cut.');
}

/** Without the line break that editors and `echo` leave at the end. */
async function readValue(call: Call, file: string | undefined): Promise<string> {
  let text: string;
  try {
    if (file === undefined && call.io.interactive)
      call.io.err('Type or paste the value, then Enter and Ctrl-D:\n');
    text =
      file === undefined ? await call.io.readInput() : await readFile(resolve(call.io.cwd, file), 'utf8');
  } catch (error) {
    throw usage('file_unreadable', `${file} cannot be read (${(error as NodeJS.ErrnoException).code}).`);
  }
  const found = text.replace(/\r?\n$/, '');
  if (found !== '') return found;
  throw usage('secret_empty', 'The value is empty: give it on standard input, or name its file with --file.');
}
