/** What an agent is doing now, as icon, colour and word. */
import { CircleDashed, CirclePause, LoaderCircle, LogOut, type LucideIcon } from 'lucide-react';
import type { ReactNode } from 'react';
import type { Agent } from '../api/types.ts';
import { cn } from '../ui/cn.ts';

const looks: Record<Agent['state'], { icon: LucideIcon; ink: string; spins?: boolean }> = {
  idle: { icon: CircleDashed, ink: 'text-ink-3' },
  busy: { icon: LoaderCircle, ink: 'text-accent', spins: true },
  draining: { icon: LogOut, ink: 'text-warn' },
  paused: { icon: CirclePause, ink: 'text-warn' },
};

export function AgentState({ agent }: { agent: Agent }): ReactNode {
  const { icon: Icon, ink, spins } = looks[agent.state];
  return (
    <span className={cn('flex w-20 shrink-0 items-center gap-1.5 text-xs', ink)}>
      <Icon className={cn('size-3.5', spins && 'animate-spin [animation-duration:2.4s]')} aria-hidden />
      {agent.state}
      {agent.open_runs > 1 && ` · ${agent.open_runs}`}
    </span>
  );
}
