/** The server's own verbs: `up`, `migrate`, `doctor`, `version`. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Command, Option } from 'commander';
import { createClient, type Schemas, value } from '../../sdk/client.ts';
import { errorOf } from '../../sdk/errors.ts';
import type { Call, Does, Io } from '../call.ts';
import { exitCodes } from '../failures.ts';
import { findLocalServer, readUrl } from '../places.ts';
import { checkSettings, environments } from './config.ts';

type Health = Schemas['Health'];

export function serverCommands(program: Command, does: Does): void {
  program
    .command('up')
    .summary('serve until Ctrl-C: the page, the API, the agents')
    .description(
      'Serve until Ctrl-C, on the local data. Prints the address and a one-time sign-in link. PORT and HOST choose another address.',
    )
    .action(does(async call => runServer(['all', ...(call.json ? ['--json'] : [])])));
  program
    .command('migrate')
    .description('bring the database up to date')
    .action(does(async call => runServer(['migrate', ...(call.json ? ['--json'] : [])])));
  program
    .command('doctor')
    .summary('say what works, and how to mend what does not')
    .description(
      'Say what works, and how to mend what does not. Asks the running server; without one it looks itself. With --env it says, without starting anything, whether a server of that environment would start with these settings.',
    )
    .addOption(
      new Option('--env <environment>', 'check the settings for this environment').choices(environments),
    )
    .option('--env-file <path>', 'the settings to check; default: the environment of this process')
    .action(
      does((call, options: { env?: string; envFile?: string }) =>
        options.env === undefined && options.envFile === undefined
          ? doctor(call)
          : checkSettings(call, options.env ?? 'production', options.envFile),
      ),
    );
  program
    .command('version')
    .description('show the versions of this program and of the server')
    .action(does(showVersion));
}

/** Loaded only here: the other commands start faster without the server. */
async function runServer(argv: string[]): Promise<number> {
  const { main } = await import('../../src/main.ts');
  return main(argv);
}

async function doctor(call: Call): Promise<number> {
  const url = call.server === undefined ? (await findLocalServer(call.io.env))?.url : readUrl(call.server);
  if (url === undefined) return runServer(['doctor', ...(call.json ? ['--json'] : [])]);
  const { data, error, response } = await createClient({ url }).GET('/readyz');
  // 503 carries the same document: what is not ready.
  const health: Health | undefined = data ?? error;
  if (!health?.components) throw errorOf(response, health);
  call.print(health, () => showHealth(call.io, health));
  return health.components.every(c => c.state === 'ok') ? exitCodes.ok : exitCodes.failed;
}

function showHealth(io: Io, health: Health): string {
  const width = Math.max(...health.components.map(c => c.name.length));
  return health.components
    .map(c => {
      const mark = c.state === 'ok' ? io.styleOut('green', 'ok    ') : io.styleOut('red', 'FAILED');
      const fix = c.fix ? `\n${' '.repeat(width + 10)}To mend it: ${c.fix}` : '';
      return `${mark}  ${c.name.padEnd(width)}  ${c.summary}${fix}`;
    })
    .join('\n');
}

async function showVersion(call: Call): Promise<void> {
  const file = join(import.meta.dirname, '../../package.json');
  const { version } = JSON.parse(await readFile(file, 'utf8')) as { version: string };
  const url = call.server === undefined ? (await findLocalServer(call.io.env))?.url : readUrl(call.server);
  const server = url === undefined ? null : { url, ...(await value(createClient({ url }).GET('/version'))) };
  call.print({ version, node: process.version, server }, () => {
    const other = server ? `\nserver ${server.version} at ${server.url}, Node ${server.node}` : '';
    return `guildhall ${version}, Node ${process.version}${other}`;
  });
}
