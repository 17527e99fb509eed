/** Changing how one signs in begins a new session: its CSRF token must be fetched before the next write. */
import { useQueryClient } from '@tanstack/react-query';
import { useCallback } from 'react';
import { getMe } from '../api/client.ts';
import { meQuery } from '../api/queries.ts';

export function useRenewedSession(): () => Promise<void> {
  const queries = useQueryClient();
  return useCallback(async () => {
    queries.setQueryData(meQuery.queryKey, await getMe());
  }, [queries]);
}
