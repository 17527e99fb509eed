/** Short notices of what was done, in the corner for a while. Without inline styles, which the page's policy forbids. */
import { CircleAlert, CircleCheck } from 'lucide-react';
import { type ReactNode, useSyncExternalStore } from 'react';

interface Notice {
  id: number;
  text: string;
  kind: 'done' | 'failed';
}

/** Long enough to read a sentence; what went wrong stays a little longer. */
const shownMs = { done: 4_000, failed: 8_000 };
const most = 3;

let notices: readonly Notice[] = [];
let count = 0;
const listeners = new Set<() => void>();

function set(next: readonly Notice[]): void {
  notices = next;
  for (const listener of listeners) listener();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function notify(text: string, kind: Notice['kind'] = 'done'): void {
  const id = ++count;
  set([...notices, { id, text, kind }].slice(-most));
  setTimeout(() => set(notices.filter(notice => notice.id !== id)), shownMs[kind]);
}

export function Toasts(): ReactNode {
  const shown = useSyncExternalStore(subscribe, () => notices);
  return (
    <section
      aria-label="Notices"
      aria-live="polite"
      className="pointer-events-none fixed right-4 bottom-18 z-50 flex w-[min(22rem,calc(100vw-2rem))] flex-col gap-2 md:bottom-4"
    >
      {shown.map(({ id, text, kind }) => (
        <p
          key={id}
          className="flex animate-rise-in items-start gap-2.5 rounded-lg border border-line bg-surface px-3.5 py-3 text-sm shadow-pop"
        >
          {kind === 'done' ? (
            <CircleCheck className="mt-0.5 size-4 shrink-0 text-ok" aria-hidden />
          ) : (
            <CircleAlert className="mt-0.5 size-4 shrink-0 text-bad" aria-hidden />
          )}
          <span className="min-w-0 break-words">{text}</span>
        </p>
      ))}
    </section>
  );
}
