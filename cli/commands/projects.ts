/** `guildhall project …`: what tasks belong to, who answers for it, and how far knowledge of it may go. */
import type { Command } from 'commander';
import { type Schemas, value } from '../../sdk/client.ts';
import { choice, group } from '../arguments.ts';
import type { Call, Does } from '../call.ts';
import { usage } from '../failures.ts';
import { findProject, findTeamOf } from '../found.ts';
import { table, when } from '../text.ts';

type Project = Schemas['Project'];
type Classification = Project['classification'];

export const classifications = ['public', 'internal', 'confidential', 'restricted'] as const;

interface Fields {
  description?: string;
  team?: string;
  classification?: Classification;
}

export function projectCommands(program: Command, does: Does): void {
  const project = group(program, 'project', 'projects: create, list, show, set, archive');
  fields(project.command('create'))
    .description('Create a project.')
    .argument('<name>', 'lower-case letters, digits, dots and dashes')
    .addHelpText('after', '\nExample:\n  ./guildhall project create website --classification confidential')
    .action(
      does<Fields>(async (call, options) => {
        const { api } = await call.connect();
        const body = {
          name: call.args[0] as string,
          description: options.description,
          classification: options.classification,
          team_id: options.team === undefined ? undefined : (await findTeamOf(api, options.team)).id,
        };
        const made = await value(api.POST('/api/v1/projects', { body }));
        call.print(made, () => `${made.id}  Give it work: ./guildhall task create --project ${made.name} …`);
      }),
    );
  project
    .command('list')
    .description('List projects.')
    .option('--archived', 'those that are archived')
    .action(
      does<{ archived?: boolean }>(async (call, options) => {
        const { api } = await call.connect();
        const query = { archived: options.archived ? ('true' as const) : ('false' as const) };
        const list = await value(api.GET('/api/v1/projects', { params: { query } }));
        call.print(list, () => {
          const rows = list.items.map(p => [
            p.id,
            p.name,
            p.classification,
            p.team_id ?? '–',
            when(p.created_at),
          ]);
          return table(['PROJECT', 'NAME', 'CLASS', 'TEAM', 'CREATED'], rows, call.io.columns);
        });
      }),
    );
  project
    .command('show')
    .description('Show a project and who has a role on it.')
    .argument('<project>', 'id or name')
    .action(does(show));
  fields(project.command('set'))
    .description('Change a project.')
    .argument('<project>', 'id or name')
    .option('--name <name>', 'another name')
    .option('--no-team', 'no team answers for it')
    .action(does<Omit<Fields, 'team'> & { name?: string; team?: string | false }>(set));
  for (const verb of ['archive', 'restore'] as const) {
    project
      .command(verb)
      .description(
        verb === 'archive' ? 'Archive it: nothing new begins in it.' : 'Take it out of the archive.',
      )
      .argument('<project>', 'id or name')
      .action(
        does(async call => {
          const { api } = await call.connect();
          const { id } = await findProject(api, call.args[0] as string);
          const params = { path: { id } };
          const done = await value(
            verb === 'archive'
              ? api.POST('/api/v1/projects/{id}/archive', { params })
              : api.POST('/api/v1/projects/{id}/restore', { params }),
          );
          call.print(done, () => `${done.name} is ${verb}d.`);
        }),
      );
  }
}

function fields(command: Command): Command {
  return command
    .option('--description <text>', 'what it is for')
    .option('--team <team>', 'the team that answers for it')
    .option(
      '--classification <class>',
      'public, internal, confidential or restricted',
      choice(classifications),
    );
}

async function show(call: Call): Promise<void> {
  const { api } = await call.connect();
  const found = await findProject(api, call.args[0] as string);
  const query = { scope_id: found.id };
  // Not everybody who sees a project may see who else does.
  const roles = await api.GET('/api/v1/role-bindings', { params: { query } });
  const bindings = roles.data?.items ?? null;
  call.print({ ...found, roles: bindings }, () => {
    const facts = [
      ['id', found.id],
      ['name', found.name],
      ['classification', found.classification],
      ['team', found.team_id ?? '–'],
      ['created', when(found.created_at)],
      ...(found.archived_at ? [['archived', when(found.archived_at)]] : []),
      ...(found.description ? [['for', found.description]] : []),
    ];
    const text = facts.map(([name = '', text]) => `${name.padEnd(15)} ${text}`).join('\n');
    if (!bindings || bindings.length === 0) return text;
    return `${text}\n\n${table(
      ['WHO', 'ROLE', 'GIVEN BY'],
      bindings.map(b => [b.subject, b.role, b.granted_by]),
      call.io.columns,
    )}`;
  });
}

async function set(
  call: Call,
  options: Omit<Fields, 'team'> & { name?: string; team?: string | false },
): Promise<void> {
  const { api } = await call.connect();
  const { id } = await findProject(api, call.args[0] as string);
  const { team } = options;
  const team_id =
    team === false ? null : typeof team === 'string' ? (await findTeamOf(api, team)).id : undefined;
  const { name, description, classification } = options;
  const body = { name, description, classification, team_id };
  if (Object.values(body).every(field => field === undefined))
    throw usage('nothing_to_change', 'Say what to change: --name, --description, --team, --classification.');
  const changed = await value(api.PATCH('/api/v1/projects/{id}', { params: { path: { id } }, body }));
  call.print(changed, () => `${changed.name} is changed.`);
}
