/** Where one is signed in: each place can be signed out from here, and all of them at once. */
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { type ReactNode, useState } from 'react';
import { api, write } from '../api/client.ts';
import { sessionsQuery } from '../api/queries.ts';
import type { Session } from '../api/types.ts';
import { Button } from '../ui/button.tsx';
import Confirm from '../ui/confirm.tsx';
import { ProblemNote, SkeletonRows } from '../ui/feedback.tsx';
import { Section } from '../ui/page.tsx';
import { When } from '../ui/time.tsx';
import { notify } from '../ui/toast.tsx';
import { deviceOf } from './device.ts';

export function Sessions(): ReactNode {
  const queries = useQueryClient();
  const navigate = useNavigate();
  const sessions = useQuery(sessionsQuery);
  const [asking, setAsking] = useState(false);
  const endAll = useMutation({
    mutationFn: () => write(() => api.POST('/api/v1/sessions/end-all')),
    onSuccess: () => {
      queries.clear();
      void navigate({ to: '/sign-in' });
    },
    onError: error => notify(error.message, 'failed'),
  });
  return (
    <Section
      title="Sessions"
      side={
        <Button size="small" onClick={() => setAsking(true)}>
          Sign out everywhere
        </Button>
      }
    >
      {sessions.isPending && <SkeletonRows rows={2} className="border-none" />}
      {sessions.isError && <ProblemNote error={sessions.error} onRetry={() => void sessions.refetch()} />}
      {sessions.data && (
        <ul className="divide-y divide-line rounded-lg border border-line bg-surface">
          {sessions.data.map(session => (
            <Row key={session.id} session={session} />
          ))}
        </ul>
      )}
      <Confirm
        open={asking}
        onOpenChange={setAsking}
        title="Sign out everywhere?"
        description="All of your sessions end at once, this one too."
        confirm="Sign out everywhere"
        onConfirm={() => endAll.mutate()}
      />
    </Section>
  );
}

function Row({ session }: { session: Session }): ReactNode {
  const queries = useQueryClient();
  const device = deviceOf(session.user_agent);
  const end = useMutation({
    mutationFn: () =>
      write(() => api.DELETE('/api/v1/sessions/{id}', { params: { path: { id: session.id } } })),
    onError: error => notify(error.message, 'failed'),
    onSettled: () => queries.invalidateQueries({ queryKey: sessionsQuery.queryKey }),
  });
  return (
    <li className="flex flex-wrap items-center gap-x-3 gap-y-1 px-4 py-2.5">
      <span className="min-w-0 flex-1 basis-48">
        <span className="font-medium">{device}</span>
        {session.current && (
          <span className="ml-2 rounded bg-ok-soft px-1.5 py-0.5 text-ok text-xs">this one</span>
        )}
        <span className="block break-words text-ink-3 text-sm">
          by {session.method}
          {session.address && `, from ${session.address}`}, since <When time={session.created_at} />
        </span>
      </span>
      {!session.current && (
        <Button
          size="small"
          look="quiet"
          aria-label={`End the session on ${device}`}
          disabled={end.isPending}
          onClick={() => end.mutate()}
        >
          End
        </Button>
      )}
    </li>
  );
}
