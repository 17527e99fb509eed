/** What the page reads, as queries. Keys: `[noun, id?, …]`; live/stale.ts knows which events make which stale. */
import { infiniteQueryOptions, queryOptions } from '@tanstack/react-query';
import { mergeSteps } from '../journal.ts';
import { api, getHealth, getMe, value } from './client.ts';
import { readJournal } from './journal-reader.ts';
import type { Step } from './types.ts';

export type TaskFilter = 'all' | 'open' | 'ended';
const openParam = { all: {}, open: { open: 'true' }, ended: { open: 'false' } } as const;

export const meQuery = queryOptions({
  queryKey: ['me'],
  queryFn: ({ signal }) => getMe(signal),
  staleTime: Number.POSITIVE_INFINITY,
});

/** Ways to sign in. Asked also by who is not signed in. */
export const signInMethodsQuery = queryOptions({
  queryKey: ['sign-in-methods'],
  queryFn: ({ signal }) => value(api.GET('/api/v1/auth/methods', { signal })),
});

export const accountQuery = queryOptions({
  queryKey: ['account'],
  queryFn: ({ signal }) => value(api.GET('/api/v1/account', { signal })),
});

export const passkeysQuery = queryOptions({
  queryKey: ['passkeys'],
  queryFn: async ({ signal }) => (await value(api.GET('/api/v1/account/passkeys', { signal }))).items,
});

export const sessionsQuery = queryOptions({
  queryKey: ['sessions'],
  queryFn: async ({ signal }) => (await value(api.GET('/api/v1/sessions', { signal }))).items,
});

export const invitationsQuery = queryOptions({
  queryKey: ['invitations'],
  queryFn: async ({ signal }) => (await value(api.GET('/api/v1/invitations', { signal }))).items,
});

export const tasksQuery = (filter: TaskFilter) =>
  infiniteQueryOptions({
    queryKey: ['tasks', filter],
    queryFn: ({ pageParam, signal }) =>
      value(
        api.GET('/api/v1/tasks', {
          params: { query: { limit: 50, ...openParam[filter], ...(pageParam ? { cursor: pageParam } : {}) } },
          signal,
        }),
      ),
    initialPageParam: null as string | null,
    getNextPageParam: page => page.next_cursor,
  });

export const taskQuery = (id: string) =>
  queryOptions({
    queryKey: ['task', id],
    queryFn: ({ signal }) => value(api.GET('/api/v1/tasks/{id}', { params: { path: { id } }, signal })),
  });

export const treeQuery = (rootId: string) =>
  queryOptions({
    queryKey: ['tree', rootId],
    queryFn: async ({ signal }) =>
      (await value(api.GET('/api/v1/tasks/{id}/tree', { params: { path: { id: rootId } }, signal }))).items,
  });

/** The journal of a whole tree. Live updates append to it; it is read in full only once. */
export const journalQuery = (rootId: string) =>
  queryOptions({
    queryKey: ['journal', rootId],
    queryFn: async ({ client, signal }) => {
      const steps = await readJournal(rootId, signal);
      // Merged, because live updates may have been faster than this reading.
      return mergeSteps(client.getQueryData<Step[]>(['journal', rootId]) ?? [], steps);
    },
    staleTime: Number.POSITIVE_INFINITY,
    structuralSharing: false,
  });

export const checksQuery = (id: string) =>
  queryOptions({
    queryKey: ['checks', id],
    queryFn: async ({ signal }) =>
      (await value(api.GET('/api/v1/tasks/{id}/checks', { params: { path: { id } }, signal }))).items,
  });

export const diffQuery = (id: string) =>
  queryOptions({
    queryKey: ['diff', id],
    queryFn: async ({ signal }) =>
      (await value(api.GET('/api/v1/tasks/{id}/diff', { params: { path: { id } }, signal }))).diff,
  });

export const messagesQuery = (rootId: string) =>
  queryOptions({
    queryKey: ['messages', rootId],
    queryFn: async ({ signal }) =>
      (await value(api.GET('/api/v1/tasks/{id}/messages', { params: { path: { id: rootId } }, signal })))
        .items,
  });

export const approvalsQuery = (state: 'pending' | 'all') =>
  queryOptions({
    queryKey: ['approvals', state],
    queryFn: async ({ signal }) =>
      (await value(api.GET('/api/v1/approvals', { params: { query: { state } }, signal }))).items,
  });

export const agentsQuery = queryOptions({
  queryKey: ['agents'],
  queryFn: async ({ signal }) => (await value(api.GET('/api/v1/agents', { signal }))).items,
});

export const teamsQuery = queryOptions({
  queryKey: ['teams'],
  queryFn: async ({ signal }) => (await value(api.GET('/api/v1/teams', { signal }))).items,
});

export const healthQuery = queryOptions({
  queryKey: ['health'],
  queryFn: ({ signal }) => getHealth(signal),
  refetchInterval: 30_000,
});

export const versionQuery = queryOptions({
  queryKey: ['version'],
  queryFn: ({ signal }) => value(api.GET('/version', { signal })),
});

export const usageQuery = queryOptions({
  queryKey: ['usage'],
  queryFn: ({ signal }) => value(api.GET('/api/v1/usage', { signal })),
  refetchInterval: 10_000,
});

export const apiKeysQuery = queryOptions({
  queryKey: ['api-keys'],
  queryFn: async ({ signal }) => (await value(api.GET('/api/v1/api-keys', { signal }))).items,
});

export const membersQuery = queryOptions({
  queryKey: ['members'],
  queryFn: async ({ signal }) => (await value(api.GET('/api/v1/members', { signal }))).items,
});

export const projectsQuery = queryOptions({
  queryKey: ['projects'],
  queryFn: async ({ signal }) => (await value(api.GET('/api/v1/projects', { signal }))).items,
});

export const serviceAccountsQuery = queryOptions({
  queryKey: ['service-accounts'],
  queryFn: async ({ signal }) => (await value(api.GET('/api/v1/service-accounts', { signal }))).items,
});
