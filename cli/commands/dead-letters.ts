/** `guildhall dead-letter …`: runs that could not go on, to inspect and to replay. */
import type { Command } from 'commander';
import { type Schemas, value } from '../../sdk/client.ts';
import { group, idArgument } from '../arguments.ts';
import type { Does } from '../call.ts';
import { indent, table, when } from '../text.ts';

type DeadLetter = Schemas['DeadLetter'];

const replayed = (letter: DeadLetter): string =>
  letter.replayed_at ? `replayed ${when(letter.replayed_at)}` : 'open';

export function deadLetterCommands(program: Command, does: Does): void {
  const letters = group(program, 'dead-letter', 'runs that could not go on: list, show, replay');
  letters
    .command('list')
    .description('List dead letters, newest first.')
    .option('--cursor <cursor>', 'the page after this one')
    .action(
      does<{ cursor?: string }>(async (call, { cursor }) => {
        const { api } = await call.connect();
        const page = await value(api.GET('/api/v1/dead-letters', { params: { query: { cursor } } }));
        call.print(page, () => {
          if (page.items.length === 0) return 'No dead letters.';
          const rows = page.items.map(l => [l.id, l.task_id, l.code, replayed(l), l.reason]);
          const more = page.next_cursor
            ? `\nMore: ./guildhall dead-letter list --cursor ${page.next_cursor}\n`
            : '';
          return table(['DEAD LETTER', 'TASK', 'CODE', 'STATE', 'REASON'], rows, call.io.columns) + more;
        });
      }),
    );
  letters
    .command('show')
    .description('Show why a run could not go on.')
    .argument('<id>')
    .action(
      does(async call => {
        const id = idArgument(call, 'dl', 'dead letter');
        const { api } = await call.connect();
        const letter = await value(api.GET('/api/v1/dead-letters/{id}', { params: { path: { id } } }));
        call.print(
          letter,
          () =>
            `${letter.id}  ${letter.code}, ${replayed(letter)}\nTask ${letter.task_id}, run ${letter.run_id}, ${when(letter.created_at)}\n\n${indent(letter.reason, '  ')}\n`,
        );
      }),
    );
  letters
    .command('replay')
    .description('Try the task again, from the top of its tree.')
    .argument('<id>')
    .action(
      does(async call => {
        const id = idArgument(call, 'dl', 'dead letter');
        const { api } = await call.connect();
        const letter = await value(
          api.POST('/api/v1/dead-letters/{id}/replay', { params: { path: { id } } }),
        );
        call.print(letter, () => `Replayed. Watch it: ./guildhall task watch ${letter.task_id}`);
      }),
    );
}
