/** States as icon, colour and word: never by colour alone. One table for every place that shows one. */
import {
  Ban,
  Circle,
  CircleAlert,
  CircleCheck,
  CircleDashed,
  CirclePause,
  CircleX,
  Hourglass,
  LoaderCircle,
  type LucideIcon,
  ScanSearch,
  TimerOff,
} from 'lucide-react';
import type { ReactNode } from 'react';
import type { TaskState, TaskSummary } from '../api/types.ts';
import { words } from '../format.ts';
import { cn } from '../ui/cn.ts';

type Tone = 'idle' | 'live' | 'ok' | 'bad' | 'warn';

const looks: Record<TaskState, { icon: LucideIcon; tone: Tone; spins?: boolean }> = {
  draft: { icon: CircleDashed, tone: 'idle' },
  queued: { icon: Circle, tone: 'idle' },
  running: { icon: LoaderCircle, tone: 'live', spins: true },
  waiting: { icon: Hourglass, tone: 'warn' },
  paused: { icon: CirclePause, tone: 'warn' },
  in_review: { icon: ScanSearch, tone: 'live' },
  succeeded: { icon: CircleCheck, tone: 'ok' },
  failed: { icon: CircleX, tone: 'bad' },
  cancelled: { icon: Ban, tone: 'idle' },
  timed_out: { icon: TimerOff, tone: 'bad' },
  dead_letter: { icon: CircleAlert, tone: 'bad' },
};

const inks: Record<Tone, string> = {
  idle: 'text-ink-3',
  live: 'text-accent',
  ok: 'text-ok',
  bad: 'text-bad',
  warn: 'text-warn',
};
const fills: Record<Tone, string> = {
  idle: 'bg-hover',
  live: 'bg-accent-soft',
  ok: 'bg-ok-soft',
  bad: 'bg-bad-soft',
  warn: 'bg-warn-soft',
};

/** Waiting for its own children is work under way, not something that stands still. */
const lookOf = (state: TaskState, waitingOn?: TaskSummary['waiting_on']) =>
  state === 'waiting' && waitingOn === 'children'
    ? { ...looks.waiting, tone: 'live' as const }
    : looks[state];

const waits: Record<NonNullable<TaskSummary['waiting_on']>, string> = {
  approval: 'needs approval',
  input: 'needs an answer',
  children: 'waiting for team',
  dependency: 'waiting for a task',
  budget: 'out of budget',
  time: 'waiting for time',
};

export function stateLabel(state: TaskState, waitingOn?: TaskSummary['waiting_on']): string {
  return state === 'waiting' && waitingOn ? waits[waitingOn] : words(state);
}

export interface StateProps {
  state: TaskState;
  waitingOn?: TaskSummary['waiting_on'];
  className?: string;
}

export function StateIcon({ state, waitingOn, className }: StateProps): ReactNode {
  const look = lookOf(state, waitingOn);
  const Icon = look.icon;
  return (
    <Icon
      role="img"
      aria-label={stateLabel(state, waitingOn)}
      className={cn(
        'size-4 shrink-0',
        inks[look.tone],
        look.spins && 'animate-spin [animation-duration:2.4s]',
        className,
      )}
    />
  );
}

export function StateBadge({ state, waitingOn, className }: StateProps): ReactNode {
  const look = lookOf(state, waitingOn);
  const Icon = look.icon;
  return (
    <span
      className={cn(
        'inline-flex h-6 shrink-0 items-center gap-1.5 rounded-full pr-2.5 pl-2 font-medium text-xs',
        fills[look.tone],
        inks[look.tone],
        className,
      )}
    >
      <Icon aria-hidden className={cn('size-3.5', look.spins && 'animate-spin [animation-duration:2.4s]')} />
      <span className="inline-block first-letter:uppercase">{stateLabel(state, waitingOn)}</span>
    </span>
  );
}

const openStates: readonly TaskState[] = ['draft', 'queued', 'running', 'waiting', 'paused', 'in_review'];
export const isOpen = (state: TaskState): boolean => openStates.includes(state);
