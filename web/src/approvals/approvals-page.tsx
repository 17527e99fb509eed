/** The inbox of what waits for a person, and what was decided before. */
import { useQueries, useQuery } from '@tanstack/react-query';
import { getRouteApi, Link } from '@tanstack/react-router';
import { CircleCheck, CircleX, Inbox, TimerOff } from 'lucide-react';
import type { ReactNode } from 'react';
import { approvalsQuery, taskQuery } from '../api/queries.ts';
import type { Approval } from '../api/types.ts';
import { words } from '../format.ts';
import { cn } from '../ui/cn.ts';
import { Empty, ProblemNote, SkeletonRows } from '../ui/feedback.tsx';
import { PageHead } from '../ui/page.tsx';
import { When } from '../ui/time.tsx';
import { ApprovalCard } from './approval-card.tsx';

const route = getRouteApi('/signed-in/approvals');

export function ApprovalsPage(): ReactNode {
  const decided = route.useSearch().show === 'decided';
  const tab = (active: boolean) =>
    cn(
      'flex h-6.5 items-center rounded px-2.5 text-ink-2 text-sm hover:text-ink',
      active && 'bg-hover font-medium text-ink',
    );
  return (
    <>
      <PageHead title="Approvals">
        <nav aria-label="Filter" className="flex rounded-md border border-line bg-surface p-0.5">
          <Link to="/approvals" replace aria-current={decided ? undefined : 'true'} className={tab(!decided)}>
            Pending
          </Link>
          <Link
            to="/approvals"
            search={{ show: 'decided' }}
            replace
            aria-current={decided ? 'true' : undefined}
            className={tab(decided)}
          >
            Decided
          </Link>
        </nav>
      </PageHead>
      {decided ? <Decided /> : <Pending />}
    </>
  );
}

function Pending(): ReactNode {
  const approvals = useQuery(approvalsQuery('pending'));
  const ids = [...new Set(approvals.data?.map(approval => approval.task_id))];
  const tasks = useQueries({ queries: ids.map(id => taskQuery(id)) });
  if (approvals.isPending) return <SkeletonRows rows={3} />;
  if (approvals.isError && !approvals.data)
    return <ProblemNote error={approvals.error} onRetry={() => void approvals.refetch()} className="m-5" />;
  if (approvals.data.length === 0) {
    return (
      <Empty icon={<Inbox aria-hidden />} title="Nothing waits for you">
        <p>
          When an agent asks a question, or wants to do what the policy does not allow by itself, it appears
          here.
        </p>
      </Empty>
    );
  }
  return (
    <div className="max-w-4xl space-y-4 p-4 sm:p-5">
      {approvals.data.map(approval => (
        <ApprovalCard
          key={approval.id}
          approval={approval}
          task={tasks.find(task => task.data?.id === approval.task_id)?.data}
          linked
        />
      ))}
    </div>
  );
}

const looks = {
  approved: { icon: CircleCheck, ink: 'text-ok' },
  rejected: { icon: CircleX, ink: 'text-bad' },
  expired: { icon: TimerOff, ink: 'text-warn' },
  cancelled: { icon: CircleX, ink: 'text-ink-3' },
};

function Decided(): ReactNode {
  const approvals = useQuery(approvalsQuery('all'));
  if (approvals.isPending) return <SkeletonRows rows={5} />;
  if (approvals.isError && !approvals.data)
    return <ProblemNote error={approvals.error} onRetry={() => void approvals.refetch()} className="m-5" />;
  const decided = approvals.data.filter(
    (approval): approval is Approval & { state: keyof typeof looks } => approval.state !== 'pending',
  );
  if (decided.length === 0) return <Empty icon={<Inbox aria-hidden />} title="Nothing was decided yet" />;
  return (
    <ul aria-label="Decided approvals">
      {decided.map(approval => {
        const { icon: Icon, ink } = looks[approval.state];
        return (
          <li key={approval.id} className="lazy-paint border-line border-b">
            <Link
              to="/tasks/$taskId"
              params={{ taskId: approval.task_id }}
              className="flex gap-3 px-4 py-3 hover:bg-hover focus-visible:-outline-offset-2 sm:px-5"
            >
              <Icon role="img" aria-label={approval.state} className={cn('mt-0.5 size-4 shrink-0', ink)} />
              <span className="min-w-0 flex-1">
                <span className="line-clamp-2">{approval.question}</span>
                <span className="line-clamp-2 text-ink-2 text-sm">
                  {words(approval.state)}
                  {approval.answer ? `: ${approval.answer}` : ''}
                </span>
              </span>
              <When
                time={approval.decided_at ?? approval.created_at}
                className="shrink-0 text-ink-3 text-sm"
              />
            </Link>
          </li>
        );
      })}
    </ul>
  );
}
