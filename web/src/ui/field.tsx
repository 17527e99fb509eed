/** Form fields: a label, what it means, and what is wrong with it, tied together for screen readers. */
import { type ComponentProps, createContext, type ReactNode, use, useId } from 'react';
import { cn } from './cn.ts';

interface FieldIds {
  control: string;
  notes: string | undefined;
  invalid: boolean;
}
const Ids = createContext<FieldIds | null>(null);

export function Field({
  label,
  hint,
  error,
  children,
  className,
}: {
  label: string;
  hint?: ReactNode;
  error?: string | null | undefined;
  children: ReactNode;
  className?: string;
}): ReactNode {
  const id = useId();
  const notes = hint || error ? `${id}-notes` : undefined;
  return (
    <Ids value={{ control: id, notes, invalid: Boolean(error) }}>
      <div className={cn('flex min-w-0 flex-col gap-1', className)}>
        <label htmlFor={id} className="font-medium text-ink-2 text-sm">
          {label}
        </label>
        {children}
        {notes && (
          <p id={notes} className={cn('text-xs', error ? 'text-bad' : 'text-ink-3')}>
            {error ?? hint}
          </p>
        )}
      </div>
    </Ids>
  );
}

export const controlClass =
  'w-full min-w-0 rounded-md border border-line-strong bg-surface px-2.5 text-base text-ink transition-colors hover:border-ink-3 focus-visible:border-accent focus-visible:outline-offset-0 aria-invalid:border-bad';

function useControl(): Record<string, unknown> {
  const ids = use(Ids);
  if (!ids) return {};
  return { id: ids.control, 'aria-describedby': ids.notes, 'aria-invalid': ids.invalid || undefined };
}

export const Input = ({ className, ...rest }: ComponentProps<'input'>) => (
  <input className={cn(controlClass, 'h-8', className)} autoComplete="off" {...useControl()} {...rest} />
);

export const Textarea = ({ className, ...rest }: ComponentProps<'textarea'>) => (
  <textarea className={cn(controlClass, 'min-h-20 py-1.5', className)} {...useControl()} {...rest} />
);

export const Select = ({ className, ...rest }: ComponentProps<'select'>) => (
  <select className={cn(controlClass, 'h-8', className)} {...useControl()} {...rest} />
);
