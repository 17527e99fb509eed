/** Navigation: a column beside the page on wide screens, a bar above and one below on narrow ones. */
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Link, useNavigate } from '@tanstack/react-router';
import {
  Activity,
  CircleQuestionMark,
  CircleUser,
  KeyRound,
  ListTodo,
  LogOut,
  type LucideIcon,
  ScrollText,
  Search,
  Users,
} from 'lucide-react';
import type { ReactNode } from 'react';
import { api, write } from '../api/client.ts';
import { approvalsQuery, healthQuery, meQuery } from '../api/queries.ts';
import type { LiveState } from '../live/stream.ts';
import { Button, IconButton } from '../ui/button.tsx';
import { cn } from '../ui/cn.ts';
import { Tip } from '../ui/tip.tsx';
import { Logo } from './logo.tsx';
import { ThemeSwitch } from './theme-switch.tsx';

interface Place {
  to: '/' | '/approvals' | '/agents' | '/access' | '/audit' | '/system';
  label: string;
  icon: LucideIcon;
  /** Only for these roles; and on narrow screens it is reached from System. */
  roles?: readonly string[];
}

export const places: Place[] = [
  { to: '/', label: 'Tasks', icon: ListTodo },
  { to: '/approvals', label: 'Approvals', icon: CircleQuestionMark },
  { to: '/agents', label: 'Agents', icon: Users },
  { to: '/access', label: 'Access', icon: KeyRound },
  { to: '/audit', label: 'Audit', icon: ScrollText, roles: ['owner', 'admin', 'auditor'] },
  { to: '/system', label: 'System', icon: Activity },
];

const modifier = /Mac|iPhone|iPad/.test(navigator.platform) ? '⌘' : 'Ctrl';

export function Navigation({ live, onPalette }: { live: LiveState; onPalette: () => void }): ReactNode {
  return (
    <>
      <aside className="fixed inset-y-0 left-0 z-30 hidden w-52 flex-col border-line border-r bg-sunken md:flex">
        <div className="flex h-12 items-center gap-2 px-4">
          <Logo className="size-6" />
          <span className="font-semibold tracking-tight">Guildhall</span>
          <span className="ml-auto">
            <LiveDot state={live} />
          </span>
        </div>
        <button
          type="button"
          onClick={onPalette}
          className="mx-3 mb-3 flex h-8 items-center gap-2 rounded-md border border-line bg-surface px-2.5 text-ink-3 text-sm hover:border-line-strong hover:text-ink-2"
        >
          <Search className="size-3.5" aria-hidden /> Go to…
          <kbd className="ml-auto rounded border border-line px-1 font-sans text-[11px]">{modifier} K</kbd>
        </button>
        <nav aria-label="Main" className="flex flex-col gap-0.5 px-3">
          {places.map(place => (
            <NavLink key={place.to} place={place} />
          ))}
        </nav>
        <Account />
      </aside>

      <div className="sticky top-0 z-30 flex h-12 items-center gap-2 border-line border-b bg-sunken px-3 md:hidden">
        <Logo className="size-6" />
        <span className="font-semibold tracking-tight">Guildhall</span>
        <LiveDot state={live} />
        <span className="ml-auto flex items-center">
          <IconButton name="Go to…" onClick={onPalette}>
            <Search />
          </IconButton>
          <Tip text="Account">
            <Button asChild look="quiet" size="icon">
              <Link to="/account" aria-label="Account">
                <CircleUser />
              </Link>
            </Button>
          </Tip>
          <ThemeSwitch />
          <SignOut />
        </span>
      </div>
      <nav
        aria-label="Main"
        className="fixed inset-x-0 bottom-0 z-30 grid h-14 grid-cols-5 border-line border-t bg-sunken md:hidden"
      >
        {places.map(place => (
          <NavLink key={place.to} place={place} narrow />
        ))}
      </nav>
    </>
  );
}

function NavLink({ place, narrow }: { place: Place; narrow?: boolean }): ReactNode {
  const { data: me } = useQuery(meQuery);
  if (place.roles && (narrow || !place.roles.includes(me?.member.role ?? ''))) return null;
  const Icon = place.icon;
  return (
    <Link
      to={place.to}
      activeOptions={{ exact: place.to !== '/', includeSearch: false }}
      className={cn(
        'relative flex items-center text-ink-2 hover:text-ink [&.active]:text-ink',
        narrow
          ? 'flex-col justify-center gap-0.5 text-xs [&.active_svg]:text-accent'
          : 'h-8 gap-2.5 rounded-md px-2.5 hover:bg-hover [&.active]:bg-hover [&.active]:font-medium',
      )}
    >
      <Icon className="size-4" aria-hidden />
      {place.label}
      {place.to === '/approvals' && <PendingCount narrow={narrow} />}
      {place.to === '/system' && <SystemDot narrow={narrow} />}
    </Link>
  );
}

function PendingCount({ narrow }: { narrow?: boolean | undefined }): ReactNode {
  const { data } = useQuery(approvalsQuery('pending'));
  if (!data?.length) return null;
  return (
    <span
      className={cn(
        'tnum min-w-5 rounded-full bg-warn-soft px-1.5 text-center font-semibold text-warn text-xs leading-5',
        narrow ? 'absolute top-1 left-1/2 ml-2' : 'ml-auto',
      )}
    >
      {data.length}
      <span className="sr-only"> pending</span>
    </span>
  );
}

function SystemDot({ narrow }: { narrow?: boolean | undefined }): ReactNode {
  const { data } = useQuery(healthQuery);
  if (!data || data.components.every(c => c.state === 'ok')) return null;
  return (
    <span
      className={cn(
        'size-2 rounded-full',
        data.ready ? 'bg-warn' : 'bg-bad',
        narrow ? 'absolute top-2 left-1/2 ml-3' : 'ml-auto mr-1.5',
      )}
    >
      <span className="sr-only">needs attention</span>
    </span>
  );
}

const liveWords: Record<LiveState, { text: string; dot: string }> = {
  live: { text: 'Live: changes appear as they happen', dot: 'bg-ok' },
  connecting: { text: 'Connecting…', dot: 'bg-ink-3 animate-pulse' },
  lost: { text: 'Connection lost; trying again', dot: 'bg-warn animate-pulse' },
  signed_out: { text: 'Signed out', dot: 'bg-ink-3' },
};

function LiveDot({ state }: { state: LiveState }): ReactNode {
  const { text, dot } = liveWords[state];
  return (
    <Tip text={text}>
      <button
        type="button"
        aria-label={text}
        className="flex h-6 cursor-default! items-center gap-1.5 rounded px-1 text-ink-3 text-xs"
      >
        <span className={cn('size-2 rounded-full', dot)} />
        {state === 'lost' && 'Reconnecting'}
      </button>
    </Tip>
  );
}

function Account(): ReactNode {
  const { data: me } = useQuery(meQuery);
  return (
    <div className="mt-auto flex items-center gap-1 border-line border-t p-3">
      <Link
        to="/account"
        aria-label={`Account of ${me?.member.name ?? 'you'}`}
        className="min-w-0 flex-1 rounded-md py-1 pl-1.5 leading-tight hover:bg-hover"
      >
        <p className="truncate font-medium text-sm">{me?.member.name}</p>
        <p className="truncate text-ink-3 text-xs first-letter:uppercase">{me?.member.role}</p>
      </Link>
      <ThemeSwitch />
      <SignOut />
    </div>
  );
}

export function SignOut(): ReactNode {
  const queries = useQueryClient();
  const navigate = useNavigate();
  async function signOut(): Promise<void> {
    await write(() => api.POST('/api/v1/sign-out')).catch(() => undefined);
    queries.clear();
    await navigate({ to: '/sign-in' });
  }
  return (
    <IconButton name="Sign out" onClick={() => void signOut()}>
      <LogOut />
    </IconButton>
  );
}
