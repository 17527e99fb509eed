/** A tool call in one line: what, on what, with which result. Opens to show arguments and result in full. */
import { Link } from '@tanstack/react-router';
import {
  ChevronRight,
  CircleDashed,
  CircleQuestionMark,
  FileDiff,
  FilePen,
  FilePlus,
  FileText,
  FolderTree,
  GitCommitHorizontal,
  Handshake,
  LoaderCircle,
  type LucideIcon,
  MessageSquare,
  PackageCheck,
  Search,
  SquareTerminal,
  UserPlus,
  Wrench,
} from 'lucide-react';
import { type ReactNode, useState } from 'react';
import type { Step } from '../api/types.ts';
import { duration, plural } from '../format.ts';
import { isRecord, type ToolCall, textOf } from '../journal.ts';
import { endedBadly, outcomeOf, readResult, showArguments, subjectOf } from '../tool-words.ts';
import { cn } from '../ui/cn.ts';
import { CodeBlock } from '../ui/prose.tsx';
import { Elapsed } from '../ui/time.tsx';

const icons: Record<string, LucideIcon> = {
  list_files: FolderTree,
  read_file: FileText,
  write_file: FilePlus,
  edit_file: FilePen,
  search_files: Search,
  run_command: SquareTerminal,
  git_diff: FileDiff,
  git_commit: GitCommitHorizontal,
  delegate: UserPlus,
  decide_assignment: Handshake,
  ask_human: CircleQuestionMark,
  send_message: MessageSquare,
  submit_result: PackageCheck,
};

/** How every row of the timeline looks that opens. */
export const toolLine =
  '-mx-1.5 flex min-h-7 w-[calc(100%+0.75rem)] min-w-0 items-center gap-2 rounded-md px-1.5 py-0.5 text-left text-sm [&>svg]:size-3.5 [&>svg]:shrink-0';

export function ToolRow({ step }: { step: Step }): ReactNode {
  const [open, setOpen] = useState(false);
  const args = isRecord(step.data.arguments) ? step.data.arguments : {};
  const content = textOf(step.data, 'content');
  const isError = step.outcome !== 'ok' || step.data.is_error === true;
  const bad = isError || endedBadly(step.name, content);
  const Icon = icons[step.name] ?? Wrench;
  const ms = Date.parse(step.ended_at) - Date.parse(step.started_at);
  return (
    <div>
      <button
        type="button"
        aria-expanded={open}
        onClick={() => setOpen(!open)}
        className={cn(toolLine, 'hover:bg-hover')}
      >
        <ChevronRight className={cn('text-ink-3 transition-transform', open && 'rotate-90')} aria-hidden />
        <Icon className={bad ? 'text-bad' : 'text-ink-3'} aria-hidden />
        <Name>{step.name}</Name>
        <Subject>{subjectOf({ name: step.name, arguments: args })}</Subject>
        <span
          className={cn(
            'tnum min-w-0 max-w-[45%] shrink-0 truncate text-xs',
            bad ? 'font-medium text-bad' : 'text-ink-3',
          )}
        >
          {step.outcome === 'refused' && 'refused: '}
          {outcomeOf(step.name, content, isError)}
        </span>
        <span className="tnum w-14 shrink-0 text-right text-ink-3 text-xs max-sm:hidden">
          {ms >= 10 ? duration(ms) : ''}
        </span>
      </button>
      {open && <Details step={step} args={args} content={content} bad={isError} />}
    </div>
  );
}

/** A call without a result yet. */
export function PendingRow({ call, since }: { call: ToolCall; since: string }): ReactNode {
  return (
    <div className={toolLine}>
      <span className="w-3.5" />
      <LoaderCircle className="animate-spin text-accent [animation-duration:2.4s]" aria-hidden />
      <Name>{call.name}</Name>
      <Subject>{subjectOf(call)}</Subject>
      <span className="shrink-0 text-accent text-xs">{underWay[call.name] ?? 'running'}</span>
      <span className="min-w-14 shrink-0 whitespace-nowrap text-right text-ink-3 text-xs max-sm:hidden">
        <Elapsed from={since} to={null} />
      </span>
    </div>
  );
}

/** Calls of the same turn that wait for their turn. */
export function AheadRow({ names }: { names: string[] }): ReactNode {
  return (
    <div className={toolLine}>
      <span className="w-3.5" />
      <CircleDashed className="text-ink-3" aria-hidden />
      <span className="min-w-0 truncate text-ink-3 text-xs">
        then {plural(names.length, 'more call')}: {[...new Set(names)].join(', ')}
      </span>
    </div>
  );
}

const underWay: Record<string, string> = { ask_human: 'waiting for an answer', delegate: 'under way' };

const Name = ({ children }: { children: string }) => (
  <span className="shrink-0 font-mono text-ink-2 text-xs">{children}</span>
);
const Subject = ({ children }: { children: string }) => (
  <span className="min-w-0 flex-1 truncate font-mono text-ink text-xs">{children}</span>
);

function Details({
  step,
  args,
  content,
  bad,
}: {
  step: Step;
  args: Record<string, unknown>;
  content: string;
  bad: boolean;
}): ReactNode {
  const child = step.name === 'delegate' ? readResult(content).facts.get('task') : undefined;
  return (
    <div className="mt-0.5 mb-2 ml-6 animate-fade-in space-y-2 border-line border-l-2 pl-3">
      {showArguments(args).map(({ name, text }) => (
        <Value key={name} name={name} text={text} />
      ))}
      {child && (
        <Link
          to="/tasks/$taskId"
          params={{ taskId: child }}
          className="inline-block text-accent text-sm hover:underline"
        >
          Open the delegated task
        </Link>
      )}
      {content !== '' && (
        <Value name={bad ? 'error' : 'result'} text={content} tone={bad ? 'bad' : undefined} />
      )}
    </div>
  );
}

function Value({ name, text, tone }: { name: string; text: string; tone?: 'bad' | undefined }): ReactNode {
  const short = !text.includes('\n') && text.length < 90;
  if (short)
    return (
      <p className="flex gap-2 text-xs">
        <span className="w-24 shrink-0 text-ink-3">{name}</span>
        <code className={cn('min-w-0 break-words font-mono', tone === 'bad' && 'text-bad')}>{text}</code>
      </p>
    );
  return (
    <div className="text-xs">
      <p className="text-ink-3">{name}</p>
      <CodeBlock text={text} label={name} tone={tone} />
    </div>
  );
}
