/** `guildhall service-account …`: programs as somebody of their own. */
import type { Command } from 'commander';
import { type Schemas, value } from '../../sdk/client.ts';
import { choice, group } from '../arguments.ts';
import type { Does } from '../call.ts';
import { findServiceAccount } from '../found.ts';
import { table, when } from '../text.ts';
import { roles } from './members.ts';
import { classifications } from './projects.ts';

type Account = Schemas['ServiceAccount'];

export function serviceAccountCommands(program: Command, does: Does): void {
  const account = group(program, 'service-account', 'service accounts: create, list, disable');
  account
    .command('create')
    .description('Create a service account: a program as somebody of its own.')
    .argument('<name>', 'lower-case letters, digits, dots and dashes')
    .option('--role <role>', 'in the whole organization; default none', choice(roles))
    .option('--clearance <class>', classifications.join(', '), choice(classifications))
    .addHelpText(
      'after',
      '\nExample:\n  ./guildhall service-account create ci\n  ./guildhall member grant ci developer --project website\n  ./guildhall key create ci --for ci --days 30',
    )
    .action(
      does<{ role?: Account['role']; clearance?: Account['clearance'] }>(async (call, options) => {
        const { api } = await call.connect();
        const body = { name: call.args[0] as string, role: options.role, clearance: options.clearance };
        const made = await value(api.POST('/api/v1/service-accounts', { body }));
        call.print(
          made,
          () => `${made.id}  Make it a key: ./guildhall key create ${made.name} --for ${made.name}`,
        );
      }),
    );
  account
    .command('list')
    .description('List service accounts.')
    .action(
      does(async call => {
        const { api } = await call.connect();
        const list = await value(api.GET('/api/v1/service-accounts'));
        call.print(list, () => {
          const rows = list.items.map(a => [
            a.id,
            a.name,
            a.role,
            a.clearance,
            a.disabled_at ? `disabled ${when(a.disabled_at)}` : 'active',
          ]);
          return table(['ACCOUNT', 'NAME', 'ROLE', 'CLEARED FOR', 'STATE'], rows, call.io.columns);
        });
      }),
    );
  account
    .command('disable')
    .description('Disable a service account for good, with its keys and tokens.')
    .argument('<account>', 'id or name')
    .action(
      does(async call => {
        const { api } = await call.connect();
        const { id } = await findServiceAccount(api, call.args[0] as string);
        const done = await value(
          api.POST('/api/v1/service-accounts/{id}/disable', { params: { path: { id } } }),
        );
        call.print(done, () => `${done.name} is disabled.`);
      }),
    );
}
