/** `guildhall budget …` and `guildhall usage`: limits, and what was spent. */
import type { Command } from 'commander';
import { type Schemas, value } from '../../sdk/client.ts';
import { amount, group } from '../arguments.ts';
import type { Call, Does } from '../call.ts';
import { usage } from '../failures.ts';
import { count, dollars, table } from '../text.ts';

type Budget = Schemas['Budget'];

export function moneyCommands(program: Command, does: Does): void {
  const budget = group(program, 'budget', 'limits over money: list, set');
  budget
    .command('list')
    .description('List budgets with what is spent and held.')
    .action(
      does(async call => {
        const { api } = await call.connect();
        const list = await value(api.GET('/api/v1/budgets'));
        call.print(list, () =>
          list.items.length === 0
            ? 'No budget is set. ./guildhall budget set --organization 100'
            : show(call, list.items),
        );
      }),
    );
  budget
    .command('set')
    .description('Set a limit. What waits for money goes on when it fits now.')
    .argument('<usd>', 'the limit in dollars', amount(0))
    .option('--organization', 'over everything')
    .option('--project <id>', 'over a project')
    .option('--task <id>', 'over a task and all below it')
    .addHelpText(
      'after',
      '\nExamples:\n  ./guildhall budget set --organization 100\n  ./guildhall budget set --task task_01k… 2.50',
    )
    .action(does<{ organization?: boolean; project?: string; task?: string }>(set));
  program
    .command('usage')
    .description('show what the organization has used in all')
    .action(
      does(async call => {
        const { api } = await call.connect();
        const used = await value(api.GET('/api/v1/usage'));
        call.print(used, () => {
          const unpriced =
            used.unpriced_calls > 0 ? `, ${count(used.unpriced_calls, 'call')} without a price` : '';
          return `${dollars(used.cost_micros)}, ${count(used.tokens, 'token')}, ${count(used.calls, 'model call')}${unpriced}`;
        });
      }),
    );
}

async function set(
  call: Call,
  options: { organization?: boolean; project?: string; task?: string },
): Promise<void> {
  const given = [options.organization, options.project, options.task].filter(one => one !== undefined);
  if (given.length !== 1)
    throw usage('scope_missing', 'Say over what: one of --organization, --project <id>, --task <id>.');
  const { api } = await call.connect();
  const [scope, scope_id] = options.task
    ? (['task', options.task] as const)
    : options.project
      ? (['project', options.project] as const)
      : (['organization', (await value(api.GET('/api/v1/me'))).organization_id] as const);
  // Commander has made it a number already.
  const limit_usd = Number(call.args[0]);
  const made = await value(api.PUT('/api/v1/budgets', { body: { scope, scope_id, limit_usd } }));
  call.print(made, () => show(call, [made]));
}

function show(call: Call, budgets: Budget[]): string {
  const rows = budgets.map(b => {
    const left = b.limit_micros - b.spent_micros - b.reserved_micros;
    return [b.scope, b.scope_id, ...[b.limit_micros, b.spent_micros, b.reserved_micros, left].map(dollars)];
  });
  return table(['SCOPE', 'OF', 'LIMIT', 'SPENT', 'HELD', 'LEFT'], rows, call.io.columns);
}
