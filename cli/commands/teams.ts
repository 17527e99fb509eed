/** `guildhall team …`: teams, made from templates. */
import type { Command } from 'commander';
import { value } from '../../sdk/client.ts';
import { choice, group } from '../arguments.ts';
import type { Call, Does } from '../call.ts';
import { usage } from '../failures.ts';
import { findMember, findTeamOf } from '../found.ts';
import { table, when } from '../text.ts';
import { classifications } from './projects.ts';

interface Change {
  parent?: string | false;
  clearance?: (typeof classifications)[number];
}

export function teamCommands(program: Command, does: Does): void {
  const team = group(program, 'team', 'teams: list, create, set, add, remove');
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
          const name = new Map(teams.items.map(t => [t.id, t.name]));
          const rows = teams.items.map(t => [
            t.id,
            t.name,
            name.get(t.parent_team_id ?? '') ?? '–',
            t.clearance,
            t.template,
            when(t.created_at),
          ]);
          const offers = templates.items.map(t => [t.name, String(t.agents.length), t.description]);
          return `${table(['TEAM', 'NAME', 'BELOW', 'CLEARED FOR', 'TEMPLATE', 'CREATED'], rows, call.io.columns)}\n${table(['TEMPLATE', 'AGENTS', 'WHAT IT IS'], offers, call.io.columns)}`;
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
  team
    .command('set')
    .description('Put a team below another one, or change what its agents are cleared for.')
    .argument('<team>', 'id or name')
    .option('--parent <team>', 'the team above it')
    .option('--no-parent', 'no team above it')
    .option('--clearance <class>', classifications.join(', '), choice(classifications))
    .action(does<Change>(set));
  for (const verb of ['add', 'remove'] as const) {
    team
      .command(verb)
      .description(verb === 'add' ? 'Add a person to a team.' : 'Take a person out of a team.')
      .argument('<team>', 'id or name')
      .argument('<member>', 'id or e-mail address')
      .action(
        does(async call => {
          const [team = '', member = ''] = call.args;
          const { api } = await call.connect();
          const found = await findTeamOf(api, team);
          const params = { path: { id: found.id, member_id: (await findMember(api, member)).id } };
          const path = '/api/v1/teams/{id}/members/{member_id}' as const;
          const done =
            verb === 'add'
              ? await value(api.PUT(path, { params }))
              : await value(api.DELETE(path, { params }));
          call.print(done, () => `${member} is ${verb === 'add' ? 'in' : 'out of'} ${found.name}.`);
        }),
      );
  }
}

async function set(call: Call, options: Change): Promise<void> {
  if (options.parent === undefined && !options.clearance)
    throw usage('nothing_to_change', 'Say what to change: --parent, --no-parent, --clearance.');
  const { api } = await call.connect();
  const { id } = await findTeamOf(api, call.args[0] as string);
  const parent =
    typeof options.parent === 'string' ? (await findTeamOf(api, options.parent)).id : options.parent;
  const body = { parent_team_id: parent === false ? null : parent, clearance: options.clearance };
  const done = await value(api.PATCH('/api/v1/teams/{id}', { params: { path: { id } }, body }));
  call.print(done, () => `${done.name} is changed.`);
}
