/**
 * The history of a task and all below it, as it happens. While the task is open the page follows its end, until
 * somebody scrolls up. Long histories are drawn in parts: the newest while it runs, the beginning when it is over.
 */
import { useQuery } from '@tanstack/react-query';
import { ArrowDown } from 'lucide-react';
import { type ReactNode, useMemo, useState } from 'react';
import { journalQuery } from '../api/queries.ts';
import type { TaskDetail, TaskSummary } from '../api/types.ts';
import { plural } from '../format.ts';
import { buildGroups, type Group, type Row } from '../journal.ts';
import { isOpen } from '../tasks/state.tsx';
import { Avatar } from '../ui/avatar.tsx';
import { Button } from '../ui/button.tsx';
import { Empty, ProblemNote, SkeletonRows } from '../ui/feedback.tsx';
import { TimelineGroup } from './timeline-group.tsx';
import { useFollow } from './use-follow.ts';

const part = 300;

export function Timeline({ task, tree }: { task: TaskDetail; tree: TaskSummary[] }): ReactNode {
  const journal = useQuery(journalQuery(task.root_task_id));
  const tasks = useMemo(() => new Map(tree.map(each => [each.id, each])), [tree]);
  const groups = useMemo(() => {
    const steps = journal.data?.filter(step => tasks.has(step.task_id)) ?? [];
    return buildGroups(steps, id => isOpen(tasks.get(id)?.state ?? 'failed'));
  }, [journal.data, tasks]);
  if (journal.isPending) return <SkeletonRows rows={6} className="border-none" />;
  if (journal.isError && !journal.data)
    return <ProblemNote error={journal.error} onRetry={() => void journal.refetch()} className="m-5" />;
  return <Groups groups={groups} task={task} tasks={tasks} />;
}

function Groups({
  groups,
  task,
  tasks,
}: {
  groups: Group[];
  task: TaskDetail;
  tasks: ReadonlyMap<string, TaskSummary>;
}): ReactNode {
  const open = isOpen(task.state);
  const total = groups.reduce((sum, group) => sum + group.rows.length, 0);
  // Decided once: what is on the screen must not slide away when the task ends.
  const [shown, setShown] = useState(() =>
    open ? { from: Math.max(0, total - part), to: Number.POSITIVE_INFINITY } : { from: 0, to: part },
  );
  // Who must decide something should see the question, which stands above.
  const asked = task.waiting_on === 'approval' || task.waiting_on === 'input';
  const { following, unseen, jump } = useFollow(open && total > 0, total, !asked);
  const start = Date.parse(task.started_at ?? task.created_at);
  const hidden = Math.max(0, total - shown.to);
  if (total === 0)
    return open ? (
      <Working tasks={tasks} groups={groups} />
    ) : (
      <Empty title="Nothing was done for this task" />
    );
  return (
    <div className="px-4 pt-3 pb-10 sm:px-5">
      {shown.from > 0 && (
        <More count={shown.from} onClick={() => setShown(s => ({ ...s, from: Math.max(0, s.from - part) }))}>
          earlier
        </More>
      )}
      <ol aria-label="Timeline">
        {sliceGroups(groups, shown.from, shown.to).map(group => (
          <TimelineGroup
            key={group.key}
            group={group}
            task={tasks.get(group.taskId)}
            own={group.taskId === task.id}
            start={start}
          />
        ))}
      </ol>
      {hidden > 0 && (
        <More count={hidden} onClick={() => setShown(s => ({ ...s, to: s.to + part }))}>
          later
        </More>
      )}
      {open && <Working tasks={tasks} groups={groups} />}
      {open && !following && !(asked && unseen === 0) && (
        <div className="pointer-events-none sticky bottom-18 flex justify-center md:bottom-4">
          <Button
            look="primary"
            size="small"
            className="pointer-events-auto rounded-full px-3 shadow-pop"
            onClick={jump}
          >
            <ArrowDown /> {unseen > 0 ? plural(unseen, 'new step') : 'Follow'}
          </Button>
        </div>
      )}
    </div>
  );
}

const More = ({ count, onClick, children }: { count: number; onClick: () => void; children: string }) => (
  <div className="flex justify-center py-2">
    <Button size="small" onClick={onClick}>
      {plural(count, `${children} step`)}: show {count > part ? part : 'all'}
    </Button>
  </div>
);

/** Who is thinking now: open, running, and with no call under way. */
function Working({ tasks, groups }: { tasks: ReadonlyMap<string, TaskSummary>; groups: Group[] }): ReactNode {
  const calling = new Set(
    groups.filter(group => group.rows.some(row => row.kind === 'pending')).map(group => group.taskId),
  );
  const all = [...tasks.values()];
  const thinking = all.filter(task => task.state === 'running' && !calling.has(task.id));
  const queued = all.every(task => task.state === 'queued');
  if (thinking.length === 0 && !queued) return null;
  return (
    <div className="flex flex-col gap-2 px-4 py-4 first:pt-5 sm:px-5 [ol+&]:px-0" role="status">
      {queued && <p className="text-ink-3">Waiting for a worker to begin.</p>}
      {thinking.map(task => (
        <p key={task.id} className="flex items-center gap-2.5 text-ink-2 text-sm">
          <Avatar name={task.agent.name} className="size-6" />
          {task.agent.name} is thinking <Dots />
        </p>
      ))}
    </div>
  );
}

const Dots = () => (
  <span aria-hidden className="flex gap-0.5">
    {[0, 200, 400].map(delay => (
      <span
        key={delay}
        className="size-1 animate-pulse rounded-full bg-ink-3"
        style={{ animationDelay: `${delay}ms` }}
      />
    ))}
  </span>
);

/** Rows `from` to `to` of all groups together. */
export function sliceGroups(groups: readonly Group[], from: number, to: number): Group[] {
  const slice: Group[] = [];
  let at = 0;
  for (const group of groups) {
    const rows: Row[] = group.rows.slice(Math.max(0, from - at), Math.max(0, to - at));
    const first = rows[0];
    if (rows.length === group.rows.length && at >= from && at < to) slice.push(group);
    else if (first) slice.push({ ...group, key: first.key, rows });
    at += group.rows.length;
  }
  return slice;
}
