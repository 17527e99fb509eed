/** What the system lacks, with the command that mends it: a task would fail for it, so it stands above everything. */
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { TriangleAlert } from 'lucide-react';
import type { ReactNode } from 'react';
import { healthQuery } from '../api/queries.ts';
import { words } from '../format.ts';
import { cn } from '../ui/cn.ts';
import { Command } from '../ui/copy.tsx';

export function HealthBanner(): ReactNode {
  const { data, error } = useQuery(healthQuery);
  if (error) {
    return <Banner bad>The server does not answer. What you see may be out of date.</Banner>;
  }
  const failed = data?.components.filter(c => c.state === 'failed') ?? [];
  const first = failed.toSorted((a, b) => Number(b.required) - Number(a.required))[0];
  if (!first) return null;
  return (
    <Banner bad={first.required}>
      <span className="min-w-0">
        <strong className="font-semibold capitalize">{words(first.name)}:</strong> {first.summary}
      </span>
      {first.fix && <Command text={first.fix} />}
      {failed.length > 1 && (
        <Link to="/system" className="underline underline-offset-2">
          {failed.length - 1} more
        </Link>
      )}
    </Banner>
  );
}

const Banner = ({ bad, children }: { bad: boolean; children: ReactNode }) => (
  <div
    role="status"
    className={cn(
      'flex flex-wrap items-center gap-x-3 gap-y-1.5 border-line border-b px-4 py-2 text-ink text-sm sm:px-5',
      bad ? 'bg-bad-soft' : 'bg-warn-soft',
    )}
  >
    <TriangleAlert className={cn('size-4 shrink-0', bad ? 'text-bad' : 'text-warn')} aria-hidden />
    {children}
  </div>
);
