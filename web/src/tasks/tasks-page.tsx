/** The list of tasks that people gave, newest first. */
import { useInfiniteQuery } from '@tanstack/react-query';
import { getRouteApi, Link } from '@tanstack/react-router';
import { GitBranch, Inbox, Plus } from 'lucide-react';
import { lazy, type ReactNode, Suspense } from 'react';
import { type TaskFilter, tasksQuery } from '../api/queries.ts';
import type { TaskSummary } from '../api/types.ts';
import { repositoryName, words } from '../format.ts';
import { Avatar } from '../ui/avatar.tsx';
import { Button } from '../ui/button.tsx';
import { cn } from '../ui/cn.ts';
import { Command } from '../ui/copy.tsx';
import { Empty, ProblemNote, SkeletonRows } from '../ui/feedback.tsx';
import { PageHead } from '../ui/page.tsx';
import { When } from '../ui/time.tsx';
import { StateIcon, stateLabel } from './state.tsx';

const NewTaskDialog = lazy(() => import('./new-task-dialog.tsx'));
const route = getRouteApi('/signed-in/');

const filters: { name: TaskFilter; label: string }[] = [
  { name: 'all', label: 'All' },
  { name: 'open', label: 'Open' },
  { name: 'ended', label: 'Ended' },
];

export function TasksPage(): ReactNode {
  const { show = 'all', new: creating } = route.useSearch();
  const navigate = route.useNavigate();
  const setCreating = (open: boolean) =>
    void navigate({ search: old => ({ ...old, new: open || undefined }), replace: !open });
  return (
    <>
      <PageHead title="Tasks">
        <nav aria-label="Filter" className="flex rounded-md border border-line bg-surface p-0.5">
          {filters.map(filter => (
            <Link
              key={filter.name}
              to="/"
              search={filter.name === 'all' ? {} : { show: filter.name }}
              replace
              aria-current={show === filter.name ? 'true' : undefined}
              className={cn(
                'flex h-6.5 items-center rounded px-2.5 text-ink-2 text-sm hover:text-ink',
                show === filter.name && 'bg-hover font-medium text-ink',
              )}
            >
              {filter.label}
            </Link>
          ))}
        </nav>
        <Button look="primary" onClick={() => setCreating(true)}>
          <Plus /> <span className="max-sm:sr-only">New task</span>
        </Button>
      </PageHead>
      <TaskList filter={show} onCreate={() => setCreating(true)} />
      {creating && (
        <Suspense>
          <NewTaskDialog onClose={() => setCreating(false)} />
        </Suspense>
      )}
    </>
  );
}

function TaskList({ filter, onCreate }: { filter: TaskFilter; onCreate: () => void }): ReactNode {
  const tasks = useInfiniteQuery(tasksQuery(filter));
  if (tasks.isPending) return <SkeletonRows rows={8} />;
  if (tasks.isError && !tasks.data)
    return <ProblemNote error={tasks.error} onRetry={() => void tasks.refetch()} className="m-5" />;
  const items = tasks.data.pages.flatMap(page => page.items);
  if (items.length === 0) return <NoTasks filter={filter} onCreate={onCreate} />;
  return (
    <>
      <ul aria-label="Tasks">
        {items.map(task => (
          <TaskRow key={task.id} task={task} />
        ))}
      </ul>
      {tasks.hasNextPage && (
        <div className="flex justify-center p-4">
          <Button disabled={tasks.isFetchingNextPage} onClick={() => void tasks.fetchNextPage()}>
            {tasks.isFetchingNextPage ? 'Loading…' : 'Show older tasks'}
          </Button>
        </div>
      )}
    </>
  );
}

function TaskRow({ task }: { task: TaskSummary }): ReactNode {
  return (
    <li className="lazy-paint border-line border-b">
      <Link
        to="/tasks/$taskId"
        params={{ taskId: task.id }}
        className="flex min-h-12 flex-wrap items-center gap-x-3 gap-y-0.5 px-4 py-2 hover:bg-hover focus-visible:-outline-offset-2 sm:px-5 lg:flex-nowrap"
      >
        <StateIcon state={task.state} waitingOn={task.waiting_on} />
        <span className="min-w-0 flex-1 truncate font-medium">{task.title}</span>
        <span className="flex w-full min-w-0 items-center gap-x-3 pl-7 text-ink-2 text-sm lg:w-auto lg:pl-0">
          <span
            className={cn('shrink-0 lg:w-36', needsPerson(task) ? 'font-medium text-warn' : 'text-ink-3')}
          >
            <span className="inline-block first-letter:uppercase">{outcome(task)}</span>
          </span>
          <span className="hidden min-w-0 items-center gap-1.5 sm:flex lg:w-40">
            {task.repository && (
              <>
                <GitBranch className="size-3.5 shrink-0 text-ink-3" aria-hidden />
                <span
                  className="truncate"
                  title={`${task.repository.location}, branch ${task.repository.branch}`}
                >
                  {repositoryName(task.repository.location)}
                </span>
              </>
            )}
          </span>
          <span className="flex min-w-0 items-center gap-1.5 lg:w-44" title={task.agent.title}>
            <Avatar name={task.agent.name} />
            <span className="truncate">{task.agent.name}</span>
          </span>
          <When
            time={task.created_at}
            className="tnum ml-auto shrink-0 whitespace-nowrap text-right text-ink-3 lg:w-20"
          />
        </span>
      </Link>
    </li>
  );
}

/** Whether it stands still until somebody decides. */
const needsPerson = (task: TaskSummary): boolean =>
  task.state === 'waiting' && ['approval', 'input', 'budget'].includes(task.waiting_on ?? '');

/** The state, and the decision where it says more than the state does. */
function outcome(task: TaskSummary): string {
  const label = stateLabel(task.state, task.waiting_on);
  return task.decision && task.decision !== 'done' ? `${label} · ${words(task.decision)}` : label;
}

function NoTasks({ filter, onCreate }: { filter: TaskFilter; onCreate: () => void }): ReactNode {
  if (filter === 'open') return <Empty icon={<Inbox aria-hidden />} title="Nothing is under way" />;
  if (filter === 'ended') return <Empty icon={<Inbox aria-hidden />} title="Nothing has ended yet" />;
  return (
    <Empty icon={<Inbox aria-hidden />} title="No tasks yet">
      <p>
        Give a team a repository and a request in plain words. It plans, changes the code in a sandbox, has
        the change verified by somebody else, and hands you a branch with the evidence.
      </p>
      <Button look="primary" onClick={onCreate}>
        <Plus /> New task
      </Button>
      <p className="flex flex-wrap items-center justify-center gap-2">
        Or watch one first: <Command text="./guildhall demo" />
      </p>
    </Empty>
  );
}
