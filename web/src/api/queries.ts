/** What the page reads, as queries. Keys: `[noun, id?, …]`; live-stale.ts knows which events make which stale. */
import { infiniteQueryOptions, queryOptions } from '@tanstack/react-query';
import { mergeSteps } from '../journal.ts';
import { get, getAnyStatus, getMe } from './client.ts';
import { readJournal } from './journal-reader.ts';
import type {
  Agent,
  ApiKey,
  Approval,
  Check,
  Health,
  Message,
  Page,
  Step,
  TaskDetail,
  TaskSummary,
  Team,
  UsageTotal,
  Version,
} from './types.ts';

export type TaskFilter = 'all' | 'open' | 'ended';
type Items<T> = { items: T[] };

export const meQuery = queryOptions({
  queryKey: ['me'],
  queryFn: ({ signal }) => getMe(signal),
  staleTime: Number.POSITIVE_INFINITY,
});

export const tasksQuery = (filter: TaskFilter) =>
  infiniteQueryOptions({
    queryKey: ['tasks', filter],
    queryFn: ({ pageParam, signal }) =>
      get<Page<TaskSummary>>('/api/v1/tasks', {
        query: {
          limit: 50,
          cursor: pageParam,
          open: filter === 'all' ? null : String(filter === 'open'),
        },
        signal,
      }),
    initialPageParam: null as string | null,
    getNextPageParam: page => page.next_cursor,
  });

export const taskQuery = (id: string) =>
  queryOptions({
    queryKey: ['task', id],
    queryFn: ({ signal }) => get<TaskDetail>(`/api/v1/tasks/${id}`, { signal }),
  });

export const treeQuery = (rootId: string) =>
  queryOptions({
    queryKey: ['tree', rootId],
    queryFn: async ({ signal }) =>
      (await get<Items<TaskSummary>>(`/api/v1/tasks/${rootId}/tree`, { signal })).items,
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
    queryFn: async ({ signal }) => (await get<Items<Check>>(`/api/v1/tasks/${id}/checks`, { signal })).items,
  });

export const diffQuery = (id: string) =>
  queryOptions({
    queryKey: ['diff', id],
    queryFn: async ({ signal }) =>
      (await get<{ diff: string | null }>(`/api/v1/tasks/${id}/diff`, { signal })).diff,
  });

export const messagesQuery = (rootId: string) =>
  queryOptions({
    queryKey: ['messages', rootId],
    queryFn: async ({ signal }) =>
      (await get<Items<Message>>(`/api/v1/tasks/${rootId}/messages`, { signal })).items,
  });

export const approvalsQuery = (state: 'pending' | 'all') =>
  queryOptions({
    queryKey: ['approvals', state],
    queryFn: async ({ signal }) =>
      (await get<Items<Approval>>('/api/v1/approvals', { query: { state }, signal })).items,
  });

export const agentsQuery = queryOptions({
  queryKey: ['agents'],
  queryFn: async ({ signal }) => (await get<Items<Agent>>('/api/v1/agents', { signal })).items,
});

export const teamsQuery = queryOptions({
  queryKey: ['teams'],
  queryFn: async ({ signal }) => (await get<Items<Team>>('/api/v1/teams', { signal })).items,
});

export const healthQuery = queryOptions({
  queryKey: ['health'],
  queryFn: ({ signal }) => getAnyStatus<Health>('/readyz', signal),
  refetchInterval: 30_000,
});

export const versionQuery = queryOptions({
  queryKey: ['version'],
  queryFn: ({ signal }) => get<Version>('/version', { signal }),
});

export const usageQuery = queryOptions({
  queryKey: ['usage'],
  queryFn: ({ signal }) => get<UsageTotal>('/api/v1/usage', { signal }),
  refetchInterval: 10_000,
});

export const apiKeysQuery = queryOptions({
  queryKey: ['api-keys'],
  queryFn: async ({ signal }) => (await get<Items<ApiKey>>('/api/v1/api-keys', { signal })).items,
});
