/** Whether the record is whole: how far it is sealed, when it was verified last, and verifying it now. */
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { CircleAlert, ShieldAlert, ShieldCheck, ShieldQuestionMark } from 'lucide-react';
import type { ReactNode } from 'react';
import { api, write } from '../api/client.ts';
import type { AuditVerification } from '../api/types.ts';
import { count, plural } from '../format.ts';
import { Button } from '../ui/button.tsx';
import { cn } from '../ui/cn.ts';
import { Id } from '../ui/copy.tsx';
import { ProblemNote } from '../ui/feedback.tsx';
import { When } from '../ui/time.tsx';
import { sealsQuery, verifiedQuery } from './queries.ts';

export function Chain(): ReactNode {
  const queries = useQueryClient();
  const seals = useQuery(sealsQuery);
  const verified = useQuery(verifiedQuery);
  const verify = useMutation({
    mutationFn: () => write(() => api.POST('/api/v1/audit/verify', { body: { chain: 'organization' } })),
    onSettled: () => {
      void queries.invalidateQueries({ queryKey: verifiedQuery.queryKey });
      void queries.invalidateQueries({ queryKey: sealsQuery.queryKey });
      void queries.invalidateQueries({ queryKey: ['audit'] });
    },
  });
  const last = verified.data;
  const failed = last?.outcome === 'failed';
  const Icon = failed ? ShieldAlert : last ? ShieldCheck : ShieldQuestionMark;
  const newest = seals.data?.items[0];
  return (
    <section aria-label="Chain of seals" className="space-y-3 border-line border-b px-4 py-3 sm:px-5">
      <div className="flex flex-wrap items-center gap-x-4 gap-y-2 text-sm">
        <Icon
          aria-hidden
          className={cn('size-5 shrink-0', failed ? 'text-bad' : last ? 'text-ok' : 'text-ink-3')}
        />
        <p className="min-w-0 flex-1 basis-60">
          {last ? (
            <>
              <span className="font-medium">{failed ? 'Not whole' : 'Verified'}</span> up to seal{' '}
              {String(last.data.head)}, <When time={last.created_at} />.{' '}
            </>
          ) : (
            <span className="font-medium">Not verified yet. </span>
          )}
          <span className="text-ink-2">
            {newest ? (
              <>
                Sealed up to seal {newest.number}, <When time={newest.sealed_at} />;{' '}
                {plural(seals.data?.unsealed_records ?? 0, 'record')} not sealed yet.
              </>
            ) : (
              seals.data && 'Nothing is sealed yet.'
            )}
          </span>
        </p>
        <Button disabled={verify.isPending} onClick={() => verify.mutate()}>
          <ShieldCheck aria-hidden /> {verify.isPending ? 'Verifying…' : 'Verify now'}
        </Button>
      </div>
      {verify.isError && <ProblemNote error={verify.error} />}
      {verify.data && <Result found={verify.data} />}
    </section>
  );
}

function Result({ found }: { found: AuditVerification }): ReactNode {
  const facts = [
    `${plural(found.records, 'record')} in ${plural(found.seals, 'seal')} ${found.records === 1 ? 'is' : 'are'} what was sealed`,
    `${count(found.unsealed_records)} not sealed yet`,
    ...(found.pruned_records > 0 ? [`${count(found.pruned_records)} removed by retention`] : []),
  ];
  return (
    <div
      role="status"
      className={cn('rounded-lg px-3.5 py-3 text-sm', found.ok ? 'bg-ok-soft' : 'bg-bad-soft')}
    >
      <p className="font-medium">
        {found.ok
          ? 'The audit is whole.'
          : `The audit is not whole: ${plural(found.findings_total, 'finding')}.`}
      </p>
      <p className="text-ink-2">{facts.join('; ')}.</p>
      {found.findings.length > 0 && (
        <ul className="mt-2 max-h-60 space-y-1 overflow-auto">
          {found.findings.map(finding => (
            <li
              key={`${finding.kind} ${finding.place} ${finding.seal} ${finding.key}`}
              className="flex gap-2"
            >
              <CircleAlert aria-hidden className="mt-0.5 size-4 shrink-0 text-bad" />
              <span className="min-w-0 break-words">{finding.text}</span>
            </li>
          ))}
        </ul>
      )}
      {found.ok && found.head && (
        <p className="mt-1 flex flex-wrap items-center gap-x-2 text-ink-2">
          Keep these elsewhere, to prove the next time that it is the same chain: newest seal
          <Id
            id={`${found.head.number}:${found.head.hash}`}
            text={`${found.head.number}:${found.head.hash.slice(0, 12)}…`}
          />
          key <Id id={found.keys.at(-1) ?? ''} text={`${found.keys.at(-1)?.slice(0, 12)}…`} />
        </p>
      )}
    </div>
  );
}
