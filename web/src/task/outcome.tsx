/** What came of a task: its words, what it delivered, or why it stands still. */
import { GitBranch, GitCommitHorizontal } from 'lucide-react';
import { lazy, type ReactNode, Suspense, useState } from 'react';
import type { TaskDetail } from '../api/types.ts';
import { shortCommit, words } from '../format.ts';
import { isOpen, StateIcon, stateLabel } from '../tasks/state.tsx';
import { cn } from '../ui/cn.ts';
import { Command, Id } from '../ui/copy.tsx';
import { Prose } from '../ui/prose.tsx';

const RaiseBudget = lazy(() => import('./raise-budget.tsx'));

export function Outcome({ task }: { task: TaskDetail }): ReactNode {
  const open = isOpen(task.state);
  const still = task.state === 'paused' || (task.state === 'waiting' && task.waiting_on === 'budget');
  if (open && !still && !task.state_reason) return null;
  const good = task.state === 'succeeded';
  return (
    <section aria-label="Outcome" className="border-line border-b px-4 py-4 sm:px-5">
      <div className="flex flex-wrap items-center gap-x-4 gap-y-1">
        <p className="flex items-center gap-2 font-medium">
          <StateIcon state={task.state} waitingOn={task.waiting_on} />
          <span className="inline-block first-letter:uppercase">
            {good && task.delivered_commit ? 'Delivered' : stateLabel(task.state, task.waiting_on)}
            {task.decision && task.decision !== 'done' && (
              <span className="font-normal text-ink-2"> · decision: {words(task.decision)}</span>
            )}
          </span>
        </p>
        {task.delivered_commit && (
          <span className="flex items-center gap-1 text-ink-2 text-sm">
            <GitCommitHorizontal className="size-4 text-ink-3" aria-hidden />
            <Id id={task.delivered_commit} text={shortCommit(task.delivered_commit)} />
          </span>
        )}
        {task.delivered_branch && task.repository?.kind !== 'path' && (
          <span className="flex min-w-0 items-center gap-1 text-ink-2 text-sm">
            <GitBranch className="size-4 shrink-0 text-ink-3" aria-hidden />
            <Id id={task.delivered_branch} text={task.delivered_branch} />
          </span>
        )}
      </div>
      {task.delivered_branch && task.repository?.kind === 'path' && (
        <p className="mt-2 flex flex-wrap items-center gap-2 text-ink-2 text-sm">
          The branch is in your repository: <Command text={`git merge ${task.delivered_branch}`} />
        </p>
      )}
      {task.state_reason && (
        <p className={cn('mt-1.5 break-words', good || open ? 'text-ink-2' : 'text-bad')}>
          {task.state_reason}
        </p>
      )}
      {task.waiting_on === 'budget' && task.budget && (
        <Suspense>
          <RaiseBudget task={task} />
        </Suspense>
      )}
      {task.summary && <Summary text={task.summary} />}
    </section>
  );
}

const longText = 420;

function Summary({ text }: { text: string }): ReactNode {
  const [all, setAll] = useState(false);
  const long = text.length > longText || text.split('\n').length > 6;
  return (
    <div className="mt-2 max-w-3xl">
      <Prose
        text={long && !all ? text.replace(/\n{2,}/g, '\n') : text}
        className={cn('text-ink-2', long && !all && 'line-clamp-4')}
      />
      {long && (
        <button
          type="button"
          aria-expanded={all}
          className="mt-1 h-6 text-accent text-sm hover:underline"
          onClick={() => setAll(!all)}
        >
          {all ? 'Show less' : 'Show all of the summary'}
        </button>
      )}
    </div>
  );
}
