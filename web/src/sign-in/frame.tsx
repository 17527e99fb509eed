/** The frame of the screens before one is in: sign-in, invitation, a new password. */
import type { ReactNode } from 'react';
import { Logo } from '../shell/logo.tsx';
import { useTitle } from '../ui/page.tsx';

export function Frame({ title, children }: { title: string; children: ReactNode }): ReactNode {
  useTitle(title);
  return (
    <main className="mx-auto flex min-h-dvh max-w-sm flex-col justify-center px-5 py-10">
      <Logo className="mb-5 size-11" />
      <h1 className="font-semibold text-xl">{title}</h1>
      <div className="mt-4 space-y-4">{children}</div>
    </main>
  );
}

/** A line with a word in it, between one way in and the next. */
export const Or = ({ word }: { word: string }) => (
  <div className="flex items-center gap-3 text-ink-3 text-sm">
    <span className="h-px flex-1 bg-line" />
    {word}
    <span className="h-px flex-1 bg-line" />
  </div>
);
