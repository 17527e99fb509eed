/** The frame of a screen: its name in the bar above, in the title of the window, and what can be done there. */
import { type ReactNode, useEffect } from 'react';

export function useTitle(title: string | undefined): void {
  useEffect(() => {
    document.title = title ? `${title} · Guildhall` : 'Guildhall';
  }, [title]);
}

export function PageHead({
  title,
  children,
  below,
}: {
  title: string;
  children?: ReactNode;
  below?: ReactNode;
}): ReactNode {
  useTitle(title);
  return (
    <header className="sticky top-12 z-20 border-line border-b bg-canvas md:top-0">
      <div className="flex h-12 items-center gap-3 px-4 sm:px-5">
        <h1 className="truncate font-semibold text-lg">{title}</h1>
        <div className="ml-auto flex items-center gap-2">{children}</div>
      </div>
      {below}
    </header>
  );
}

export function Section({
  title,
  children,
  side,
}: {
  title: string;
  children: ReactNode;
  side?: ReactNode;
}): ReactNode {
  return (
    <section>
      <div className="mb-2 flex min-h-8 items-center gap-2">
        <h2 className="font-semibold text-base">{title}</h2>
        <div className="ml-auto flex gap-2">{side}</div>
      </div>
      {children}
    </section>
  );
}
