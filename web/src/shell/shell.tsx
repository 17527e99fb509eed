/** The frame around every screen: navigation, the live connection, what is wrong with the system, the palette. */
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Outlet, useNavigate } from '@tanstack/react-router';
import { lazy, type ReactNode, Suspense, useEffect, useState } from 'react';
import { meQuery } from '../api/queries.ts';
import { createFollower } from '../live/follow.ts';
import { type LiveState, openLive } from '../live/stream.ts';
import { HealthBanner } from './health-banner.tsx';
import { Navigation } from './navigation.tsx';
import { WithoutAccess } from './without-access.tsx';

const Palette = lazy(() => import('./palette.tsx'));

export function Shell(): ReactNode {
  const { data: me, refetch } = useQuery(meQuery);
  if (me?.permissions.length === 0) return <WithoutAccess me={me} onRetry={() => void refetch()} />;
  return <Frame />;
}

function Frame(): ReactNode {
  const live = useLive();
  const [palette, setPalette] = useState({ open: false, wanted: false });
  const setOpen = (open: boolean) => setPalette(p => ({ open, wanted: p.wanted || open }));

  useEffect(() => {
    function onKey(event: KeyboardEvent): void {
      if (event.key.toLowerCase() !== 'k' || !(event.metaKey || event.ctrlKey) || event.altKey) return;
      event.preventDefault();
      setPalette(p => ({ open: !p.open, wanted: true }));
    }
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }, []);

  return (
    <div className="min-h-dvh pb-14 md:pb-0 md:pl-52">
      <a
        href="#content"
        className="fixed top-2 left-2 z-50 -translate-y-16 rounded-md bg-accent px-3 py-1.5 text-accent-ink text-sm focus:translate-y-0"
      >
        Skip to content
      </a>
      <Navigation live={live} onPalette={() => setOpen(true)} />
      <main id="content" tabIndex={-1} className="min-w-0 outline-none">
        <HealthBanner />
        <Outlet />
      </main>
      {palette.wanted && (
        <Suspense>
          <Palette open={palette.open} onOpenChange={setOpen} />
        </Suspense>
      )}
    </div>
  );
}

/** Follows the server's events while the page is open. */
function useLive(): LiveState {
  const queries = useQueryClient();
  const navigate = useNavigate();
  const [state, setState] = useState<LiveState>('connecting');
  useEffect(() => {
    const follower = createFollower(queries);
    return openLive({ onEvents: follower.take, onGap: follower.resync, onState: setState });
  }, [queries]);
  useEffect(() => {
    if (state !== 'signed_out') return;
    queries.clear();
    void navigate({ to: '/sign-in' });
  }, [state, queries, navigate]);
  return state;
}
