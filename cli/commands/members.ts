/** `guildhall member …`: who belongs to the organization, and what they may do where. */
import type { Command } from 'commander';
import { type Api, type Schemas, value } from '../../sdk/client.ts';
import { choice, group } from '../arguments.ts';
import type { Call, Does } from '../call.ts';
import { usage } from '../failures.ts';
import { findMember, findProject, findServiceAccount, findTeamOf } from '../found.ts';
import { table, when } from '../text.ts';
import { classifications } from './projects.ts';

type Role = Schemas['Member']['role'];
export const roles = ['owner', 'admin', 'manager', 'developer', 'viewer', 'auditor', 'none'] as const;

interface Place {
  project?: string;
  team?: string;
}

export function memberCommands(program: Command, does: Does): void {
  const member = group(program, 'member', 'members: list, set, grant, deactivate, reactivate, roles');
  member
    .command('list')
    .description('List members with their roles and clearance.')
    .action(
      does(async call => {
        const { api } = await call.connect();
        const list = await value(api.GET('/api/v1/members'));
        call.print(list, () => {
          const rows = list.items.map(m => [
            m.id,
            m.name,
            m.email ?? '–',
            m.role,
            m.clearance,
            m.deactivated_at ? `out since ${when(m.deactivated_at)}` : 'active',
          ]);
          return table(['MEMBER', 'NAME', 'E-MAIL', 'ROLE', 'CLEARED FOR', 'STATE'], rows, call.io.columns);
        });
      }),
    );
  member
    .command('set')
    .description('Change the role or the clearance of a member in the whole organization.')
    .argument('<member>', 'id or e-mail address')
    .option('--role <role>', roles.join(', '), choice(roles))
    .option(
      '--clearance <class>',
      `${classifications.join(', ')}, or role: that of the role`,
      choice([...classifications, 'role']),
    )
    .action(
      does<{ role?: Role; clearance?: (typeof classifications)[number] | 'role' }>(async (call, options) => {
        if (!options.role && !options.clearance)
          throw usage('nothing_to_change', 'Say what to change: --role, --clearance.');
        const { api } = await call.connect();
        const { id } = await findMember(api, call.args[0] as string);
        const clearance = options.clearance === 'role' ? null : options.clearance;
        const body = { role: options.role, clearance };
        const changed = await value(api.PATCH('/api/v1/members/{id}', { params: { path: { id } }, body }));
        call.print(
          changed,
          () => `${changed.name} is ${changed.role}, cleared for what is ${changed.clearance}.`,
        );
      }),
    );
  member
    .command('grant')
    .description('Give a role on one project, or on a team and all below it; `none` takes it away.')
    .argument('<who>', 'member (id or e-mail address) or service account (id or name)')
    .argument('<role>', roles.join(', '))
    .option('--project <project>', 'on this project')
    .option('--team <team>', 'on this team')
    .addHelpText(
      'after',
      '\nExample:\n  ./guildhall member grant jane@example.com developer --project website',
    )
    .action(does<Place>(grant));
  for (const verb of ['deactivate', 'reactivate'] as const) {
    member
      .command(verb)
      .description(
        verb === 'deactivate'
          ? 'Shut a member out: sessions and keys end at once.'
          : 'Let a member in again; keys have to be made anew.',
      )
      .argument('<member>', 'id or e-mail address')
      .action(
        does(async call => {
          const { api } = await call.connect();
          const params = { path: { id: (await findMember(api, call.args[0] as string)).id } };
          const done = await value(
            verb === 'deactivate'
              ? api.POST('/api/v1/members/{id}/deactivate', { params })
              : api.POST('/api/v1/members/{id}/reactivate', { params }),
          );
          call.print(done, () => `${done.name} is ${verb}d.`);
        }),
      );
  }
  member
    .command('roles')
    .description('Show what each role may do.')
    .action(
      does(async call => {
        const { api } = await call.connect();
        const found = await value(api.GET('/api/v1/roles'));
        call.print(found, () =>
          [found.organization, found.projects]
            .map(([head = [], ...rows]) =>
              table(
                head.map(cell => cell.toUpperCase()),
                rows,
                call.io.columns,
              ),
            )
            .join('\n'),
        );
      }),
    );
}

async function grant(call: Call, options: Place): Promise<void> {
  const [who = '', role = ''] = call.args;
  if (!roles.includes(role as Role))
    throw usage('role_unknown', `There is no role ${role}; there are ${roles.join(', ')}.`);
  if ((options.project === undefined) === (options.team === undefined))
    throw usage('option_missing', 'Say where: one of --project <project>, --team <team>.');
  const { api } = await call.connect();
  const scope = options.project === undefined ? ('team' as const) : ('project' as const);
  const { id, name } =
    options.project === undefined
      ? await findTeamOf(api, options.team as string)
      : await findProject(api, options.project);
  const subject = await subjectOf(api, who);
  const body = { subject, role: role as Role, scope, scope_id: id };
  const done = await value(api.PUT('/api/v1/role-bindings', { body }));
  call.print({ ...body, ...done }, () =>
    role === 'none' ? `${who} has no role on ${name} any more.` : `${who} is ${role} on ${name}.`,
  );
}

/** People are named by id or e-mail address, programs by id or name. */
async function subjectOf(api: Api, who: string): Promise<string> {
  return /^mem_|@/.test(who)
    ? `member:${(await findMember(api, who)).id}`
    : `service:${(await findServiceAccount(api, who)).id}`;
}
