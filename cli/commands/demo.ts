/**
 * `guildhall demo`: the main job on a real repository, from nothing. Once the task is created the demo only looks
 * on: if it is killed, the task finishes with the next server on the same data.
 */
import type { Command } from 'commander';
import { value } from '../../sdk/client.ts';
import type { LiveEvent } from '../../sdk/events.ts';
import { Problem } from '../../src/base/problem.ts';
import { readConfig } from '../../src/config.ts';
import { repositoryArgument } from '../arguments.ts';
import type { Call, Does } from '../call.ts';
import { type Connection, connectTo } from '../connection.ts';
import { readOutcome, showOutcome } from '../demo/outcome.ts';
import { openServer } from '../demo/own-server.ts';
import { chooseCheck, makeDemoRepository } from '../demo/repository.ts';
import { exitCodes } from '../failures.ts';
import { Timeline } from '../timeline.ts';
import { agentNames, followTask, tellBreak } from '../watch.ts';

interface DemoOptions {
  repo?: string;
  check?: string;
  keep?: boolean;
}

const request = 'A test fails. Find the cause in the code and mend it; leave the tests as they are.';

export function demoCommand(program: Command, does: Does): void {
  program
    .command('demo')
    .summary('let a team fix a failing test in a real repository; needs no key')
    .description(
      'Let a team of three fix a failing test in a real git repository, and show what was executed. Needs no key: without one a scripted model is used. Starts a server when none runs, and stops it again.',
    )
    .option('--repo <path>', 'your own small JavaScript repository with a failing test')
    .option('--check <command>', 'what must pass; default: its test script, else node --test')
    .option('--keep', 'keep the server running afterwards, to look at the page')
    .addHelpText(
      'after',
      `
Examples:
  ./guildhall demo
  ./guildhall demo --repo ../my-library --check "npm test"
  ./guildhall demo --json | tail -n 1`,
    )
    .action(does<DemoOptions>(demo));
}

async function demo(call: Call, options: DemoOptions): Promise<number> {
  const stop = new AbortController();
  const restore = call.io.onStop(() => stop.abort());
  const tell = (sentence: string) => call.io.err(`${call.io.styleErr('dim', sentence)}\n`);
  try {
    const server = await openServer(call.io.env, tell, stop.signal);
    try {
      const connection = connectTo(server.place);
      const exitCode = await perform(call, options, connection, stop.signal, tell);
      if (options.keep && server.own && !stop.signal.aborted) await keep(call, connection, stop.signal);
      return exitCode;
    } finally {
      if (server.own) tell('Stopping the server …');
      await server.stop();
    }
  } catch (error) {
    if (!stop.signal.aborted || error instanceof Problem) throw error;
    throw new Problem('conflict', 'demo_stopped', 'The demo was stopped before its task was given.');
  } finally {
    restore();
  }
}

async function perform(
  call: Call,
  options: DemoOptions,
  connection: Connection,
  signal: AbortSignal,
  tell: (sentence: string) => void,
): Promise<number> {
  const { dataDir } = readConfig(call.io.env);
  const given = options.repo === undefined ? null : repositoryArgument(call, options.repo);
  const location = given ?? (await makeDemoRepository(dataDir, call.io.env));
  const check = options.check ?? (await chooseCheck(location));
  tell(`Repository ${location}, check \`${check}\`.`);
  const { id } = await value(
    connection.api.POST('/api/v1/tasks', {
      body: {
        request,
        title: 'Fix the failing test',
        repository: { location },
        checks: [check],
        deadline_minutes: 30,
      },
    }),
  );
  tell(`Task ${id}: ${request}\n`);
  const timeline = new Timeline(await agentNames(connection), call.io.styleErr);
  const see = (event: LiveEvent) => {
    for (const line of timeline.lines(event)) call.io.err(`${line}\n`);
  };
  const task = await followTask(connection, id, signal, see, tellBreak(call.io));
  if (!task) {
    const sentence = `The demo was stopped. Its task goes on by itself: ./guildhall up, then ./guildhall task watch ${id}`;
    throw new Problem('conflict', 'demo_stopped', sentence, { detail: { task_id: id } });
  }
  const outcome = await readOutcome(connection, task);
  call.print(outcome.result, () => showOutcome(call.io, outcome, location));
  return task.state === 'succeeded' ? exitCodes.ok : exitCodes.failed;
}

/** Leaves the page up until Ctrl-C. */
async function keep(call: Call, { api, place }: Connection, signal: AbortSignal): Promise<void> {
  const { path } = await value(api.POST('/api/v1/sign-in-links'));
  call.io.err(`\nThe page (sign in once, within 30 minutes): ${place.url}${path}\nCtrl-C ends the server.\n`);
  await new Promise<void>(resolve => {
    if (signal.aborted) return resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
