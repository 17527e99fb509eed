/** What one agent did in a row, in its colour: words, tool calls, notices. */
import { Link } from '@tanstack/react-router';
import { ChevronRight, CircleAlert, Info } from 'lucide-react';
import { memo, type ReactNode, useState } from 'react';
import type { Step, TaskSummary } from '../api/types.ts';
import { absolute, count, duration, money, offset, plural } from '../format.ts';
import { type Group, type Row, sumTurns, textOf } from '../journal.ts';
import { Avatar, laneClass } from '../ui/avatar.tsx';
import { cn } from '../ui/cn.ts';
import { Prose } from '../ui/prose.tsx';
import { AheadRow, PendingRow, ToolRow, toolLine } from './tool-row.tsx';

export function TimelineGroup({
  group,
  task,
  own,
  start,
}: {
  group: Group;
  task: TaskSummary | undefined;
  own: boolean;
  start: number;
}): ReactNode {
  const name = task?.agent.name ?? '';
  const first = group.rows[0];
  const at = group.turns[0]?.started_at ?? (first ? timeOf(first) : null);
  return (
    <li className={cn('relative grid grid-cols-[1.5rem_minmax(0,1fr)] gap-x-3 pb-4', laneClass(name))}>
      <div className="flex flex-col items-center">
        <Avatar name={name} className="size-6" />
        <div className="mt-1 w-0.5 flex-1 rounded-full bg-lane opacity-30" />
      </div>
      <div className="min-w-0">
        <div className="flex min-h-6 items-baseline gap-2 text-sm">
          <span className="font-semibold text-lane">{name}</span>
          {!own && task && (
            <Link
              to="/tasks/$taskId"
              params={{ taskId: task.id }}
              className="min-w-0 truncate text-ink-3 hover:text-ink hover:underline"
            >
              {task.title}
            </Link>
          )}
          <Meter turns={group.turns} />
          {at && (
            <time
              dateTime={at}
              title={absolute(Date.parse(at))}
              className="tnum w-12 shrink-0 text-right text-ink-3 text-xs max-sm:ml-auto"
            >
              {offset(Date.parse(at) - start)}
            </time>
          )}
        </div>
        <ul className="flex flex-col gap-1">
          {group.rows.map(row => (
            <li key={row.key} className="lazy-paint">
              <TimelineRow row={row} />
            </li>
          ))}
        </ul>
      </div>
    </li>
  );
}

const timeOf = (row: Row): string | null =>
  row.kind === 'pending' ? row.since : row.kind === 'ahead' ? null : row.step.started_at;

// A step never changes, so its row is drawn once, however much is appended to the journal.
const TimelineRow = memo(
  function TimelineRow({ row }: { row: Row }): ReactNode {
    switch (row.kind) {
      case 'words':
        return <Prose text={row.text || 'The model answered with nothing.'} className="max-w-3xl py-0.5" />;
      case 'tool':
        return <ToolRow step={row.step} />;
      case 'pending':
        return <PendingRow call={row.call} since={row.since} />;
      case 'ahead':
        return <AheadRow names={row.names} />;
      case 'notice':
        return <Notice step={row.step} text={row.text} />;
    }
  },
  (before, after) => before.row.key === after.row.key && isSame(before.row, after.row),
);

function isSame(a: Row, b: Row): boolean {
  if (a.kind === 'pending' && b.kind === 'pending') return a.since === b.since && a.call.name === b.call.name;
  if (a.kind === 'ahead' && b.kind === 'ahead') return a.names.length === b.names.length;
  return 'step' in a && 'step' in b && a.step === b.step;
}

/** What the model calls took: how many, tokens, money; the time when pointed at. */
function Meter({ turns }: { turns: Step[] }): ReactNode {
  if (turns.length === 0) return <span className="ml-auto" />;
  const { tokens, costMicros, ms } = sumTurns(turns);
  const facts = [
    turns.length > 1 && plural(turns.length, 'turn'),
    `${count(tokens)} tokens`,
    costMicros !== null && money(costMicros),
  ].filter(Boolean);
  return (
    <span
      className="tnum ml-auto shrink-0 text-ink-3 text-xs max-sm:hidden"
      title={`${duration(ms)} of model time, ${[...new Set(turns.map(turn => textOf(turn.data, 'model') || turn.name))].join(', ')}`}
    >
      {facts.join(' · ')}
    </span>
  );
}

/** What the system told the agent: the brief at first, later messages, reports of checks, corrections. */
function Notice({ step, text }: { step: Step; text: string }): ReactNode {
  const [open, setOpen] = useState(false);
  const bad = step.outcome !== 'ok';
  const Icon = bad ? CircleAlert : Info;
  const [first = ''] = text.split('\n');
  const long = text.length > 240 || text.split('\n').length > 3;
  if (!long) {
    return (
      <div className={cn('flex gap-2 rounded-md px-2.5 py-1.5 text-sm', bad ? 'bg-bad-soft' : 'bg-sunken')}>
        <Icon className={cn('mt-0.5 size-4 shrink-0', bad ? 'text-bad' : 'text-ink-3')} aria-hidden />
        <Prose text={text} className="text-ink-2" />
      </div>
    );
  }
  return (
    <div>
      <button
        type="button"
        aria-expanded={open}
        onClick={() => setOpen(!open)}
        className={cn(toolLine, 'hover:bg-hover')}
      >
        <ChevronRight className={cn('text-ink-3 transition-transform', open && 'rotate-90')} aria-hidden />
        <Icon className={bad ? 'text-bad' : 'text-ink-3'} aria-hidden />
        <span className="min-w-0 flex-1 truncate text-ink-2">
          {step.seq === 0 ? 'Received the brief' : first.replace(/^#+ /, '')}
        </span>
      </button>
      {open && (
        <div className="mt-0.5 mb-2 ml-6 animate-fade-in border-line border-l-2 pl-3 text-sm">
          <Prose text={text} className="text-ink-2" />
        </div>
      )}
    </div>
  );
}
