/** The tasks of a tree as indented rows: who has which part, and how it stands. */
import { Link } from '@tanstack/react-router';
import { ScanSearch } from 'lucide-react';
import type { ReactNode } from 'react';
import type { TaskSummary } from '../api/types.ts';
import { words } from '../format.ts';
import { StateIcon, stateLabel } from '../tasks/state.tsx';
import { flatten } from '../tree.ts';
import { Avatar } from '../ui/avatar.tsx';
import { cn } from '../ui/cn.ts';
import { SkeletonRows } from '../ui/feedback.tsx';

export function TaskTree({ tree, current }: { tree: TaskSummary[] | undefined; current: string }): ReactNode {
  if (!tree) return <SkeletonRows rows={3} className="border-none" />;
  const rows = flatten(
    tree,
    task => task.id,
    task => task.parent_task_id,
  );
  return (
    <ul className="px-2 py-1.5">
      {rows.map(({ item: task, depth }) => (
        <li key={task.id}>
          <Link
            to="/tasks/$taskId"
            params={{ taskId: task.id }}
            aria-current={task.id === current ? 'page' : undefined}
            style={{ paddingLeft: `${0.5 + Math.min(depth, 8) * 1.125}rem` }}
            className={cn(
              'flex items-start gap-2 rounded-md py-1.5 pr-2 text-sm hover:bg-hover',
              task.id === current && 'bg-hover',
            )}
          >
            <StateIcon state={task.state} waitingOn={task.waiting_on} className="mt-0.5" />
            <span className="min-w-0 flex-1">
              <span className={cn('line-clamp-2', task.id === current && 'font-medium')}>{task.title}</span>
              <span className="mt-0.5 flex flex-wrap items-center gap-x-1.5 text-ink-3 text-xs">
                <Avatar name={task.agent.name} className="size-4 text-[8px]" />
                {task.agent.name}
                {task.kind === 'verification' && (
                  <span className="flex items-center gap-0.5">
                    · <ScanSearch className="size-3" aria-hidden /> verification
                  </span>
                )}
                <span>
                  · {task.decision ? words(task.decision) : stateLabel(task.state, task.waiting_on)}
                </span>
                {task.round > 1 && (
                  <span>
                    · round {task.round} of {task.max_rounds}
                  </span>
                )}
              </span>
            </span>
          </Link>
        </li>
      ))}
    </ul>
  );
}
