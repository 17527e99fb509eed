/** The checks that the server ran: what was run, on which commit, with which result and what it printed. */
import { useQuery } from '@tanstack/react-query';
import { ChevronRight, CircleCheck, CircleX, ListChecks } from 'lucide-react';
import { type ReactNode, useState } from 'react';
import { checksQuery } from '../api/queries.ts';
import type { Check, TaskDetail, TaskSummary } from '../api/types.ts';
import { duration, shortCommit, words } from '../format.ts';
import { cn } from '../ui/cn.ts';
import { CopyButton } from '../ui/copy.tsx';
import { Empty, ProblemNote, SkeletonRows } from '../ui/feedback.tsx';
import { CodeBlock } from '../ui/prose.tsx';
import { When } from '../ui/time.tsx';

export default function Checks({ task, tree }: { task: TaskDetail; tree: TaskSummary[] }): ReactNode {
  const checks = useQuery(checksQuery(task.id));
  if (checks.isPending) return <SkeletonRows rows={4} className="border-none" />;
  if (checks.isError && !checks.data)
    return <ProblemNote error={checks.error} onRetry={() => void checks.refetch()} className="m-5" />;
  if (checks.data.length === 0) {
    return (
      <Empty icon={<ListChecks aria-hidden />} title="No check has run yet">
        <p>
          The server runs the checks itself, on the commit that is handed in. Nobody’s word is taken for it.
        </p>
      </Empty>
    );
  }
  const titles = new Map(tree.map(each => [each.id, each.title]));
  return (
    <ul className="px-4 py-3 sm:px-5">
      {checks.data.map(check => (
        <CheckRow
          key={check.id}
          check={check}
          of={check.task_id === task.id ? null : (titles.get(check.task_id) ?? null)}
          title={titleOf(check, tree)}
        />
      ))}
    </ul>
  );
}

/** The command; or what kind of check it was, and who made it. */
function titleOf(check: Check, tree: TaskSummary[]): ReactNode {
  if (check.kind === 'command')
    return <code className="break-words font-mono text-ink text-sm">{check.command}</code>;
  const by = tree.find(each => check.command.includes(each.id));
  return (
    <span>
      {check.kind === 'verification' ? 'Verification' : 'Delivery'}
      {by && ` by ${by.agent.name}`}
    </span>
  );
}

function CheckRow({ check, of, title }: { check: Check; of: string | null; title: ReactNode }): ReactNode {
  const [open, setOpen] = useState(!check.passed);
  const Icon = check.passed ? CircleCheck : CircleX;
  return (
    <li className="lazy-paint border-line border-b py-1 last:border-b-0">
      <button
        type="button"
        aria-expanded={open}
        onClick={() => setOpen(!open)}
        className="flex w-full flex-wrap items-center gap-x-2.5 gap-y-0.5 rounded-md py-1.5 text-left hover:bg-hover"
      >
        <ChevronRight className={cn('size-3.5 shrink-0 text-ink-3', open && 'rotate-90')} aria-hidden />
        <Icon
          role="img"
          aria-label={check.passed ? 'passed' : 'failed'}
          className={cn('size-4 shrink-0', check.passed ? 'text-ok' : 'text-bad')}
        />
        <span className="min-w-0 flex-1">{title}</span>
        <span className="tnum flex flex-wrap gap-x-2.5 text-ink-3 text-xs max-sm:w-full max-sm:pl-8">
          <span className={cn(!check.passed && 'font-medium text-bad')}>
            {check.exit_code === null ? words(check.outcome) : `exit ${check.exit_code}`}
          </span>
          <span>{duration(check.duration_ms)}</span>
          {check.commit && <code className="font-mono">{shortCommit(check.commit)}</code>}
          {check.round > 1 && <span>round {check.round}</span>}
          <When time={check.created_at} />
        </span>
      </button>
      {open && (
        <div className="ml-8 animate-fade-in pb-2">
          <p className="flex min-h-6 items-center gap-2 text-ink-3 text-xs">
            {check.kind === 'command' ? 'command' : check.command}
            {of && <span className="truncate">of “{of}”</span>}
            <CopyButton text={check.output} name="Copy the output" className="ml-auto" />
          </p>
          <CodeBlock text={check.output || 'It printed nothing.'} label={`Output of ${check.command}`} />
        </div>
      )}
    </li>
  );
}
