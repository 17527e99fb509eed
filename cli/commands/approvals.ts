/** `guildhall approval …`: what waits for a person, and deciding it. */
import { isCancel, select, text } from '@clack/prompts';
import type { Command } from 'commander';
import { type Schemas, value } from '../../sdk/client.ts';
import { group, idArgument } from '../arguments.ts';
import type { Call, Does } from '../call.ts';
import { exitCodes, usage } from '../failures.ts';
import { indent, plain, when } from '../text.ts';

type Approval = Schemas['Approval'];

const states = ['pending', 'approved', 'rejected', 'expired', 'cancelled', 'all'] as const;

export function approvalCommands(program: Command, does: Does): void {
  const approval = group(program, 'approval', 'what waits for a person: list, approve, reject');
  approval
    .command('list')
    .description('List what waits for a decision.')
    .option('--state <state>', `one of ${states.join(', ')}; default pending`)
    .action(
      does<{ state?: string }>(async (call, options) => {
        const state = states.find(name => name === (options.state ?? 'pending'));
        if (!state) throw usage('state_unknown', `--state must be one of ${states.join(', ')}.`);
        const { api } = await call.connect();
        const list = await value(api.GET('/api/v1/approvals', { params: { query: { state } } }));
        call.print(list, () =>
          list.items.length === 0
            ? 'Nothing waits for a decision.'
            : list.items.map(one => show(call, one)).join('\n'),
        );
      }),
    );
  approval
    .command('approve')
    .description('Allow it, or answer the question.')
    .argument('<id>')
    .argument('[answer...]', 'the answer to a question')
    .addHelpText('after', '\nExample:\n  ./guildhall approval approve apr_01k… "Use the second option"')
    .action(does(call => decide(call, 'approve')));
  approval
    .command('reject')
    .description('Refuse it; the agent goes on from the reason.')
    .argument('<id>')
    .argument('<reason...>')
    .action(does(call => decide(call, 'reject')));
}

async function decide(call: Call, verb: 'approve' | 'reject'): Promise<number> {
  const id = idArgument(call, 'apr', 'approval');
  const { api } = await call.connect();
  const params = { path: { id } };
  let answer = call.args
    .slice(1)
    .filter(word => word !== undefined)
    .join(' ')
    .trim();
  if (answer === '' && verb === 'approve' && call.io.interactive && !call.json) {
    const asked = await value(api.GET('/api/v1/approvals/{id}', { params }));
    const given = asked.kind === 'question' && asked.state === 'pending' ? await ask(asked) : '';
    if (given === null) return exitCodes.failed;
    answer = given;
  }
  const decided = await value(api.POST(`/api/v1/approvals/{id}/${verb}`, { params, body: { text: answer } }));
  call.print(decided, () => `${id} is ${decided.state}; task ${decided.task_id} goes on.`);
  return exitCodes.ok;
}

/** Puts the agent's question to whoever sits at the terminal; null when they turn away. */
async function ask(approval: Approval): Promise<string | null> {
  const message = plain(approval.question);
  const given =
    approval.options.length > 0
      ? await select({
          message,
          options: approval.options.map(option => ({ value: option, label: plain(option) })),
        })
      : await text({
          message,
          validate: given => (given?.trim() ? undefined : 'Give the answer, or press Ctrl-C.'),
        });
  return isCancel(given) ? null : given;
}

function show(call: Call, approval: Approval): string {
  const kind = approval.kind === 'question' ? 'question' : 'permission';
  const options =
    approval.options.length > 0 ? `\n    One of: ${approval.options.map(plain).join(' | ')}` : '';
  const end =
    approval.state === 'pending'
      ? `expires ${when(approval.expires_at)}`
      : `${approval.state} ${when(approval.decided_at)}${approval.answer ? `: ${plain(approval.answer)}` : ''}`;
  return `${call.io.styleOut('bold', approval.id)}  ${kind} of ${approval.task_id}, ${end}\n${indent(approval.question, '    ')}${options}\n`;
}
