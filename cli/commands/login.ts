/** `guildhall login`: keep the key of a server, or make a sign-in link for the page. */
import { isCancel, password, text } from '@clack/prompts';
import type { Command } from 'commander';
import { value } from '../../sdk/client.ts';
import type { Call, Does } from '../call.ts';
import { connectTo } from '../connection.ts';
import { exitCodes, usage } from '../failures.ts';
import { credentialsFile, readCredentials, readUrl, writeCredentials } from '../places.ts';

export function loginCommand(program: Command, does: Does): void {
  program
    .command('login')
    .summary('keep the key of a server, or print a sign-in link for the page')
    .description(
      'Keep the key of a server for later commands, or print a one-time sign-in link for the page.',
    )
    .option('--link', 'print a fresh one-time sign-in link for the page')
    .option('--forget', 'forget the key of --server, or of the current one')
    .addHelpText(
      'after',
      `
Examples:
  ./guildhall login --server https://guildhall.example.com --key - < key.txt
  ./guildhall login --link`,
    )
    .action(
      does<{ link?: boolean; forget?: boolean }>((call, options) =>
        options.link ? printLink(call) : options.forget ? forget(call) : login(call),
      ),
    );
}

async function printLink(call: Call): Promise<void> {
  const { api, place } = await call.connect();
  const { path } = await value(api.POST('/api/v1/sign-in-links'));
  const url = `${place.url}${path}`;
  call.print({ url }, () => url);
}

async function login(call: Call): Promise<number> {
  const given = await ask(call);
  if (given === null) return exitCodes.failed;
  const url = readUrl(given.server);
  const me = await value(connectTo({ url, key: given.key, local: false }).api.GET('/api/v1/me'));
  const { servers } = await readCredentials(call.io.env);
  await writeCredentials(call.io.env, { current: url, servers: { ...servers, [url]: { key: given.key } } });
  const result = { server: url, member: me.member, scopes: me.scopes, file: credentialsFile(call.io.env) };
  call.print(
    result,
    () =>
      `Logged in to ${url} as ${me.member.name} (${me.scopes.join(', ')}). Used when no server runs on the local data.`,
  );
  return exitCodes.ok;
}

/** From the flags, or from whoever sits at the terminal; null when they turn away. */
async function ask(call: Call): Promise<{ server: string; key: string } | null> {
  let { server, key } = call;
  const mayAsk = call.io.interactive && !call.json;
  if (!mayAsk && (!server || !key))
    throw usage(
      'login_incomplete',
      'Name the server and its key: ./guildhall login --server <url> --key - < key.txt',
    );
  if (!server) {
    const said = await text({ message: 'Address of the server', placeholder: 'http://127.0.0.1:4000' });
    if (isCancel(said)) return null;
    server = said;
  }
  if (!key) {
    const said = await password({ message: 'API key (ghk_…)' });
    if (isCancel(said)) return null;
    key = said;
  }
  return { server, key };
}

async function forget(call: Call): Promise<void> {
  const { current, servers } = await readCredentials(call.io.env);
  const url = call.server ? readUrl(call.server) : current;
  if (url === null || !servers[url]) throw usage('login_missing', 'There is no login to forget.');
  const { [url]: _, ...rest } = servers;
  await writeCredentials(call.io.env, { current: current === url ? null : current, servers: rest });
  call.print(
    { server: url, forgotten: true },
    () => `The key of ${url} is forgotten here; ./guildhall key revoke ends it there.`,
  );
}
