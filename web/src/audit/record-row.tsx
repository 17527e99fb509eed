/** One record: a line, and on demand all that it says. */
import { Link } from '@tanstack/react-router';
import { Ban, ChevronRight, CircleCheck, CircleX } from 'lucide-react';
import { type ReactNode, useId, useState } from 'react';
import type { AuditRecord } from '../api/types.ts';
import { absolute, shortId } from '../format.ts';
import { Button } from '../ui/button.tsx';
import { cn } from '../ui/cn.ts';
import { Id } from '../ui/copy.tsx';
import { When } from '../ui/time.tsx';
import type { AuditSearch } from './queries.ts';

const looks = {
  ok: { icon: CircleCheck, ink: 'text-ok' },
  refused: { icon: Ban, ink: 'text-warn' },
  failed: { icon: CircleX, ink: 'text-bad' },
};

/** `member:mem_01jd…` as `member mem_…x4q9`. */
function actorText(actor: string): string {
  const [kind, id] = actor.split(':');
  return id ? `${kind} ${shortId(id)}` : actor;
}

export function RecordRow({
  record,
  onNarrow,
}: {
  record: AuditRecord;
  onNarrow: (more: AuditSearch) => void;
}): ReactNode {
  const [open, setOpen] = useState(false);
  const detail = useId();
  const { icon: Icon, ink } = looks[record.outcome];
  return (
    <li className="lazy-paint border-line border-b">
      <button
        type="button"
        aria-expanded={open}
        aria-controls={detail}
        onClick={() => setOpen(!open)}
        className="flex w-full items-center gap-3 px-4 py-2.5 text-left hover:bg-hover focus-visible:-outline-offset-2 sm:px-5"
      >
        <Icon role="img" aria-label={record.outcome} className={cn('size-4 shrink-0', ink)} />
        <span className="flex min-w-0 flex-1 flex-wrap items-baseline gap-x-3 gap-y-0.5">
          <span className="font-medium font-mono text-sm">{record.action}</span>
          {record.target && (
            <span className="min-w-0 truncate font-mono text-ink-2 text-xs">{shortId(record.target)}</span>
          )}
          <span className="text-ink-2 text-sm">by {actorText(record.actor)}</span>
        </span>
        <When time={record.created_at} className="shrink-0 text-ink-3 text-sm" />
        <ChevronRight
          aria-hidden
          className={cn('size-4 shrink-0 text-ink-3 transition-transform', open && 'rotate-90')}
        />
      </button>
      {open && (
        <div id={detail} className="space-y-3 bg-sunken px-4 py-3 sm:pr-5 sm:pl-12">
          <Facts record={record} />
          <pre
            // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, so it must be reachable by keyboard
            tabIndex={0}
            className="max-h-80 overflow-auto whitespace-pre-wrap break-words rounded-md border border-line bg-surface px-3 py-2 font-mono text-xs"
          >
            {JSON.stringify(record.data, null, 2)}
          </pre>
          <div className="flex flex-wrap gap-2">
            <Button size="small" onClick={() => onNarrow({ actor: record.actor })}>
              All of this actor
            </Button>
            {record.target && (
              <Button size="small" onClick={() => onNarrow({ target: record.target ?? undefined })}>
                All of this target
              </Button>
            )}
            {record.request_id && (
              <Button size="small" onClick={() => onNarrow({ request: record.request_id ?? undefined })}>
                All of this request
              </Button>
            )}
          </div>
        </div>
      )}
    </li>
  );
}

function Facts({ record }: { record: AuditRecord }): ReactNode {
  const taskId = [record.target, record.data.task_id].find(
    (id): id is string => typeof id === 'string' && id.startsWith('task_'),
  );
  const rows: [string, ReactNode][] = [
    ['When', <span key="when">{absolute(Date.parse(record.created_at))}</span>],
    ['Who', <Id key="who" id={record.actor} text={record.actor} />],
    ...(record.target
      ? ([['To what', <Id key="target" id={record.target} text={record.target} />]] as [string, ReactNode][])
      : []),
    ['Outcome', record.outcome],
    ...(record.request_id
      ? ([['Request', <Id key="request" id={record.request_id} text={record.request_id} />]] as [
          string,
          ReactNode,
        ][])
      : []),
    ['Place', <Id key="place" id={record.id} text={record.id} />],
    ...(taskId
      ? ([
          [
            'Task',
            <Link key="task" to="/tasks/$taskId" params={{ taskId }} className="text-accent hover:underline">
              open it
            </Link>,
          ],
        ] as [string, ReactNode][])
      : []),
  ];
  return (
    <dl className="grid grid-cols-[5rem_minmax(0,1fr)] items-center gap-x-3 gap-y-1 text-sm">
      {rows.map(([name, content]) => (
        <div key={name} className="contents">
          <dt className="text-ink-2">{name}</dt>
          <dd className="min-w-0 break-all [&_button]:h-auto [&_button]:min-h-6 [&_button]:text-left">
            {content}
          </dd>
        </div>
      ))}
    </dl>
  );
}
