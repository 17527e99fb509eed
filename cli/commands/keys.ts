/** `guildhall key …`: API keys for programs, and the keys that tokens are signed with. */
import type { Command } from 'commander';
import { type Schemas, value } from '../../sdk/client.ts';
import { group, idArgument, several, whole } from '../arguments.ts';
import type { Call, Does } from '../call.ts';
import { usage } from '../failures.ts';
import { findProject, findServiceAccount } from '../found.ts';
import { table, when } from '../text.ts';

const bundles = ['read', 'write', 'admin'] as const;
type Scope = (typeof bundles)[number];

interface NewKey {
  scope?: string[];
  project?: string[];
  for?: string;
  days?: number;
  expiry: boolean;
}

export function keyCommands(program: Command, does: Does): void {
  const key = group(program, 'key', 'API keys: create, list, rotate, revoke, token; rotate-signing');
  key
    .command('create')
    .description('Create an API key. It is shown this once.')
    .argument('<name>', 'what it is for')
    .option(
      '--scope <scope>',
      'read, write, admin, or a permission (repeatable); default read and write',
      several,
    )
    .option('--project <project>', 'only this project (repeatable)', several)
    .option('--for <account>', 'a key of this service account rather than yours')
    .option('--days <n>', 'life in days; default 90', whole(1, 3_650))
    .option('--no-expiry', 'never expires')
    .addHelpText(
      'after',
      '\nExamples:\n  ./guildhall key create ci --scope read --days 30\n  ./guildhall key create opener --scope task.create --scope task.read --project website',
    )
    .action(does<NewKey>(create));
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
            k.service_account_id ?? k.member_id ?? '',
            k.scopes.join(','),
            validity(k),
            k.last_used_at ? when(k.last_used_at) : 'never',
          ]);
          const head = ['KEY', 'NAME', 'BEGINS', 'OF', 'SCOPES', 'VALID', 'LAST USED'];
          return table(head, rows, call.io.columns);
        });
      }),
    );
  key
    .command('rotate')
    .description('Replace an API key; the old one works on for a while, so that nothing has to stop.')
    .argument('<id>')
    .option('--overlap <minutes>', 'how long the old one works on; default 60', whole(0, 43_200))
    .action(
      does<{ overlap?: number }>(async (call, { overlap }) => {
        const id = idArgument(call, 'key', 'api key');
        const { api } = await call.connect();
        const body = { overlap_minutes: overlap };
        const made = await value(
          api.POST('/api/v1/api-keys/{id}/rotate', { params: { path: { id } }, body }),
        );
        call.io.err(
          call.json
            ? ''
            : `Keep it now, it is not shown again. The old one ends ${when(made.old_key_ends_at)}.\n`,
        );
        call.print(made, () => made.key);
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
  tokenCommands(key, does);
}

function tokenCommands(key: Command, does: Does): void {
  key
    .command('token')
    .description('Trade the key that you use for a signed token of a few minutes.')
    .option('--scope <scope>', 'less than the key can do (repeatable)', several)
    .option('--for <account>', 'a token of this service account')
    .option('--minutes <n>', 'life', whole(1, 60))
    .action(
      does<{ scope?: string[]; for?: string; minutes?: number }>(async (call, options) => {
        const { api } = await call.connect();
        const body = {
          scopes: checked(options.scope),
          minutes: options.minutes,
          service_account_id:
            options.for === undefined ? undefined : (await findServiceAccount(api, options.for)).id,
        };
        const made = await value(api.POST('/api/v1/tokens', { body }));
        call.print(made, () => made.token);
      }),
    );
  key
    .command('rotate-signing')
    .description('Sign tokens with a new key; the old one is believed for a while.')
    .option('--overlap <minutes>', 'how long; 0 ends every token at once; default 120', whole(0, 10_080))
    .action(
      does<{ overlap?: number }>(async (call, { overlap }) => {
        const { api } = await call.connect();
        const body = { overlap_minutes: overlap };
        const made = await value(api.POST('/api/v1/signing-keys/rotate', { body }));
        call.print(made, () => `${made.id} signs from now on.`);
      }),
    );
}

function validity(key: Schemas['ApiKey']): string {
  if (key.revoked_at) return `revoked ${when(key.revoked_at)}`;
  return key.expires_at ? `until ${when(key.expires_at)}` : 'for ever';
}

/** Bundles, or permissions: of those the server knows which there are. */
function checked(scopes: string[] | undefined): Scope[] | undefined {
  const wrong = scopes?.find(scope => !bundles.includes(scope as Scope) && !/^[a-z_]+\.[a-z_]+$/.test(scope));
  if (wrong !== undefined)
    throw usage(
      'scope_unknown',
      `There is no scope ${wrong}; there are ${bundles.join(', ')}, and permissions such as task.create.`,
    );
  return scopes as Scope[] | undefined;
}

async function create(call: Call, options: NewKey): Promise<void> {
  const scopes = checked(options.scope);
  const { api } = await call.connect();
  const projects = [];
  for (const name of options.project ?? []) projects.push((await findProject(api, name)).id);
  const body = {
    name: call.args[0] as string,
    scopes,
    project_ids: projects.length > 0 ? projects : undefined,
    service_account_id:
      options.for === undefined ? undefined : (await findServiceAccount(api, options.for)).id,
    expires_in_days: options.expiry ? options.days : null,
  };
  const made = await value(api.POST('/api/v1/api-keys', { body }));
  call.io.err(call.json ? '' : 'Keep it now, it is not shown again:\n');
  call.print(made, () => made.key);
}
