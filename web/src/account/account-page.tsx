/** One's own account: how one signs in, and where one is signed in. */
import { useQuery } from '@tanstack/react-query';
import { useSearch } from '@tanstack/react-router';
import { CircleAlert } from 'lucide-react';
import type { ReactNode } from 'react';
import { accountQuery } from '../api/queries.ts';
import { problemOfProvider } from '../sign-in/words.ts';
import { ProblemNote, SkeletonRows } from '../ui/feedback.tsx';
import { PageHead } from '../ui/page.tsx';
import { Passkeys } from './passkeys.tsx';
import { Password } from './password.tsx';
import { Providers } from './providers.tsx';
import { SecondFactor } from './second-factor.tsx';
import { Sessions } from './sessions.tsx';

export function AccountPage(): ReactNode {
  const { problem } = useSearch({ from: '/signed-in/account' });
  const account = useQuery(accountQuery);
  return (
    <>
      <PageHead title="Account" />
      <div className="max-w-3xl space-y-8 p-4 sm:p-5">
        {problem && (
          <p role="alert" className="flex gap-2.5 rounded-lg bg-bad-soft px-3.5 py-3 text-sm">
            <CircleAlert className="mt-0.5 size-4 shrink-0 text-bad" aria-hidden />
            {problemOfProvider(problem)}
          </p>
        )}
        {account.isPending && <SkeletonRows rows={3} className="border-none" />}
        {account.isError && <ProblemNote error={account.error} onRetry={() => void account.refetch()} />}
        {account.data && (
          <>
            <Password account={account.data} />
            <SecondFactor account={account.data} />
            <Passkeys />
            <Providers account={account.data} />
            <Sessions />
          </>
        )}
      </div>
    </>
  );
}
