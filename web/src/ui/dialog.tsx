/** A dialog: a form above the page. On a narrow screen it takes the whole width. */
import { X } from 'lucide-react';
import { Dialog as Radix } from 'radix-ui';
import type { ReactNode } from 'react';
import { IconButton } from './button.tsx';
import { cn } from './cn.ts';

export const overlay = 'fixed inset-0 z-40 animate-fade-in bg-[oklch(0.1_0.02_265/0.45)]';
export const panel =
  'fixed top-[max(2vh,0.5rem)] left-1/2 z-40 flex max-h-[96vh] w-[calc(100vw-1rem)] -translate-x-1/2 animate-rise-in flex-col rounded-xl border border-line bg-surface shadow-pop sm:top-[5vh] sm:max-h-[90vh]';

export function Dialog({
  open,
  onOpenChange,
  title,
  description,
  children,
  className,
}: {
  open: boolean;
  onOpenChange: (open: boolean) => void;
  title: string;
  description?: string;
  children: ReactNode;
  className?: string;
}): ReactNode {
  return (
    <Radix.Root open={open} onOpenChange={onOpenChange}>
      <Radix.Portal>
        <Radix.Overlay className={overlay} />
        <Radix.Content
          className={cn(panel, 'max-w-xl', className)}
          {...(description ? {} : { 'aria-describedby': undefined })}
        >
          <div className="flex items-start gap-4 border-line border-b px-5 py-3.5">
            <div className="min-w-0 flex-1">
              <Radix.Title className="font-semibold text-lg">{title}</Radix.Title>
              {description && (
                <Radix.Description className="mt-0.5 text-ink-3 text-sm">{description}</Radix.Description>
              )}
            </div>
            <Radix.Close asChild>
              <IconButton name="Close" className="-mr-1.5">
                <X />
              </IconButton>
            </Radix.Close>
          </div>
          {children}
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  );
}
