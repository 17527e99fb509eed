/** What the audit screen reads. */
import { infiniteQueryOptions, queryOptions } from '@tanstack/react-query';
import { api, value } from '../api/client.ts';

export const outcomes = ['ok', 'refused', 'failed'] as const;
export type Outcome = (typeof outcomes)[number];

/** What is searched for; it stands in the address. Dates are days of the reader's calendar. */
export interface AuditSearch {
  text?: string | undefined;
  actor?: string | undefined;
  action?: string | undefined;
  target?: string | undefined;
  request?: string | undefined;
  outcome?: Outcome | undefined;
  from?: string | undefined;
  to?: string | undefined;
}

const dayMs = 86_400_000;
const startOf = (day: string): Date => new Date(`${day}T00:00:00`);

export const auditQuery = ({ request, from, to, ...rest }: AuditSearch) =>
  infiniteQueryOptions({
    queryKey: ['audit', { request, from, to, ...rest }],
    queryFn: ({ pageParam, signal }) => {
      const given = {
        ...rest,
        request_id: request,
        from: from && startOf(from).toISOString(),
        // The whole of the last day.
        to: to && new Date(startOf(to).getTime() + dayMs).toISOString(),
        cursor: pageParam ?? undefined,
      };
      const query = Object.fromEntries(Object.entries(given).filter(([, text]) => text));
      return value(api.GET('/api/v1/audit', { params: { query: { limit: 50, ...query } }, signal }));
    },
    initialPageParam: null as string | null,
    getNextPageParam: page => page.next_cursor,
  });

/** The newest seal, and how much is not sealed yet. */
export const sealsQuery = queryOptions({
  queryKey: ['audit-seals'],
  queryFn: ({ signal }) => value(api.GET('/api/v1/audit/seals', { params: { query: { limit: 1 } }, signal })),
  refetchInterval: 10_000,
});

/** The newest verification. */
export const verifiedQuery = queryOptions({
  queryKey: ['audit-verified'],
  queryFn: async ({ signal }) => {
    const query = { action: 'audit.verify', limit: 1 };
    return (await value(api.GET('/api/v1/audit', { params: { query }, signal }))).items[0] ?? null;
  },
});
