/** `guildhall key …`: API keys for programs. */
import type { Command } from 'commander';
import { value } from '../../sdk/client.ts';
import { group, idArgument, several, whole } from '../arguments.ts';
import type { Does } from '../call.ts';
import { usage } from '../failures.ts';
import { table, when } from '../text.ts';

const scopes = ['read', 'write', 'admin'] as const;
type Scope = (typeof scopes)[number];

export function keyCommands(program: Command, does: Does): void {
  const key = group(program, 'key', 'API keys: create, list, revoke');
  key
    .command('create')
    .description('Create an API key. It is shown this once.')
    .argument('<name>', 'what it is for')
    .option('--scope <scope>', 'read, write or admin (repeatable); default read and write', several)
    .option('--days <n>', 'life in days; default 90', whole(1, 3_650))
    .option('--no-expiry', 'never expires')
    .addHelpText('after', '\nExample:\n  ./guildhall key create ci --scope read --days 30')
    .action(
      does<{ scope?: string[]; days?: number; expiry: boolean }>(async (call, options) => {
        const wrong = options.scope?.find(scope => !scopes.includes(scope as Scope));
        if (wrong !== undefined)
          throw usage('scope_unknown', `There is no scope ${wrong}; there are ${scopes.join(', ')}.`);
        const { api } = await call.connect();
        const body = {
          name: call.args[0] as string,
          scopes: options.scope as Scope[] | undefined,
          expires_in_days: options.expiry ? options.days : null,
        };
        const made = await value(api.POST('/api/v1/api-keys', { body }));
        call.io.err(call.json ? '' : 'Keep it now, it is not shown again:\n');
        call.print(made, () => made.key);
      }),
    );
  key
    .command('list')
    .description('List API keys.')
    .action(
      does(async call => {
        const { api } = await call.connect();
        const list = await value(api.GET('/api/v1/api-keys'));
        call.print(list, () => {
          const rows = list.items.map(k => [
            k.id,
            k.name,
            `${k.prefix}…`,
            k.scopes.join(','),
            k.revoked_at
              ? `revoked ${when(k.revoked_at)}`
              : k.expires_at
                ? `until ${when(k.expires_at)}`
                : 'for ever',
            k.last_used_at ? when(k.last_used_at) : 'never',
          ]);
          return table(['KEY', 'NAME', 'BEGINS', 'SCOPES', 'VALID', 'LAST USED'], rows, call.io.columns);
        });
      }),
    );
  key
    .command('revoke')
    .description('Revoke an API key, at once.')
    .argument('<id>')
    .action(
      does(async call => {
        const id = idArgument(call, 'key', 'api key');
        const { api } = await call.connect();
        const answer = await value(api.DELETE('/api/v1/api-keys/{id}', { params: { path: { id } } }));
        call.print({ id, ...answer }, () => `${id} is revoked.`);
      }),
    );
}
