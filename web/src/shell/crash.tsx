/** Where the page ends when it cannot go on: with what happened and a way back. */
import { Link, useRouter } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import { Button } from '../ui/button.tsx';
import { Empty, ProblemNote } from '../ui/feedback.tsx';

export function Crash({ error }: { error: unknown }): ReactNode {
  const router = useRouter();
  return (
    <main className="mx-auto max-w-xl px-4 py-16">
      <h1 className="mb-3 font-semibold text-xl">This screen could not be shown</h1>
      <ProblemNote error={error} onRetry={() => void router.invalidate()} />
    </main>
  );
}

export function NotFound(): ReactNode {
  return (
    <main className="py-10">
      <Empty title="There is no such page">
        <Button asChild>
          <Link to="/">To the tasks</Link>
        </Button>
      </Empty>
    </main>
  );
}
