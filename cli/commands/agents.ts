/** `guildhall agent …`: AI workers and their definitions. A change of a definition makes its next version. */
import type { Command } from 'commander';
import { type Api, type Schemas, value } from '../../sdk/client.ts';
import { Problem } from '../../src/base/problem.ts';
import { group, several, textArgument, whole } from '../arguments.ts';
import type { Call, Does } from '../call.ts';
import { usage } from '../failures.ts';
import { indent, plain, table, when } from '../text.ts';

type Agent = Schemas['Agent'];

interface Definition {
  title?: string;
  role?: string;
  description?: string;
  instructions?: string;
  model?: string;
  tool?: Agent['tools'];
  reportsTo?: string;
  maxOutputTokens?: number;
}

export function agentCommands(program: Command, does: Does): void {
  const agent = group(program, 'agent', 'AI workers: list, show, create, set');
  agent
    .command('list')
    .description('List agents.')
    .option('--team <name>', 'only of this team')
    .action(
      does<{ team?: string }>(async (call, options) => {
        const { api } = await call.connect();
        const team_id = options.team === undefined ? undefined : (await findTeam(api, options.team)).id;
        const list = await value(api.GET('/api/v1/agents', { params: { query: { team_id } } }));
        const name = new Map(list.items.map(a => [a.id, a.name]));
        call.print(list, () => {
          const rows = list.items.map(a => [
            a.id,
            a.name,
            a.role,
            a.state,
            a.model,
            name.get(a.reports_to ?? '') ?? '–',
          ]);
          return table(['AGENT', 'NAME', 'ROLE', 'STATE', 'MODEL', 'REPORTS TO'], rows, call.io.columns);
        });
      }),
    );
  agent
    .command('show')
    .description('Show an agent with its instructions.')
    .argument('<agent>', 'id, name, or team/name')
    .action(
      does(async call => {
        const { api } = await call.connect();
        const found = await findAgent(api, call.args[0] as string);
        call.print(found, () => card(call, found));
      }),
    );
  definitionOptions(agent.command('create'))
    .description('Add an agent to a team.')
    .argument('<name>', 'lower-case letters, digits and dashes')
    .requiredOption('--team <name>', 'the team it joins')
    .addHelpText(
      'after',
      `
Example:
  ./guildhall agent create reviewer --team software-team --role tester --title "Reviewer" \\
      --description "Reads changes" --instructions @reviewer.md --tool read_file --tool git_diff --reports-to lead`,
    )
    .action(does<Definition & { team: string }>(create));
  definitionOptions(agent.command('set'))
    .description('Change an agent: its next version.')
    .argument('<agent>', 'id, name, or team/name')
    .option('--state <state>', 'active, draining or paused')
    .option('--no-manager', 'report to nobody')
    .addHelpText('after', '\nExample:\n  ./guildhall agent set coder --model anthropic/claude-sonnet-4-5')
    .action(does<Definition & { state?: string; manager: boolean }>(set));
}

function definitionOptions(command: Command): Command {
  return command
    .option('--title <text>', 'what people call it')
    .option('--role <role>', 'e.g. coder')
    .option('--description <text>', 'what it does, in a sentence')
    .option('--instructions <text>', 'how it works; @file reads them from a file')
    .option('--model <model>', '<provider>/<model>, or `default`')
    .option('--tool <name>', 'a tool that it may use (repeatable)', several)
    .option('--reports-to <name>', 'its manager in the same team')
    .option('--max-output-tokens <n>', 'of one model call', whole(100, 200_000));
}

async function create(call: Call, options: Definition & { team: string }): Promise<void> {
  const { title, role, description, instructions } = options;
  if (!title || !role || !description || !instructions) {
    const missing = (['title', 'role', 'description', 'instructions'] as const).filter(
      name => !options[name],
    );
    throw usage('option_missing', `An agent needs ${missing.map(name => `--${name}`).join(', ')}.`);
  }
  const text = await textArgument(call, instructions);
  const { api } = await call.connect();
  const team = await findTeam(api, options.team);
  const made = await value(
    api.POST('/api/v1/agents', {
      body: {
        team_id: team.id,
        name: call.args[0] as string,
        title,
        role,
        description,
        instructions: text,
        model: options.model,
        // The server knows the tools and refuses others by name.
        tools: (options.tool ?? []) as never,
        reports_to: options.reportsTo ?? null,
        max_output_tokens: options.maxOutputTokens,
      },
    }),
  );
  call.print(made, () => `${made.id}  ${made.name} joins ${team.name}.`);
}

async function set(call: Call, options: Definition & { state?: string; manager: boolean }): Promise<void> {
  const { title, role, description, model } = options;
  const body = {
    title,
    role,
    description,
    model,
    instructions:
      options.instructions === undefined ? undefined : await textArgument(call, options.instructions),
    tools: options.tool as never,
    reports_to: options.manager === false ? null : options.reportsTo,
    max_output_tokens: options.maxOutputTokens,
    state: options.state as 'active' | undefined,
  };
  if (Object.values(body).every(given => given === undefined))
    throw usage('option_missing', 'Say what to change, e.g. --model anthropic/claude-sonnet-4-5.');
  const { api } = await call.connect();
  const { id } = await findAgent(api, call.args[0] as string);
  const changed = await value(api.PATCH('/api/v1/agents/{id}', { params: { path: { id } }, body }));
  call.print(changed, () => `${changed.name} is at version ${changed.version}, ${changed.state}.`);
}

export async function findTeam(api: Api, name: string): Promise<Schemas['Team']> {
  const { items } = await value(api.GET('/api/v1/teams'));
  const team = items.find(one => one.name === name || one.id === name);
  if (team) return team;
  const known = items.map(one => one.name).join(', ');
  throw new Problem(
    'missing',
    'team_missing',
    `There is no team named ${plain(name)}; there are: ${known || 'none'}.`,
  );
}

async function findAgent(api: Api, given: string): Promise<Agent> {
  const [teams, agents] = await Promise.all([
    value(api.GET('/api/v1/teams')),
    value(api.GET('/api/v1/agents')),
  ]);
  const nameOf = new Map(teams.items.map(team => [team.id, team.name]));
  const full = (agent: Agent) => `${nameOf.get(agent.team_id)}/${agent.name}`;
  const found = agents.items.filter(a => a.id === given || a.name === given || full(a) === given);
  if (found.length === 1) return found[0] as Agent;
  if (found.length === 0)
    throw new Problem(
      'missing',
      'agent_missing',
      `There is no agent ${plain(given)}. ./guildhall agent list shows them.`,
    );
  throw usage(
    'agent_ambiguous',
    `Several agents are named ${plain(given)}: say ${found.map(full).join(' or ')}.`,
  );
}

function card(call: Call, agent: Agent): string {
  const facts = [
    ['Role', agent.role],
    ['State', agent.open_runs > 0 ? `${agent.state} (${agent.open_runs} at work)` : agent.state],
    ['Model', agent.model],
    ['Tools', agent.tools.join(', ')],
    ['Version', `${agent.version}, since ${when(agent.created_at)}`],
  ];
  const lines = facts.map(([name, text]) => `  ${name?.padEnd(9)}${plain(text ?? '')}`).join('\n');
  return `${call.io.styleOut('bold', `${plain(agent.title)} (${plain(agent.name)})`)}\n${call.io.styleOut('dim', agent.id)}\n\n${plain(agent.description)}\n\n${lines}\n\n${indent(agent.instructions, '  ')}\n`;
}
