/** `guildhall task …`: give work, look at it, and the things a person may do with it. */
import type { Command } from 'commander';
import { value } from '../../sdk/client.ts';
import { amount, group, idArgument, repositoryArgument, several, textArgument, whole } from '../arguments.ts';
import type { Call, Does } from '../call.ts';
import type { Connection } from '../connection.ts';
import { colourDiff } from '../diff.ts';
import { exitCodes, usage } from '../failures.ts';
import { showTaskCard, stateMark } from '../task-card.ts';
import { oneLine, plain, table, when } from '../text.ts';
import { watchTask } from '../watch.ts';

interface CreateOptions {
  repo?: string;
  branch?: string;
  setup?: string;
  check?: string[];
  criteria?: string[];
  requirement?: string[];
  title?: string;
  budget?: number;
  deadline?: number;
  team?: string;
  project?: string;
  allowDirty?: boolean;
  after?: string[];
  watch?: boolean;
}

interface ListOptions {
  state?: string;
  open?: boolean;
  delegated?: boolean;
  limit?: number;
  cursor?: string;
}

export function taskCommands(program: Command, does: Does): void {
  const task = group(program, 'task', 'give a team work, watch it, and decide about it');
  task
    .command('create')
    .summary('give a team work')
    .description('Give a team work. Prints the id of the task.')
    .argument('<request...>', 'what is to be done, in plain words; @file reads it from a file')
    .option('--repo <path|url>', 'the git repository to work in')
    .option('--branch <name>', 'branch to start from; default: the one that is checked out')
    .option('--setup <command>', 'prepares a fresh clone, e.g. "npm ci"')
    .option('--check <command>', 'must exit with 0 on the delivered commit (repeatable)', several)
    .option('--criteria <text>', 'acceptance criterion (repeatable)', several)
    .option('--requirement <text>', 'requirement (repeatable)', several)
    .option('--title <text>', 'default: the first line of the request')
    .option('--budget <usd>', 'most that it may cost', amount())
    .option('--deadline <minutes>', 'default 240', whole(1, 10_080))
    .option('--team <name>', 'default software-team')
    .option('--project <name>', 'default default')
    .option('--after <task>', 'start only when that task has succeeded (repeatable)', several)
    .option('--allow-dirty', 'work from the last commit although there are uncommitted changes')
    .option('--watch', 'follow it until it ends')
    .addHelpText(
      'after',
      `
Examples:
  ./guildhall task create --repo . --check "npm test" "Fix the failing test" --watch
  ./guildhall task create --repo https://github.com/you/app --setup "npm ci" --check "npm test" \\
      --budget 2.50 "Add a --verbose flag"`,
    )
    .action(does<CreateOptions>(createTask));
  task
    .command('list')
    .description('List tasks, newest first.')
    .option('--state <state>', 'only in this state, e.g. failed')
    .option('--open', 'only those that have not ended')
    .option('--delegated', 'also those that agents delegated')
    .option('--limit <n>', 'at most so many', whole(1, 200))
    .option('--cursor <cursor>', 'the page after this one')
    .action(does<ListOptions>(listTasks));
  task
    .command('show')
    .description('Show a task: state, tree, checks, cost, result.')
    .argument('<id>')
    .action(does(call => showTask(call)));
  task
    .command('watch')
    .description(
      'Follow a task live until it ends. Exits with 0 only when it succeeded. --json prints one event a line.',
    )
    .argument('<id>')
    .action(
      does(async call => {
        const id = idArgument(call, 'task', 'task');
        return watchTask(call, await call.connect(), id);
      }),
    );
  task
    .command('diff')
    .description('Print the change that a task delivered.')
    .argument('<id>')
    .action(does(call => showDiff(call)));
  actionCommands(task, does);
}

const actions = {
  cancel: { summary: 'Cancel a task and all below it; what runs is killed.', done: 'is cancelled' },
  pause: { summary: 'Pause a task after the step under way.', done: 'is paused' },
  resume: { summary: 'Let a paused task go on.', done: 'goes on' },
  retry: { summary: 'Try a task again that ended without success.', done: 'starts again' },
} as const;

function actionCommands(task: Command, does: Does): void {
  for (const [name, action] of Object.entries(actions)) {
    const command = task.command(name).description(action.summary).argument('<id>');
    if (name === 'cancel' || name === 'pause') command.option('--reason <text>', 'is kept with the task');
    command.action(
      does<{ reason?: string }>(async (call, { reason }) => {
        const id = idArgument(call, 'task', 'task');
        const { api } = await call.connect();
        const path = `/api/v1/tasks/{id}/${name as keyof typeof actions}` as const;
        const body = { reason: reason ?? null };
        const changed = await value(api.POST(path, { params: { path: { id } }, body }));
        call.print(changed, () => `${id} ${action.done}.`);
      }),
    );
  }
}

async function createTask(call: Call, options: CreateOptions): Promise<number> {
  const given = call.args.join(' ').trim();
  const request = given === '' ? '' : (await textArgument(call, given)).trim();
  if (request === '')
    throw usage(
      'request_empty',
      'Say what is to be done: ./guildhall task create --repo . "Fix the failing test"',
    );
  if (options.repo === undefined) {
    const orphan = (['branch', 'setup', 'allowDirty'] as const).find(name => options[name] !== undefined);
    if (orphan)
      throw usage(
        'repository_missing',
        `--${orphan === 'allowDirty' ? 'allow-dirty' : orphan} needs a repository: add --repo <path|url>.`,
      );
  }
  const connection = await call.connect();
  const task = await value(
    connection.api.POST('/api/v1/tasks', {
      body: {
        request,
        title: options.title,
        team: options.team,
        project: options.project,
        repository:
          options.repo === undefined
            ? null
            : {
                location: repositoryArgument(call, options.repo),
                branch: options.branch ?? null,
                setup: options.setup ?? null,
                allow_dirty: options.allowDirty === true,
              },
        checks: options.check,
        acceptance_criteria: options.criteria,
        requirements: options.requirement,
        budget_usd: options.budget,
        deadline_minutes: options.deadline,
        depends_on: options.after,
      },
    }),
  );
  if (options.watch) {
    if (!call.json) call.io.out(`${task.id}\n`);
    return watchTask(call, connection, task.id);
  }
  call.print(task, () => `${task.id}\n\nWatch it:  ./guildhall task watch ${task.id}\n`);
  return exitCodes.ok;
}

const states = [
  'draft',
  'queued',
  'running',
  'waiting',
  'paused',
  'in_review',
  'succeeded',
  'failed',
  'cancelled',
  'timed_out',
  'dead_letter',
] as const;

async function listTasks(call: Call, options: ListOptions): Promise<void> {
  const state = states.find(name => name === options.state);
  if (options.state !== undefined && state === undefined)
    throw usage('state_unknown', `--state must be one of ${states.join(', ')}.`);
  const { api } = await call.connect();
  const query = {
    state,
    open: options.open ? ('true' as const) : undefined,
    roots: options.delegated ? ('false' as const) : ('true' as const),
    limit: options.limit ?? 50,
    cursor: options.cursor,
  };
  const page = await value(api.GET('/api/v1/tasks', { params: { query } }));
  call.print(page, () => {
    if (page.items.length === 0)
      return 'No tasks. Give one: ./guildhall task create --repo . "Fix the failing test"';
    const rows = page.items.map(t => [t.id, stateMark(t), t.agent.name, when(t.created_at), t.title]);
    const more = page.next_cursor ? `\nMore: ./guildhall task list --cursor ${page.next_cursor}\n` : '';
    return table(['TASK', 'STATE', 'AGENT', 'CREATED', 'TITLE'], rows, call.io.columns) + more;
  });
}

async function showTask(call: Call): Promise<void> {
  const id = idArgument(call, 'task', 'task');
  const { api } = await call.connect();
  const params = { path: { id } };
  const [task, tree, checks] = await Promise.all([
    value(api.GET('/api/v1/tasks/{id}', { params })),
    value(api.GET('/api/v1/tasks/{id}/tree', { params })),
    value(api.GET('/api/v1/tasks/{id}/checks', { params })),
  ]);
  call.print({ ...task, tree: tree.items, check_results: checks.items }, () =>
    showTaskCard(call.io, task, tree.items, checks.items),
  );
}

async function showDiff(call: Call): Promise<number> {
  const id = idArgument(call, 'task', 'task');
  const connection = await call.connect();
  const answer = await value(connection.api.GET('/api/v1/tasks/{id}/diff', { params: { path: { id } } }));
  if (answer.diff !== null || call.json) {
    call.print(answer, () => colourDiff(call.io, answer.diff ?? ''));
    return exitCodes.ok;
  }
  call.io.err(await whyNoDiff(connection, id));
  return exitCodes.failed;
}

async function whyNoDiff({ api }: Connection, id: string): Promise<string> {
  const task = await value(api.GET('/api/v1/tasks/{id}', { params: { path: { id } } }));
  const reason = task.state_reason ? `: ${oneLine(task.state_reason, 200)}` : '';
  return `The task has delivered no change. It is ${plain(task.state.replace('_', ' '))}${reason}\n`;
}
