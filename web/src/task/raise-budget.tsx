/** A new limit for a task that has used up its money; it goes on at once when the next call fits. */
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { type FormEvent, type ReactNode, useState } from 'react';
import { api, write } from '../api/client.ts';
import { meQuery, taskQuery } from '../api/queries.ts';
import type { TaskDetail } from '../api/types.ts';
import { money } from '../format.ts';
import { Button } from '../ui/button.tsx';
import { ProblemNote } from '../ui/feedback.tsx';
import { Field, Input } from '../ui/field.tsx';

export default function RaiseBudget({ task }: { task: TaskDetail }): ReactNode {
  const queries = useQueryClient();
  const { data: me } = useQuery(meQuery);
  const spent = task.budget?.spent_micros ?? 0;
  const limit = task.budget?.limit_micros ?? 0;
  const [dollars, setDollars] = useState(() => String((Math.max(limit, spent) * 2) / 1_000_000));
  const raise = useMutation({
    mutationFn: () =>
      write(() =>
        api.PUT('/api/v1/budgets', {
          body: { scope: 'task', scope_id: task.id, limit_usd: Number(dollars) },
        }),
      ),
    onSuccess: () => queries.invalidateQueries({ queryKey: taskQuery(task.id).queryKey }),
  });
  function submit(event: FormEvent): void {
    event.preventDefault();
    raise.mutate();
  }
  const enough = Number(dollars) * 1_000_000 > limit;
  return (
    <form onSubmit={submit} className="mt-3 max-w-sm">
      <Field label="New limit in dollars" hint={`${money(spent)} of ${money(limit)} is spent.`}>
        <div className="flex gap-2">
          <Input inputMode="decimal" value={dollars} onChange={e => setDollars(e.target.value)} />
          <Button
            type="submit"
            look="primary"
            disabled={raise.isPending}
            because={
              me?.scopes.includes('admin')
                ? enough
                  ? null
                  : `More than ${money(limit)}, or it stays where it is.`
                : 'Only who administers this installation can raise it.'
            }
          >
            Raise the limit
          </Button>
        </div>
      </Field>
      {raise.error && <ProblemNote error={raise.error} className="mt-3" />}
    </form>
  );
}
