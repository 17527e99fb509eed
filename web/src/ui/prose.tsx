/** Words of people and models: line breaks kept, `code`, fenced blocks and **bold** shown as such, nothing else. */
import { memo, type ReactNode } from 'react';
import { cn } from './cn.ts';

export const Prose = memo(function Prose({
  text,
  className,
}: {
  text: string;
  className?: string;
}): ReactNode {
  const blocks = text.split(/^```[^\n]*\n([\s\S]*?)(?:^```[ \t]*$\n?|(?![\s\S]))/m);
  return (
    <div className={cn('min-w-0 break-words', className)}>
      {blocks.map((block, index) => {
        const key = `${index}:${block.length}`;
        if (index % 2 === 1) return <CodeBlock key={key} text={block.replace(/\n$/, '')} />;
        const trimmed = block.replace(/^\n+|\n+$/g, '');
        return trimmed === '' ? null : (
          <p key={key} className="whitespace-pre-wrap">
            {inline(trimmed)}
          </p>
        );
      })}
    </div>
  );
});

function inline(text: string): ReactNode[] {
  return text.split(/(`[^`\n]+`|\*\*[^*\n]+\*\*)/).map((part, index) => {
    const key = `${index}:${part.length}`;
    if (index % 2 === 0) return part;
    if (part.startsWith('`'))
      return (
        <code key={key} className="rounded bg-hover px-1 py-px font-mono text-[0.92em]">
          {part.slice(1, -1)}
        </code>
      );
    return <strong key={key}>{part.slice(2, -2)}</strong>;
  });
}

/** Text as a machine wrote it. Scrolls by itself when it is long or wide, and can be reached by keyboard to do so. */
export function CodeBlock({
  text,
  label,
  tone,
}: {
  text: string;
  label?: string;
  tone?: 'bad' | undefined;
}): ReactNode {
  return (
    <section
      // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must take the keyboard's focus
      tabIndex={0}
      aria-label={label}
      className="my-1 max-h-96 overflow-auto rounded-md border border-line bg-sunken"
    >
      <pre
        className={cn(
          'whitespace-pre-wrap px-3 py-2 font-mono text-xs leading-5 [overflow-wrap:anywhere]',
          tone === 'bad' ? 'text-bad' : 'text-ink-2',
        )}
      >
        {text}
      </pre>
    </section>
  );
}
