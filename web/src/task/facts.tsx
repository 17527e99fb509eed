/** The facts of a task: who, where, how long, how much. A column on wide screens, a short grid on narrow ones. */
import type { ReactNode } from 'react';
import type { TaskDetail } from '../api/types.ts';
import { count, money, plural, repositoryName, shortCommit } from '../format.ts';
import { isOpen } from '../tasks/state.tsx';
import { Avatar } from '../ui/avatar.tsx';
import { cn } from '../ui/cn.ts';
import { Id } from '../ui/copy.tsx';
import { Elapsed, When } from '../ui/time.tsx';

export function Facts({ task, compact }: { task: TaskDetail; compact?: boolean }): ReactNode {
  const { tree_usage: usage, usage: own, repository } = task;
  const open = isOpen(task.state);
  const alone = own.calls === usage.calls;
  return (
    <dl
      className={cn(
        'text-sm',
        compact
          ? 'grid grid-cols-2 gap-x-4 gap-y-2.5 border-line border-b px-4 py-3 sm:grid-cols-4 sm:px-5'
          : 'flex flex-col gap-2.5 px-4 py-4',
      )}
    >
      <Fact name="Agent" compact={compact}>
        <span className="flex items-center gap-1.5" title={task.agent.title}>
          <Avatar name={task.agent.name} /> <span className="truncate">{task.agent.name}</span>
        </span>
      </Fact>
      <Fact name="Time" compact={compact}>
        {task.started_at ? <Elapsed from={task.started_at} to={task.ended_at} /> : 'not started'}
        {open && !compact && (
          <span className="block text-ink-3 text-xs">
            deadline <When time={task.deadline_at} />
          </span>
        )}
      </Fact>
      <Fact name="Cost" compact={compact}>
        <span className="tnum font-medium">{money(usage.cost_micros)}</span>
        <span className="tnum text-ink-3"> · {count(usage.tokens.total)} tokens</span>
        {!compact && (
          <span className="tnum block text-ink-3 text-xs">
            {plural(usage.calls, 'model call')}
            {!alone && `, of the whole tree; ${money(own.cost_micros)} of this task`}
            {usage.unpriced_calls > 0 && ` · ${plural(usage.unpriced_calls, 'call')} without a price`}
          </span>
        )}
      </Fact>
      {task.budget && (
        <Fact name="Budget" compact={compact}>
          <BudgetBar budget={task.budget} />
        </Fact>
      )}
      {repository && (
        <Fact name="Repository" compact={compact}>
          <span className="block truncate" title={repository.location}>
            {repositoryName(repository.location)}
          </span>
          <span className="flex min-w-0 items-center gap-1.5 text-ink-3 text-xs">
            <span className="truncate">{repository.branch}</span> @{' '}
            <Id id={repository.commit} text={shortCommit(repository.commit)} />
          </span>
        </Fact>
      )}
      {!compact && (
        <>
          <Fact name="Round">
            {task.round} of {task.max_rounds}
          </Fact>
          <Fact name="Given">
            <When time={task.created_at} />
            <span className="block truncate text-ink-3 text-xs" title={task.requester}>
              by {task.requester.split(':')[0]}
            </span>
          </Fact>
          <Fact name="Task id">
            <Id id={task.id} />
          </Fact>
        </>
      )}
    </dl>
  );
}

function Fact({
  name,
  compact,
  children,
}: {
  name: string;
  compact?: boolean | undefined;
  children: ReactNode;
}): ReactNode {
  return (
    <div className={compact ? 'min-w-0' : 'grid grid-cols-[5.5rem_minmax(0,1fr)] items-baseline gap-2'}>
      <dt className={cn('text-ink-3', compact && 'text-xs')}>{name}</dt>
      <dd className="min-w-0">{children}</dd>
    </div>
  );
}

function BudgetBar({ budget }: { budget: NonNullable<TaskDetail['budget']> }): ReactNode {
  const { limit_micros: limit, spent_micros: spent, reserved_micros: reserved } = budget;
  const part = (amount: number) => (limit > 0 ? Math.min(100, (100 * amount) / limit) : 100);
  const used = part(spent);
  const tone = used >= 95 ? 'bg-bad' : used >= 80 ? 'bg-warn' : 'bg-accent';
  return (
    <>
      <span className="tnum">
        {money(spent)} <span className="text-ink-3">of {money(limit)}</span>
      </span>
      <div
        title={reserved > 0 ? `${money(reserved)} more is reserved for calls under way` : undefined}
        className="mt-1 flex h-1.5 overflow-hidden rounded-full bg-hover"
      >
        <div className={tone} style={{ width: `${used}%` }} />
        <div
          className={cn(tone, 'opacity-35')}
          style={{ width: `${Math.min(100 - used, part(reserved))}%` }}
        />
      </div>
    </>
  );
}
