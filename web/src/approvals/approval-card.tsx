/** A question that holds an agent back, with all that is needed to decide it. */
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { Check, CircleQuestionMark, ShieldQuestionMark, X } from 'lucide-react';
import { type FormEvent, type ReactNode, useState } from 'react';
import { ApiError, api, write } from '../api/client.ts';
import type { Approval, TaskSummary } from '../api/types.ts';
import { Button } from '../ui/button.tsx';
import { ProblemNote } from '../ui/feedback.tsx';
import { Field, Textarea } from '../ui/field.tsx';
import { Prose } from '../ui/prose.tsx';
import { When } from '../ui/time.tsx';
import { notify } from '../ui/toast.tsx';

interface Verdict {
  verb: 'approve' | 'reject';
  text: string;
}

export function ApprovalCard({
  approval,
  task,
  linked,
}: {
  approval: Approval;
  task?: Pick<TaskSummary, 'id' | 'title' | 'agent'> | undefined;
  /** Whether to lead to the task: not on its own page. */
  linked?: boolean;
}): ReactNode {
  const queries = useQueryClient();
  const decide = useMutation({
    mutationFn: ({ verb, text }: Verdict) =>
      write(() =>
        api.POST(`/api/v1/approvals/{id}/${verb}`, { params: { path: { id: approval.id } }, body: { text } }),
      ),
    onSuccess: (_, { verb }) => notify(verb === 'approve' ? 'Answered: the agent goes on' : 'Rejected'),
    onSettled: () => queries.invalidateQueries({ queryKey: ['approvals'] }),
  });
  const question = approval.kind === 'question';
  const Icon = question ? CircleQuestionMark : ShieldQuestionMark;
  return (
    <article className="rounded-lg border border-warn/40 bg-surface p-4">
      <header className="mb-2 flex flex-wrap items-center gap-x-2 gap-y-1 text-sm">
        <Icon className="size-4 text-warn" aria-hidden />
        <span className="font-semibold">
          {task?.agent.name ?? 'An agent'} {question ? 'asks' : 'wants to use a tool'}
        </span>
        {linked && (
          <Link
            to="/tasks/$taskId"
            params={{ taskId: approval.task_id }}
            className="min-w-0 truncate text-accent hover:underline"
          >
            {task?.title ?? 'Open the task'}
          </Link>
        )}
        <span className="ml-auto text-ink-2 text-xs">
          <When time={approval.created_at} /> · expires <When time={approval.expires_at} />
        </span>
      </header>
      <Prose text={approval.question} className="max-w-3xl" />
      {question ? (
        <Answer options={approval.options} pending={decide.isPending} onDecide={decide.mutate} />
      ) : (
        <Permission hash={approval.payload_hash} pending={decide.isPending} onDecide={decide.mutate} />
      )}
      {decide.error instanceof ApiError && <ProblemNote error={decide.error} className="mt-3" />}
    </article>
  );
}

interface DeciderProps {
  pending: boolean;
  onDecide: (verdict: Verdict) => void;
}

function Answer({ options, pending, onDecide }: DeciderProps & { options: string[] }): ReactNode {
  const [text, setText] = useState('');
  function submit(event: FormEvent): void {
    event.preventDefault();
    onDecide({ verb: 'approve', text });
  }
  if (options.length > 0) {
    return (
      <div className="mt-3 flex flex-wrap gap-2">
        {options.map(option => (
          <Button key={option} disabled={pending} onClick={() => onDecide({ verb: 'approve', text: option })}>
            {option}
          </Button>
        ))}
        <Refuse pending={pending} onDecide={onDecide} />
      </div>
    );
  }
  return (
    <form onSubmit={submit} className="mt-3 max-w-3xl">
      <Field label="Your answer">
        <Textarea rows={3} value={text} onChange={e => setText(e.target.value)} />
      </Field>
      <div className="mt-2 flex flex-wrap gap-2">
        <Button look="primary" type="submit" disabled={pending || text.trim() === ''}>
          Send the answer
        </Button>
        <Refuse pending={pending} onDecide={onDecide} />
      </div>
    </form>
  );
}

function Permission({ hash, pending, onDecide }: DeciderProps & { hash: string }): ReactNode {
  return (
    <>
      <p className="mt-2 text-ink-2 text-xs">
        Holds for exactly this call, once:{' '}
        <code className="font-mono" title={hash}>
          {hash.slice(0, 12)}
        </code>
      </p>
      <div className="mt-3 flex flex-wrap gap-2">
        <Button look="primary" disabled={pending} onClick={() => onDecide({ verb: 'approve', text: '' })}>
          <Check /> Approve
        </Button>
        <Refuse pending={pending} onDecide={onDecide} />
      </div>
    </>
  );
}

/** A rejection needs its reason: the agent goes on from it. */
function Refuse({ pending, onDecide }: DeciderProps): ReactNode {
  const [open, setOpen] = useState(false);
  const [reason, setReason] = useState('');
  if (!open) {
    return (
      <Button look="quiet" disabled={pending} onClick={() => setOpen(true)}>
        <X /> Reject…
      </Button>
    );
  }
  function submit(): void {
    onDecide({ verb: 'reject', text: reason });
  }
  return (
    <div className="w-full max-w-3xl">
      <Field label="Why not?" hint="The agent reads this and goes on from it.">
        <Textarea autoFocus rows={2} value={reason} onChange={e => setReason(e.target.value)} />
      </Field>
      <div className="mt-2 flex gap-2">
        <Button look="danger" disabled={pending || reason.trim() === ''} onClick={submit}>
          Reject
        </Button>
        <Button look="quiet" onClick={() => setOpen(false)}>
          Back
        </Button>
      </div>
    </div>
  );
}
