/** A box with one thing of the account, and what can be done about it. */
import type { ReactNode } from 'react';

export const Box = ({ children }: { children: ReactNode }) => (
  <div className="space-y-3 rounded-lg border border-line bg-surface px-4 py-3.5">{children}</div>
);
