/** The map of the page. State that is worth a link (filter, tab, chosen agent) lives in the address. */
import type { QueryClient } from '@tanstack/react-query';
import {
  createRootRouteWithContext,
  createRoute,
  createRouter,
  lazyRouteComponent,
  Outlet,
  redirect,
} from '@tanstack/react-router';
import { ApiError } from './api/client.ts';
import { meQuery, type TaskFilter } from './api/queries.ts';
import { type AuditSearch, outcomes } from './audit/queries.ts';
import { Crash, NotFound } from './shell/crash.tsx';
import { Shell } from './shell/shell.tsx';
import { SignInPage } from './sign-in/sign-in-page.tsx';
import { type TaskTab, taskTabs } from './task/tabs.ts';
import { TaskPage } from './task/task-page.tsx';
import { TasksPage } from './tasks/tasks-page.tsx';

const root = createRootRouteWithContext<{ queryClient: QueryClient }>()({
  component: Outlet,
  notFoundComponent: NotFound,
  errorComponent: Crash,
});

/** What the way back from an outside provider says in the address. */
const withProblem = (search: Record<string, unknown>): { problem?: string } => ({
  problem: typeof search.problem === 'string' ? search.problem : undefined,
});

const signIn = createRoute({
  getParentRoute: () => root,
  path: '/sign-in',
  validateSearch: withProblem,
  component: SignInPage,
});

const setPassword = createRoute({
  getParentRoute: () => root,
  path: '/set-password',
  component: lazyRouteComponent(() => import('./sign-in/set-password-page.tsx'), 'SetPasswordPage'),
});

const invitation = createRoute({
  getParentRoute: () => root,
  path: '/invitation',
  component: lazyRouteComponent(() => import('./sign-in/invitation-page.tsx'), 'InvitationPage'),
});

const signedIn = createRoute({
  getParentRoute: () => root,
  id: 'signed-in',
  beforeLoad: async ({ context }) => {
    try {
      await context.queryClient.ensureQueryData(meQuery);
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) throw redirect({ to: '/sign-in' });
      throw error;
    }
  },
  component: Shell,
  errorComponent: Crash,
});

const filters: readonly TaskFilter[] = ['open', 'ended'];

/** What an address may say; anything else counts as not said. Undefined, not absent: the router merges what is given. */
const oneOf = <T extends string>(allowed: readonly T[], given: unknown): T | undefined =>
  allowed.find(each => each === given);

const tasks = createRoute({
  getParentRoute: () => signedIn,
  path: '/',
  validateSearch: (search: Record<string, unknown>): { show?: TaskFilter; new?: true } => ({
    show: oneOf(filters, search.show),
    new: search.new === true ? true : undefined,
  }),
  component: TasksPage,
});

const task = createRoute({
  getParentRoute: () => signedIn,
  path: '/tasks/$taskId',
  validateSearch: (search: Record<string, unknown>): { tab?: TaskTab } => ({
    tab: oneOf(taskTabs, search.tab),
  }),
  component: TaskPage,
});

const approvals = createRoute({
  getParentRoute: () => signedIn,
  path: '/approvals',
  validateSearch: (search: Record<string, unknown>): { show?: 'decided' } => ({
    show: oneOf(['decided'] as const, search.show),
  }),
  component: lazyRouteComponent(() => import('./approvals/approvals-page.tsx'), 'ApprovalsPage'),
});

const agents = createRoute({
  getParentRoute: () => signedIn,
  path: '/agents',
  validateSearch: (search: Record<string, unknown>): { agent?: string } => ({
    agent: typeof search.agent === 'string' ? search.agent : undefined,
  }),
  component: lazyRouteComponent(() => import('./agents/agents-page.tsx'), 'AgentsPage'),
});

const textOf = (given: unknown): string | undefined =>
  typeof given === 'string' && given !== '' ? given : undefined;

const audit = createRoute({
  getParentRoute: () => signedIn,
  path: '/audit',
  validateSearch: (search: Record<string, unknown>): AuditSearch => ({
    text: textOf(search.text),
    actor: textOf(search.actor),
    action: textOf(search.action),
    target: textOf(search.target),
    request: textOf(search.request),
    outcome: oneOf(outcomes, search.outcome),
    from: textOf(search.from),
    to: textOf(search.to),
  }),
  component: lazyRouteComponent(() => import('./audit/audit-page.tsx'), 'AuditPage'),
});

const access = createRoute({
  getParentRoute: () => signedIn,
  path: '/access',
  component: lazyRouteComponent(() => import('./access/access-page.tsx'), 'AccessPage'),
});

const system = createRoute({
  getParentRoute: () => signedIn,
  path: '/system',
  component: lazyRouteComponent(() => import('./system/system-page.tsx'), 'SystemPage'),
});

const account = createRoute({
  getParentRoute: () => signedIn,
  path: '/account',
  validateSearch: withProblem,
  component: lazyRouteComponent(() => import('./account/account-page.tsx'), 'AccountPage'),
});

const routeTree = root.addChildren([
  signIn,
  setPassword,
  invitation,
  signedIn.addChildren([account, tasks, task, approvals, agents, access, audit, system]),
]);

export function createPageRouter(queryClient: QueryClient) {
  return createRouter({
    routeTree,
    context: { queryClient },
    defaultPreload: 'intent',
    scrollRestoration: true,
    defaultPendingMs: 300,
  });
}

declare module '@tanstack/react-router' {
  interface Register {
    router: ReturnType<typeof createPageRouter>;
  }
}
