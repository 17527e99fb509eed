/** `guildhall organization …`: several organizations on one deployment. */
import type { Command } from 'commander';
import { value } from '../../sdk/client.ts';
import { group } from '../arguments.ts';
import type { Does } from '../call.ts';
import { table } from '../text.ts';

export function organizationCommands(program: Command, does: Does): void {
  const organization = group(program, 'organization', 'organizations: create, list, rename');
  organization
    .command('create')
    .description('Make another organization on this deployment; you are its owner.')
    .argument('<name>')
    .option('--no-key', 'make no API key in it')
    .addHelpText(
      'after',
      '\nThe key works in the new organization: ./guildhall --key <key> project list. On the page, people switch.',
    )
    .action(
      does<{ key: boolean | string }>(async (call, options) => {
        const { api } = await call.connect();
        const body = { name: call.args[0] as string, with_key: options.key !== false };
        const made = await value(api.POST('/api/v1/organizations', { body }));
        call.io.err(call.json || !made.key ? '' : 'Keep the key now, it is not shown again:\n');
        call.print(made, () => [made.id, made.key].filter(Boolean).join('\n'));
      }),
    );
  organization
    .command('list')
    .description('List the organizations that you are a member of.')
    .action(
      does(async call => {
        const { api } = await call.connect();
        const list = await value(api.GET('/api/v1/organizations'));
        call.print(list, () => {
          const rows = list.items.map(o => [o.id, o.name, o.role, o.current ? 'this one' : '']);
          return table(['ORGANIZATION', 'NAME', 'YOUR ROLE', ''], rows, call.io.columns);
        });
      }),
    );
  organization
    .command('rename')
    .description('Rename this organization.')
    .argument('<name>')
    .action(
      does(async call => {
        const { api } = await call.connect();
        const done = await value(
          api.PATCH('/api/v1/organization', { body: { name: call.args[0] as string } }),
        );
        call.print(done, () => `${done.id} is ${done.name}.`);
      }),
    );
}
