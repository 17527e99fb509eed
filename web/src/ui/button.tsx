/** Buttons. A disabled one says why: `because` turns it off and becomes its tooltip. */
import { cva, type VariantProps } from 'class-variance-authority';
import { Slot } from 'radix-ui';
import type { ComponentProps, ReactNode } from 'react';
import { cn } from './cn.ts';
import { Tip } from './tip.tsx';

const button = cva(
  'inline-flex shrink-0 select-none items-center justify-center gap-1.5 whitespace-nowrap rounded-md font-medium text-sm transition-colors [&_svg]:size-4 [&_svg]:shrink-0',
  {
    variants: {
      look: {
        primary: 'bg-accent text-accent-ink hover:bg-accent-hover',
        plain: 'border border-line bg-surface text-ink hover:bg-hover',
        quiet: 'text-ink-2 hover:bg-hover hover:text-ink',
        danger: 'bg-bad text-canvas hover:opacity-90',
      },
      size: {
        normal: 'h-8 px-3',
        small: 'h-7 px-2 text-xs [&_svg]:size-3.5',
        icon: 'size-8',
        tiny: 'size-6',
      },
    },
    defaultVariants: { look: 'plain', size: 'normal' },
  },
);

type ButtonProps = ComponentProps<'button'> &
  VariantProps<typeof button> & {
    asChild?: boolean;
    /** Why it cannot be used now. Null or absent: it can. */
    because?: string | null;
  };

export function Button({
  look,
  size,
  className,
  asChild,
  because,
  onClick,
  ...rest
}: ButtonProps): ReactNode {
  const classes = cn(button({ look, size }), because && 'cursor-not-allowed opacity-50', className);
  if (asChild) return <Slot.Root className={classes} {...rest} />;
  const element = (
    <button
      type="button"
      className={cn(classes, 'disabled:cursor-not-allowed disabled:opacity-50')}
      // Not `disabled`: that would take it out of the tab order, and its reason with it.
      aria-disabled={because ? true : undefined}
      onClick={because ? event => event.preventDefault() : onClick}
      {...rest}
    />
  );
  return because ? <Tip text={because}>{element}</Tip> : element;
}

/** A button that is only an icon; its name is both tooltip and accessible name. */
export function IconButton({
  name,
  children,
  size = 'icon',
  ...rest
}: ButtonProps & { name: string }): ReactNode {
  return (
    <Tip text={name}>
      <Button look="quiet" size={size} aria-label={name} {...rest}>
        {children}
      </Button>
    </Tip>
  );
}
