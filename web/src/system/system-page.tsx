/** The system: what it depends on and whether that works, and what has been used. */
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { CircleAlert, CircleCheck, CircleX } from 'lucide-react';
import type { ReactNode } from 'react';
import { healthQuery, meQuery, usageQuery, versionQuery } from '../api/queries.ts';
import type { Component } from '../api/types.ts';
import { count, money, plural, shortCommit, words } from '../format.ts';
import { Command, Id } from '../ui/copy.tsx';
import { ProblemNote, Skeleton, SkeletonRows } from '../ui/feedback.tsx';
import { PageHead, Section } from '../ui/page.tsx';

export function SystemPage(): ReactNode {
  const { data: me } = useQuery(meQuery);
  return (
    <>
      <PageHead title="System" />
      <div className="max-w-4xl space-y-8 p-4 sm:p-5">
        <Components />
        <Usage />
        {['owner', 'admin', 'auditor'].includes(me?.member.role ?? '') && <Audit />}
        <About />
      </div>
    </>
  );
}

function Audit(): ReactNode {
  return (
    <Section title="Audit">
      <p className="text-ink-2 text-sm">
        Who did what to what, and whether the record of it is whole:{' '}
        <Link to="/audit" className="text-accent underline">
          open the audit
        </Link>
        .
      </p>
    </Section>
  );
}

function Components(): ReactNode {
  const health = useQuery(healthQuery);
  return (
    <Section title="Components">
      {health.isPending && <SkeletonRows rows={4} className="border-none" />}
      {health.isError && !health.data && (
        <ProblemNote error={health.error} onRetry={() => void health.refetch()} />
      )}
      {health.data && (
        <ul className="divide-y divide-line rounded-lg border border-line bg-surface">
          {health.data.components.map(component => (
            <ComponentRow key={component.name} component={component} />
          ))}
        </ul>
      )}
    </Section>
  );
}

function ComponentRow({ component }: { component: Component }): ReactNode {
  const { name, state, required, summary, fix } = component;
  const Icon = state === 'ok' ? CircleCheck : required ? CircleX : CircleAlert;
  const ink = state === 'ok' ? 'text-ok' : required ? 'text-bad' : 'text-warn';
  return (
    <li className="flex flex-wrap items-center gap-x-3 gap-y-1.5 px-3.5 py-2.5">
      <Icon role="img" aria-label={state} className={`size-4 shrink-0 ${ink}`} />
      <span className="w-32 font-medium first-letter:uppercase">{words(name)}</span>
      <span className="min-w-0 flex-1 basis-60 break-words text-ink-2 text-sm">{summary}</span>
      {state === 'failed' && (
        <span className="text-ink-3 text-xs">{required ? 'required' : 'some work needs it'}</span>
      )}
      {state === 'failed' && fix && <Command text={fix} className="sm:ml-7" />}
    </li>
  );
}

function Usage(): ReactNode {
  const usage = useQuery(usageQuery);
  if (usage.isError && !usage.data)
    return (
      <Section title="Used in all">
        <ProblemNote error={usage.error} onRetry={() => void usage.refetch()} />
      </Section>
    );
  const data = usage.data;
  const figures = [
    { name: 'Cost', value: data && money(data.cost_micros) },
    { name: 'Tokens', value: data && count(data.tokens) },
    { name: 'Model calls', value: data && count(data.calls) },
  ];
  return (
    <Section title="Used in all">
      <dl className="grid grid-cols-3 divide-x divide-line rounded-lg border border-line bg-surface">
        {figures.map(({ name, value }) => (
          <div key={name} className="px-4 py-3">
            <dt className="text-ink-3 text-sm">{name}</dt>
            <dd className="tnum mt-0.5 font-semibold text-xl">
              {value ?? <Skeleton className="my-1 h-5 w-20" />}
            </dd>
          </div>
        ))}
      </dl>
      {data && data.unpriced_calls > 0 && (
        <p className="mt-2 text-ink-3 text-sm">
          {plural(data.unpriced_calls, 'call')} went to models without a price and{' '}
          {data.unpriced_calls === 1 ? 'is' : 'are'} not in the cost.
        </p>
      )}
    </Section>
  );
}

function About(): ReactNode {
  const { data: version } = useQuery(versionQuery);
  const { data: me } = useQuery(meQuery);
  return (
    <Section title="About">
      <dl className="grid grid-cols-[7.5rem_minmax(0,1fr)] items-baseline gap-y-1.5 text-sm [&>dt]:text-ink-3">
        <dt>Version</dt>
        <dd>
          {version ? `Guildhall ${version.version}` : <Skeleton className="h-4 w-32" />}
          {version?.git_sha && (
            <span className="font-mono text-ink-3 text-xs"> {shortCommit(version.git_sha)}</span>
          )}
        </dd>
        <dt>Runtime</dt>
        <dd>{version ? `Node ${version.node}` : <Skeleton className="h-4 w-24" />}</dd>
        <dt>Organization</dt>
        <dd>{me && <Id id={me.organization_id} />}</dd>
        <dt>API</dt>
        <dd>
          <a href="/docs" className="text-accent hover:underline">
            Reference
          </a>{' '}
          ·{' '}
          <a href="/api/v1/openapi.json" className="text-accent hover:underline">
            openapi.json
          </a>
        </dd>
      </dl>
    </Section>
  );
}
