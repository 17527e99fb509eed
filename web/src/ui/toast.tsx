/** Short notices of what was done. Their code is fetched when there is one to show. */
import { lazy, type ReactNode, Suspense, useSyncExternalStore } from 'react';

const Toaster = lazy(async () => ({ default: (await import('sonner')).Toaster }));

let wanted = false;
const listeners = new Set<() => void>();

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export async function notify(text: string, kind: 'done' | 'failed' = 'done'): Promise<void> {
  const { toast } = await import('sonner');
  if (!wanted) {
    wanted = true;
    for (const listener of listeners) listener();
    // The place for toasts must be mounted before the first one.
    await new Promise(resolve => setTimeout(resolve, 50));
  }
  if (kind === 'failed') toast.error(text);
  else toast(text);
}

export function Toasts(): ReactNode {
  const mounted = useSyncExternalStore(subscribe, () => wanted);
  if (!mounted) return null;
  return (
    <Suspense>
      <Toaster
        position="bottom-right"
        toastOptions={{
          style: {
            background: 'var(--surface)',
            color: 'var(--ink)',
            border: '1px solid var(--line)',
            borderRadius: '0.5rem',
            boxShadow: 'var(--shadow)',
            fontFamily: 'inherit',
          },
        }}
      />
    </Suspense>
  );
}
