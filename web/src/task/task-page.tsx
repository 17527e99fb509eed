/** One task: what became of it, what it waits for, and its history, change, checks and brief. */
import { useQuery } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { lazy, type ReactNode, Suspense } from 'react';
import { ApiError } from '../api/client.ts';
import { approvalsQuery, checksQuery, taskQuery, treeQuery } from '../api/queries.ts';
import type { TaskDetail, TaskSummary } from '../api/types.ts';
import { ApprovalCard } from '../approvals/approval-card.tsx';
import { Empty, ProblemNote, Skeleton, SkeletonRows } from '../ui/feedback.tsx';
import { useTitle } from '../ui/page.tsx';
import { TabPanel, Tabs } from '../ui/tabs.tsx';
import { useMedia } from '../ui/use-media.ts';
import { Facts } from './facts.tsx';
import { TaskHeader } from './header.tsx';
import { Outcome } from './outcome.tsx';
import { subtreeOf } from './subtree.ts';
import type { TaskTab } from './tabs.ts';
import { Timeline } from './timeline.tsx';
import { TaskTree } from './tree.tsx';

const Changes = lazy(() => import('./changes.tsx'));
const Checks = lazy(() => import('./checks.tsx'));
const Brief = lazy(() => import('./brief.tsx'));
const Messages = lazy(() => import('./messages.tsx'));
const route = getRouteApi('/signed-in/tasks/$taskId');

export function TaskPage(): ReactNode {
  const { taskId } = route.useParams();
  const task = useQuery(taskQuery(taskId));
  useTitle(task.data?.title);
  if (task.isPending) return <Loading />;
  if (!task.data) {
    const missing = task.error instanceof ApiError && [404, 422].includes(task.error.status);
    return missing ? (
      <Empty title="There is no such task" />
    ) : (
      <ProblemNote error={task.error} onRetry={() => void task.refetch()} className="m-5" />
    );
  }
  return <Loaded key={taskId} task={task.data} />;
}

function Loaded({ task }: { task: TaskDetail }): ReactNode {
  const { tab: wanted = 'timeline' } = route.useSearch();
  const navigate = route.useNavigate();
  const wide = useMedia('(min-width: 1100px)');
  const { data: tree } = useQuery(treeQuery(task.root_task_id));
  const { data: checks } = useQuery(checksQuery(task.id));
  const mine = tree ? subtreeOf(tree, task.id) : [task];
  const tab = wide && wanted === 'tree' ? 'timeline' : wanted;
  const failed = checks?.filter(check => !check.passed).length ?? 0;
  const tabs: { name: TaskTab; label: string; count?: number | null; tone?: 'bad' }[] = [
    { name: 'timeline', label: 'Timeline' },
    { name: 'changes', label: 'Changes' },
    {
      name: 'checks',
      label: 'Checks',
      count: checks?.length || null,
      ...(failed > 0 && task.state !== 'succeeded' ? { tone: 'bad' as const } : {}),
    },
    { name: 'brief', label: 'Brief' },
    { name: 'messages', label: 'Messages' },
  ];
  if (!wide) tabs.push({ name: 'tree', label: 'Tree', count: tree?.length ?? null });
  return (
    <>
      <TaskHeader task={task} tree={tree ?? []} />
      <div className="min-[1100px]:grid min-[1100px]:grid-cols-[minmax(0,1fr)_20rem]">
        <div className="min-w-0">
          <Above task={task} mine={mine} />
          {!wide && <Facts task={task} compact />}
          <Tabs
            label="Views of the task"
            tabs={tabs}
            value={tab}
            onChange={name =>
              void navigate({
                search: name === 'timeline' ? {} : { tab: name },
                replace: true,
                resetScroll: false,
              })
            }
          >
            <TabPanel name="timeline">
              <Timeline task={task} tree={mine} />
            </TabPanel>
            <Suspense fallback={<SkeletonRows rows={4} />}>
              <TabPanel name="changes">
                <Changes task={task} />
              </TabPanel>
              <TabPanel name="checks">
                <Checks task={task} tree={mine} />
              </TabPanel>
              <TabPanel name="brief">
                <Brief task={task} />
              </TabPanel>
              <TabPanel name="messages">
                <Messages task={task} />
              </TabPanel>
            </Suspense>
            <TabPanel name="tree">
              <TaskTree tree={tree} current={task.id} />
            </TabPanel>
          </Tabs>
        </div>
        {wide && (
          <aside
            aria-label="About the task"
            className="sticky top-12 h-[calc(100dvh-3rem)] overflow-y-auto border-line border-l"
          >
            <Facts task={task} />
            <h2 className="border-line border-t px-4 pt-4 pb-1 font-semibold text-ink-2 text-sm">
              Tasks of the team
            </h2>
            <TaskTree tree={tree} current={task.id} />
          </aside>
        )}
      </div>
    </>
  );
}

/** What needs a person, and what came of it, before everything else. */
function Above({ task, mine }: { task: TaskDetail; mine: TaskSummary[] }): ReactNode {
  const { data: pending } = useQuery(approvalsQuery('pending'));
  const ids = new Set(mine.map(each => each.id));
  const asked = pending?.filter(approval => ids.has(approval.task_id)) ?? [];
  return (
    <>
      {asked.length > 0 && (
        <section aria-label="Waiting for you" className="space-y-3 border-line border-b p-4 sm:px-5">
          {asked.map(approval => (
            <ApprovalCard
              key={approval.id}
              approval={approval}
              task={mine.find(each => each.id === approval.task_id)}
            />
          ))}
        </section>
      )}
      <Outcome task={task} />
    </>
  );
}

function Loading(): ReactNode {
  return (
    <div role="status" aria-label="Loading">
      <div className="flex h-12 items-center gap-3 border-line border-b px-5">
        <Skeleton className="size-4 rounded-full" />
        <Skeleton className="h-4 w-1/3" />
      </div>
      <div className="h-10 border-line border-b" />
      <SkeletonRows rows={6} className="border-none" />
    </div>
  );
}
