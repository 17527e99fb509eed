/** The head of a task: where it stands in its tree, its state, and the four things a person may do with it. */
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { Ban, ChevronRight, Pause, Play, RotateCcw } from 'lucide-react';
import { lazy, type ReactNode, Suspense, useState } from 'react';
import { api, write } from '../api/client.ts';
import { taskQuery } from '../api/queries.ts';
import type { TaskAction, TaskDetail, TaskSummary } from '../api/types.ts';
import { StateBadge, StateIcon } from '../tasks/state.tsx';
import { Button } from '../ui/button.tsx';
import { notify } from '../ui/toast.tsx';

const Confirm = lazy(() => import('../ui/confirm.tsx'));

export function TaskHeader({ task, tree }: { task: TaskDetail; tree: TaskSummary[] }): ReactNode {
  return (
    <header className="sticky top-12 z-20 flex min-h-12 flex-wrap items-center gap-x-3 gap-y-1.5 border-line border-b bg-canvas px-4 py-2 sm:px-5 md:top-0">
      <div className="flex min-w-0 flex-1 items-center gap-1.5">
        <Trail task={task} tree={tree} />
        <StateIcon state={task.state} waitingOn={task.waiting_on} className="sm:hidden" />
        <h1
          className="line-clamp-2 min-w-0 font-semibold text-lg leading-tight sm:line-clamp-1"
          title={task.title}
        >
          {task.title}
        </h1>
        <StateBadge state={task.state} waitingOn={task.waiting_on} className="ml-1.5 max-sm:hidden" />
      </div>
      <Actions task={task} />
    </header>
  );
}

function Trail({ task, tree }: { task: TaskDetail; tree: TaskSummary[] }): ReactNode {
  const above: TaskSummary[] = [];
  let parent = tree.find(each => each.id === task.parent_task_id);
  while (parent && above.length < 20) {
    above.unshift(parent);
    const { parent_task_id: next } = parent;
    parent = tree.find(each => each.id === next);
  }
  const style = 'shrink truncate text-ink-3 text-sm hover:text-ink';
  return (
    <nav
      aria-label="Where this task stands"
      className="flex min-w-0 max-w-[45%] items-center gap-1.5 max-sm:hidden"
    >
      <Link to="/" className={style}>
        Tasks
      </Link>
      {above.map(each => (
        <span key={each.id} className="flex min-w-0 items-center gap-1.5">
          <ChevronRight className="size-3.5 shrink-0 text-ink-3" aria-hidden />
          <Link to="/tasks/$taskId" params={{ taskId: each.id }} className={style} title={each.title}>
            {each.title}
          </Link>
        </span>
      ))}
      <ChevronRight className="size-3.5 shrink-0 text-ink-3" aria-hidden />
    </nav>
  );
}

export const actionLooks = {
  pause: { label: 'Pause', icon: Pause, done: 'Paused after the step under way' },
  resume: { label: 'Resume', icon: Play, done: 'Resumed' },
  retry: { label: 'Retry', icon: RotateCcw, done: 'Tried again' },
  cancel: { label: 'Cancel', icon: Ban, done: 'Cancelled' },
} as const;

export function useTaskAction(id: string) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (action: TaskAction) =>
      write(() => api.POST(`/api/v1/tasks/{id}/${action}`, { params: { path: { id } }, body: {} })),
    onSuccess: (task, action) => {
      queries.setQueryData(taskQuery(id).queryKey, task);
      void queries.invalidateQueries({ queryKey: ['tree', task.root_task_id] });
      void queries.invalidateQueries({ queryKey: ['approvals'] });
      void notify(actionLooks[action].done);
    },
    onError: error => {
      void notify(error.message, 'failed');
      void queries.invalidateQueries({ queryKey: taskQuery(id).queryKey });
    },
  });
}

function Actions({ task }: { task: TaskDetail }): ReactNode {
  const [asking, setAsking] = useState(false);
  const act = useTaskAction(task.id);
  // Pause and resume share one place: never both make sense.
  const shown: TaskAction[] = [task.actions.resume === null ? 'resume' : 'pause', 'retry', 'cancel'];
  return (
    <div className="flex items-center gap-1.5">
      {shown.map(action => {
        const { label, icon: Icon } = actionLooks[action];
        return (
          <Button
            key={action}
            size="small"
            aria-label={label}
            className="max-sm:size-8 max-sm:px-0"
            because={task.actions[action]}
            disabled={act.isPending}
            onClick={() => (action === 'cancel' ? setAsking(true) : act.mutate(action))}
          >
            <Icon /> <span className="max-sm:hidden">{label}</span>
          </Button>
        );
      })}
      {asking && (
        <Suspense>
          <Confirm
            open
            onOpenChange={setAsking}
            title="Cancel this task?"
            description="Whatever runs for it is stopped, and all tasks below it are cancelled too. What was committed stays in the history."
            confirm="Cancel the task"
            onConfirm={() => act.mutate('cancel')}
          />
        </Suspense>
      )}
    </div>
  );
}
