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

const signIn = createRoute({ getParentRoute: () => root, path: '/sign-in', component: SignInPage });

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

const filters: readonly TaskFilter[] = ['all', 'open', 'ended'];

const tasks = createRoute({
  getParentRoute: () => signedIn,
  path: '/',
  validateSearch: (search: Record<string, unknown>): { show?: TaskFilter; new?: true } => ({
    ...(filters.includes(search.show as TaskFilter) && search.show !== 'all'
      ? { show: search.show as TaskFilter }
      : {}),
    ...(search.new === true ? { new: true as const } : {}),
  }),
  component: TasksPage,
});

const task = createRoute({
  getParentRoute: () => signedIn,
  path: '/tasks/$taskId',
  validateSearch: (search: Record<string, unknown>): { tab?: TaskTab } =>
    taskTabs.includes(search.tab as TaskTab) ? { tab: search.tab as TaskTab } : {},
  component: TaskPage,
});

const approvals = createRoute({
  getParentRoute: () => signedIn,
  path: '/approvals',
  validateSearch: (search: Record<string, unknown>): { show?: 'decided' } =>
    search.show === 'decided' ? { show: 'decided' } : {},
  component: lazyRouteComponent(() => import('./approvals/approvals-page.tsx'), 'ApprovalsPage'),
});

const agents = createRoute({
  getParentRoute: () => signedIn,
  path: '/agents',
  validateSearch: (search: Record<string, unknown>): { agent?: string } =>
    typeof search.agent === 'string' ? { agent: search.agent } : {},
  component: lazyRouteComponent(() => import('./agents/agents-page.tsx'), 'AgentsPage'),
});

const system = createRoute({
  getParentRoute: () => signedIn,
  path: '/system',
  component: lazyRouteComponent(() => import('./system/system-page.tsx'), 'SystemPage'),
});

const routeTree = root.addChildren([signIn, signedIn.addChildren([tasks, task, approvals, agents, system])]);

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
