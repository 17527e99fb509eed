/** An agent's face: two letters in the colour of its lane. */
import type { ReactNode } from 'react';
import { initials, laneOf } from '../format.ts';
import { cn } from './cn.ts';

export const laneClass = (name: string): string => `lane-${laneOf(name)}`;

export function Avatar({ name, className }: { name: string; className?: string }): ReactNode {
  return (
    <span
      aria-hidden
      className={cn(
        laneClass(name),
        'inline-flex size-5 shrink-0 select-none items-center justify-center rounded-full bg-lane-soft font-semibold text-[10px] text-lane',
        className,
      )}
    >
      {initials(name)}
    </span>
  );
}
