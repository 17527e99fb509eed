/** The audit: who did what to what, newest first, and whether the record of it is whole. */
import { useInfiniteQuery } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { Download, ScrollText } from 'lucide-react';
import type { ReactNode } from 'react';
import { Button } from '../ui/button.tsx';
import { Empty, ProblemNote, SkeletonRows } from '../ui/feedback.tsx';
import { PageHead } from '../ui/page.tsx';
import { Chain } from './chain.tsx';
import { Filters } from './filters.tsx';
import { type AuditSearch, auditQuery } from './queries.ts';
import { RecordRow } from './record-row.tsx';

const route = getRouteApi('/signed-in/audit');

export function AuditPage(): ReactNode {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const setSearch = (next: AuditSearch) => void navigate({ search: () => next, replace: true });
  return (
    <>
      <PageHead title="Audit">
        <Button asChild>
          <a href="/api/v1/audit/export" download>
            <Download aria-hidden /> Export
          </a>
        </Button>
      </PageHead>
      <Chain />
      <Filters key={JSON.stringify(search)} search={search} onChange={setSearch} />
      <Records search={search} onNarrow={more => setSearch({ ...search, ...more })} />
    </>
  );
}

function Records({
  search,
  onNarrow,
}: {
  search: AuditSearch;
  onNarrow: (more: AuditSearch) => void;
}): ReactNode {
  const found = useInfiniteQuery(auditQuery(search));
  if (found.isPending) return <SkeletonRows rows={8} />;
  if (found.isError && !found.data)
    return <ProblemNote error={found.error} onRetry={() => void found.refetch()} className="m-5" />;
  const records = found.data.pages.flatMap(page => page.items);
  return (
    <>
      {records.length > 0 && (
        <ul aria-label="Records">
          {records.map(record => (
            <RecordRow key={record.id} record={record} onNarrow={onNarrow} />
          ))}
        </ul>
      )}
      {records.length === 0 && !found.hasNextPage && (
        <Empty icon={<ScrollText aria-hidden />} title="Nothing was recorded like that">
          <p>Take a condition away, or look at another time.</p>
        </Empty>
      )}
      {found.isFetchNextPageError && (
        <ProblemNote error={found.error} onRetry={() => void found.fetchNextPage()} className="m-5" />
      )}
      {found.hasNextPage && (
        <div className="flex flex-col items-center gap-2 p-4 text-ink-2 text-sm">
          {records.length === 0 && <p>Nothing found so far; there is more to search.</p>}
          <Button disabled={found.isFetchingNextPage} onClick={() => void found.fetchNextPage()}>
            {found.isFetchingNextPage ? 'Searching…' : 'Older records'}
          </Button>
        </div>
      )}
    </>
  );
}
