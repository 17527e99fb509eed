/** Copying: a button that says that it did, ids and commands that can be taken along. */
import { Check, Copy } from 'lucide-react';
import { type ReactNode, useEffect, useState } from 'react';
import { shortId } from '../format.ts';
import { IconButton } from './button.tsx';
import { cn } from './cn.ts';

function useCopy(text: string): { copied: boolean; copy: () => void } {
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (!copied) return;
    const timer = setTimeout(() => setCopied(false), 1_500);
    return () => clearTimeout(timer);
  }, [copied]);
  return { copied, copy: () => void writeClipboard(text).then(() => setCopied(true)) };
}

/** The clipboard API exists only on secure origins; over plain http a hidden field does it. */
async function writeClipboard(text: string): Promise<void> {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const field = document.createElement('textarea');
  field.value = text;
  field.style.position = 'fixed';
  field.style.opacity = '0';
  document.body.append(field);
  field.select();
  document.execCommand('copy');
  field.remove();
}

export function CopyButton({
  text,
  name = 'Copy',
  className,
}: {
  text: string;
  name?: string;
  className?: string;
}): ReactNode {
  const { copied, copy } = useCopy(text);
  return (
    <IconButton name={copied ? 'Copied' : name} size="tiny" onClick={copy} className={className}>
      {copied ? <Check className="size-3.5! text-ok" /> : <Copy className="size-3.5!" />}
    </IconButton>
  );
}

/** An id, short to look at, whole when copied. */
export function Id({ id, text }: { id: string; text?: string }): ReactNode {
  const { copied, copy } = useCopy(id);
  return (
    <button
      type="button"
      onClick={copy}
      title={`Copy ${id}`}
      className="group inline-flex h-6 items-center gap-1 rounded font-mono text-ink-2 text-xs hover:text-ink"
    >
      {text ?? shortId(id)}
      {copied ? (
        <Check className="size-3 text-ok" aria-label="copied" />
      ) : (
        <Copy className="size-3 opacity-40 group-hover:opacity-100" aria-hidden />
      )}
    </button>
  );
}

/** A command to run elsewhere. */
export function Command({ text, className }: { text: string; className?: string }): ReactNode {
  return (
    <span
      className={cn(
        'inline-flex max-w-full items-center gap-1 rounded-md border border-line bg-surface py-0.5 pr-0.5 pl-2',
        className,
      )}
    >
      <code className="min-w-0 break-words font-mono text-ink text-xs">{text}</code>
      <CopyButton text={text} name="Copy command" />
    </span>
  );
}
