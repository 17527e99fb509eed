/** The command line: argv in, exit code out. Each group of commands is a file in `commands/`. */
import { Command, CommanderError } from 'commander';
import { ApiError } from '../sdk/errors.ts';
import type { Call, Does, Io } from './call.ts';
import { adminCommands } from './commands/admin.ts';
import { agentCommands } from './commands/agents.ts';
import { approvalCommands } from './commands/approvals.ts';
import { auditCommands } from './commands/audit.ts';
import { configCommands } from './commands/config.ts';
import { deadLetterCommands } from './commands/dead-letters.ts';
import { demoCommand } from './commands/demo.ts';
import { keyCommands } from './commands/keys.ts';
import { loginCommand } from './commands/login.ts';
import { memberCommands } from './commands/members.ts';
import { moneyCommands } from './commands/money.ts';
import { organizationCommands } from './commands/organizations.ts';
import { projectCommands } from './commands/projects.ts';
import { secretCommands } from './commands/secrets.ts';
import { serverCommands } from './commands/server.ts';
import { serviceAccountCommands } from './commands/service-accounts.ts';
import { taskCommands } from './commands/tasks.ts';
import { teamCommands } from './commands/teams.ts';
import { connectTo } from './connection.ts';
import { exitCodes, explainFailure } from './failures.ts';
import { findPlace, noServer, type Place } from './places.ts';

interface Run {
  exitCode: number;
  /** Where the command connected to, for the sentence when that does not answer. */
  place: Place | null;
}

/** @returns the exit code: 0 ok, 1 failed, 2 usage, 3 refused by policy or budget, 4 not found, 5 unavailable. */
export async function run(argv: string[], io: Io): Promise<number> {
  const state: Run = { exitCode: exitCodes.ok, place: null };
  const program = buildProgram(io, state);
  if (argv.length === 0) {
    program.outputHelp();
    return exitCodes.ok;
  }
  try {
    await program.parseAsync(argv, { from: 'user' });
    return state.exitCode;
  } catch (error) {
    return fail(error, argv, io, state);
  }
}

function fail(error: unknown, argv: string[], io: Io, state: Run): number {
  if (error instanceof CommanderError && error.exitCode === 0) return exitCodes.ok;
  const silent = error instanceof ApiError && error.code === 'server_unreachable' && state.place?.local;
  const failure = explainFailure(silent ? noServer() : error);
  if (failure.text) io.err(`${io.styleErr('red', 'guildhall:')} ${failure.text}\n`);
  if (argv.includes('--json')) io.out(`${JSON.stringify({ error: failure.value })}\n`);
  return failure.exitCode;
}

function buildProgram(io: Io, state: Run): Command {
  const program = new Command('guildhall');
  program
    .description('A control plane for teams of AI agents: give work, watch it, decide, see what it cost.')
    .exitOverride()
    .configureOutput({ writeOut: text => io.out(text), writeErr: text => io.err(text) })
    .configureHelp({ showGlobalOptions: true, sortSubcommands: false })
    .showHelpAfterError('(add --help for what it takes)')
    .usage('<command> [options]')
    .option('--json', 'print one JSON value on standard output')
    .option(
      '--server <url>',
      'the server to speak to; default: the one on the local data, else the last login',
    )
    .option('--key <key>', 'API key for it; `-` reads it from standard input')
    .addHelpText(
      'after',
      `
Start here:
  ./guildhall demo                                        a team fixes a failing test, no key needed
  ./guildhall up                                          serve, and print a sign-in link
  ./guildhall task create --repo . --check "npm test" "Fix the failing test"
  ./guildhall test                                        in a checkout: run the whole test suite

Exit codes: 0 ok, 1 failed, 2 usage, 3 refused by policy or budget, 4 not found, 5 unavailable`,
    );
  const does = doing(io, state);
  serverCommands(program, does);
  demoCommand(program, does);
  loginCommand(program, does);
  adminCommands(program, does);
  taskCommands(program, does);
  approvalCommands(program, does);
  agentCommands(program, does);
  teamCommands(program, does);
  projectCommands(program, does);
  memberCommands(program, does);
  serviceAccountCommands(program, does);
  organizationCommands(program, does);
  keyCommands(program, does);
  secretCommands(program, does);
  auditCommands(program, does);
  moneyCommands(program, does);
  deadLetterCommands(program, does);
  configCommands(program, does);
  return program;
}

function doing(io: Io, state: Run): Does {
  return work =>
    async (...given) => {
      const command = given.at(-1) as Command;
      const options = command.optsWithGlobals() as { json?: boolean; server?: string; key?: string };
      const key = options.key === '-' ? (await io.readInput()).trim() : options.key;
      const call: Call = {
        io,
        json: options.json === true,
        args: given.slice(0, -2).flat() as string[],
        server: options.server,
        key,
        print: (value, text) =>
          io.out(options.json ? `${JSON.stringify(value)}\n` : text().replace(/\n*$/, '\n')),
        connect: async () => {
          state.place = await findPlace(io.env, options.server, key);
          return connectTo(state.place);
        },
      };
      const exitCode = await work(call, options as never);
      if (typeof exitCode === 'number') state.exitCode = exitCode;
    };
}
