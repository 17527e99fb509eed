/** The change that a task delivered, file by file. */
import { useQuery } from '@tanstack/react-query';
import { ChevronRight, FileDiff as FileIcon } from 'lucide-react';
import { memo, type ReactNode, useMemo, useState } from 'react';
import { diffQuery } from '../api/queries.ts';
import type { TaskDetail } from '../api/types.ts';
import { type DiffLine, type FileDiff, parseDiff } from '../diff.ts';
import { plural, shortCommit } from '../format.ts';
import { isOpen } from '../tasks/state.tsx';
import { cn } from '../ui/cn.ts';
import { CopyButton } from '../ui/copy.tsx';
import { Empty, ProblemNote, SkeletonRows } from '../ui/feedback.tsx';

/** A file with more lines than this is closed until somebody wants to see it. */
const longFile = 600;

export default function Changes({ task }: { task: TaskDetail }): ReactNode {
  const diff = useQuery(diffQuery(task.id));
  const files = useMemo(() => (diff.data ? parseDiff(diff.data) : []), [diff.data]);
  if (diff.isPending) return <SkeletonRows rows={5} className="border-none" />;
  if (diff.isError && !diff.data)
    return <ProblemNote error={diff.error} onRetry={() => void diff.refetch()} className="m-5" />;
  if (!diff.data || files.length === 0) {
    return (
      <Empty
        icon={<FileIcon aria-hidden />}
        title={isOpen(task.state) ? 'Nothing delivered yet' : 'No change was delivered'}
      >
        {isOpen(task.state) && <p>The change appears here when the task hands in a commit.</p>}
      </Empty>
    );
  }
  const added = files.reduce((sum, file) => sum + file.added, 0);
  const deleted = files.reduce((sum, file) => sum + file.deleted, 0);
  return (
    <div className="px-4 py-4 sm:px-5">
      <div className="mb-3 flex flex-wrap items-center gap-x-2 gap-y-1 text-ink-2 text-sm">
        <span>{plural(files.length, 'file')}</span>
        <Stat added={added} deleted={deleted} />
        {task.repository && task.delivered_commit && (
          <span className="font-mono text-ink-3 text-xs">
            {shortCommit(task.repository.commit)}..{shortCommit(task.delivered_commit)}
          </span>
        )}
        <CopyButton text={diff.data} name="Copy the diff" className="ml-auto" />
      </div>
      <div className="space-y-4">
        {files.map(file => (
          <File key={file.path} file={file} />
        ))}
      </div>
    </div>
  );
}

const Stat = ({ added, deleted }: { added: number; deleted: number }) => (
  <span className="tnum font-mono text-xs">
    <span className="text-ok">+{added}</span> <span className="text-bad">−{deleted}</span>
  </span>
);

const changeWords = { added: 'new', deleted: 'deleted', renamed: 'renamed', modified: '' };

function File({ file }: { file: FileDiff }): ReactNode {
  const lines = file.hunks.reduce((sum, hunk) => sum + hunk.lines.length, 0);
  const [open, setOpen] = useState(lines <= longFile);
  return (
    <article aria-label={file.path} className="overflow-clip rounded-lg border border-line bg-surface">
      <h3
        className={cn(
          'sticky top-24 z-10 flex min-h-9 items-center gap-2 bg-sunken px-2 md:top-12',
          open && 'border-line border-b',
        )}
      >
        <button
          type="button"
          aria-expanded={open}
          onClick={() => setOpen(!open)}
          className="flex h-8 min-w-0 flex-1 items-center gap-1.5 rounded text-left font-mono text-xs"
        >
          <ChevronRight className={cn('size-3.5 shrink-0 text-ink-3', open && 'rotate-90')} aria-hidden />
          <span className="min-w-0 break-words py-1 [overflow-wrap:anywhere]">
            {file.from && <span className="text-ink-3">{file.from} → </span>}
            {file.path}
          </span>
        </button>
        {changeWords[file.change] && <span className="text-ink-3 text-xs">{changeWords[file.change]}</span>}
        <Stat added={file.added} deleted={file.deleted} />
        <CopyButton text={file.path} name="Copy the path" />
      </h3>
      {open && <Body file={file} />}
    </article>
  );
}

const Body = memo(function Body({ file }: { file: FileDiff }): ReactNode {
  if (file.binary)
    return <p className="px-3 py-2 text-ink-3 text-sm">A binary file: nothing to show as text.</p>;
  if (file.hunks.length === 0) return <p className="px-3 py-2 text-ink-3 text-sm">No line changed.</p>;
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must take the keyboard's focus
    <section aria-label={`Changes in ${file.path}`} tabIndex={0} className="overflow-x-auto">
      <table className="w-full border-collapse font-mono text-xs leading-5">
        <caption className="sr-only">Line before, line after, text</caption>
        {file.hunks.map(hunk => (
          <tbody key={hunk.header} className="border-line border-t first-of-type:border-t-0">
            <tr>
              <td colSpan={4} className="bg-accent-soft px-3 py-0.5 text-ink-2">
                {hunk.header}
              </td>
            </tr>
            {hunk.lines.map((line, index) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: the lines of a hunk never change places
              <Line key={index} line={line} />
            ))}
          </tbody>
        ))}
      </table>
    </section>
  );
});

const signs = { add: '+', del: '−', same: '', note: '' };
const backgrounds = { add: 'bg-ok-soft', del: 'bg-bad-soft', same: '', note: '' };
const number = 'tnum w-px min-w-9 select-none px-2 text-right text-ink-3';

function Line({ line }: { line: DiffLine }): ReactNode {
  return (
    <tr className={backgrounds[line.kind]}>
      <td className={number}>{line.before}</td>
      <td className={number}>{line.after}</td>
      <td
        className={cn(
          'w-px min-w-5 select-none px-1.5 text-center font-semibold',
          line.kind === 'add' ? 'text-ok' : 'text-bad',
        )}
      >
        {signs[line.kind]}
      </td>
      <td className={cn('whitespace-pre pr-4', line.kind === 'note' && 'text-ink-3 italic')}>{line.text}</td>
    </tr>
  );
}
