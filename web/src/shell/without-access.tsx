/** The frame for somebody who is signed in and may do nothing yet: what that means, their account, the way out. */
import { useQuery } from '@tanstack/react-query';
import { Link, Outlet, useLocation } from '@tanstack/react-router';
import { DoorClosed } from 'lucide-react';
import type { ReactNode } from 'react';
import { accountQuery } from '../api/queries.ts';
import type { Me } from '../api/types.ts';
import { Button } from '../ui/button.tsx';
import { Empty } from '../ui/feedback.tsx';
import { PageHead } from '../ui/page.tsx';
import { Logo } from './logo.tsx';
import { SignOut } from './navigation.tsx';
import { ThemeSwitch } from './theme-switch.tsx';

export function WithoutAccess({ me, onRetry }: { me: Me; onRetry: () => void }): ReactNode {
  const { pathname } = useLocation();
  return (
    <div className="min-h-dvh">
      <div className="sticky top-0 z-30 flex h-12 items-center gap-2 border-line border-b bg-sunken px-3 sm:px-5">
        <Link to="/" className="flex items-center gap-2 rounded-md">
          <Logo className="size-6" />
          <span className="font-semibold tracking-tight">Guildhall</span>
        </Link>
        <span className="ml-auto flex min-w-0 items-center">
          <Button asChild look="quiet" className="min-w-0">
            <Link to="/account" aria-label={`Account of ${me.member.name}`}>
              <span className="truncate">{me.member.name}</span>
            </Link>
          </Button>
          <ThemeSwitch />
          <SignOut />
        </span>
      </div>
      <main id="content" tabIndex={-1} className="min-w-0 outline-none">
        {pathname === '/account' ? <Outlet /> : <Waiting onRetry={onRetry} />}
      </main>
    </div>
  );
}

function Waiting({ onRetry }: { onRetry: () => void }): ReactNode {
  const { data: account } = useQuery(accountQuery);
  return (
    <>
      <PageHead title="Welcome" />
      <Empty icon={<DoorClosed aria-hidden />} title="You have no access yet">
        <p>
          You are signed in{account?.email && ` as ${account.email}`}. Ask somebody who manages members here
          for a role; it counts at once.
        </p>
        <Button onClick={onRetry}>I have been given one</Button>
      </Empty>
    </>
  );
}
