/** What a screen shows instead of data: not yet, nothing there, went wrong. */
import { CircleAlert, RotateCw } from 'lucide-react';
import type { ReactNode } from 'react';
import { ApiError } from '../../../sdk/errors.ts';
import { Button } from './button.tsx';
import { cn } from './cn.ts';

/** The shape of what is to come, so that nothing jumps when it does. */
export const Skeleton = ({ className }: { className?: string }) => (
  <div aria-hidden className={cn('animate-pulse rounded bg-hover', className)} />
);

export function SkeletonRows({ rows, className }: { rows: number; className?: string }): ReactNode {
  return (
    <div role="status" aria-label="Loading">
      {Array.from({ length: rows }, (_, index) => (
        <div
          // biome-ignore lint/suspicious/noArrayIndexKey: rows without content have nothing else
          key={index}
          className={cn('flex h-12 items-center gap-3 border-line border-b px-4', className)}
        >
          <Skeleton className="size-4 rounded-full" />
          <Skeleton className={cn('h-3.5', ['w-1/2', 'w-2/5', 'w-3/5'][index % 3])} />
          <Skeleton className="ml-auto h-3.5 w-20" />
        </div>
      ))}
    </div>
  );
}

export function Empty({
  icon,
  title,
  children,
}: {
  icon?: ReactNode;
  title: string;
  children?: ReactNode;
}): ReactNode {
  return (
    <div className="flex flex-col items-center gap-2 px-6 py-14 text-center [&>svg]:size-7 [&>svg]:text-ink-3">
      {icon}
      <p className="font-medium">{title}</p>
      {children && (
        <div className="flex max-w-md flex-col items-center gap-3 text-ink-2 text-sm">{children}</div>
      )}
    </div>
  );
}

/** What the server refused or could not do, in its own words. */
export function ProblemNote({
  error,
  onRetry,
  className,
}: {
  error: unknown;
  onRetry?: () => void;
  className?: string;
}): ReactNode {
  const problem = error instanceof ApiError ? error : null;
  return (
    <div
      role="alert"
      className={cn('flex items-start gap-2.5 rounded-lg bg-bad-soft px-3.5 py-3 text-sm', className)}
    >
      <CircleAlert className="mt-0.5 size-4 shrink-0 text-bad" aria-hidden />
      <div className="min-w-0 flex-1 break-words">
        <p className="text-ink">{problem?.message ?? 'Something went wrong on this page.'}</p>
        <p className="mt-0.5 font-mono text-ink-2 text-xs">
          {problem ? [problem.code, problem.request_id].filter(Boolean).join(' · ') : String(error)}
        </p>
      </div>
      {onRetry && (
        <Button size="small" onClick={onRetry}>
          <RotateCw /> Try again
        </Button>
      )}
    </div>
  );
}
