/** Starts the page: the query client, the router, and the way to sign-in when the session is gone. */
import { MutationCache, QueryCache, QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { RouterProvider } from '@tanstack/react-router';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { ApiError } from './api/client.ts';
import './app.css';
import { createPageRouter } from './routes.tsx';
import { TipProvider } from './ui/tip.tsx';
import { Toasts } from './ui/toast.tsx';

const queryClient: QueryClient = new QueryClient({
  queryCache: new QueryCache({ onError: toSignIn }),
  mutationCache: new MutationCache({ onError: toSignIn }),
  defaultOptions: {
    queries: {
      staleTime: 10_000,
      // A refusal stays one; only an unreachable or overloaded server is asked again.
      retry: (failures, error) =>
        failures < 2 && error instanceof ApiError && (error.status === 0 || error.status >= 502),
    },
  },
});
const router = createPageRouter(queryClient);

function toSignIn(error: unknown): void {
  // Not every 401: a wrong code while one is signed in is one too.
  if (!(error instanceof ApiError && error.code === 'sign_in_required')) return;
  if (router.state.location.pathname === '/sign-in') return;
  queryClient.clear();
  void router.navigate({ to: '/sign-in' });
}

// After an upgrade of the server, parts of the page as it was loaded are gone: load the new one, but not in circles.
addEventListener('vite:preloadError', event => {
  const last = Number(sessionStorage.getItem('guildhall.reloaded') ?? 0);
  if (Date.now() - last < 10_000) return;
  sessionStorage.setItem('guildhall.reloaded', String(Date.now()));
  event.preventDefault();
  location.reload();
});

createRoot(document.getElementById('root') as HTMLElement).render(
  <StrictMode>
    <QueryClientProvider client={queryClient}>
      <TipProvider>
        <RouterProvider router={router} />
        <Toasts />
      </TipProvider>
    </QueryClientProvider>
  </StrictMode>,
);
