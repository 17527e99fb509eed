/** `guildhall team …`: teams, made from templates. */
import type { Command } from 'commander';
import { value } from '../../sdk/client.ts';
import { group } from '../arguments.ts';
import type { Does } from '../call.ts';
import { table, when } from '../text.ts';

export function teamCommands(program: Command, does: Does): void {
  const team = group(program, 'team', 'teams of agents: list, create');
  team
    .command('list')
    .description('List teams, and the templates that one can be made from.')
    .action(
      does(async call => {
        const { api } = await call.connect();
        const [teams, templates] = await Promise.all([
          value(api.GET('/api/v1/teams')),
          value(api.GET('/api/v1/team-templates')),
        ]);
        call.print({ items: teams.items, templates: templates.items }, () => {
          const rows = teams.items.map(t => [t.id, t.name, t.template, when(t.created_at)]);
          const offers = templates.items.map(t => [t.name, String(t.agents.length), t.description]);
          return `${table(['TEAM', 'NAME', 'TEMPLATE', 'CREATED'], rows, call.io.columns)}\n${table(['TEMPLATE', 'AGENTS', 'WHAT IT IS'], offers, call.io.columns)}`;
        });
      }),
    );
  team
    .command('create')
    .description('Make a team from a template.')
    .argument('<name>', 'lower-case letters, digits and dashes')
    .requiredOption('--template <name>', './guildhall team list shows them')
    .addHelpText('after', '\nExample:\n  ./guildhall team create web-team --template software-team')
    .action(
      does<{ template: string }>(async (call, { template }) => {
        const { api } = await call.connect();
        const made = await value(
          api.POST('/api/v1/teams', { body: { name: call.args[0] as string, template } }),
        );
        call.print(made, () => `${made.id}  Give it work: ./guildhall task create --team ${made.name} …`);
      }),
    );
}
