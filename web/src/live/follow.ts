/** Keeps what is on the page true: batches live events, refreshes the queries they concern, appends to journals. */
import type { QueryClient } from '@tanstack/react-query';
import { readNewSteps } from '../api/journal-reader.ts';
import { journalQuery } from '../api/queries.ts';
import type { LiveEvent } from '../api/types.ts';
import { mergeSteps } from '../journal.ts';
import { batchOf, isStale } from './stale.ts';

const pauseMs = 300;

export function createFollower(queries: QueryClient): { take(events: LiveEvent[]): void; resync(): void } {
  let waiting: LiveEvent[] = [];
  let busy = false;

  async function work(): Promise<void> {
    if (busy) return;
    busy = true;
    while (waiting.length > 0) {
      const events = waiting;
      waiting = [];
      await refresh(queries, events);
      // A busy team writes many events a second: the next look waits, and takes all that came meanwhile.
      await new Promise(resolve => setTimeout(resolve, pauseMs));
    }
    busy = false;
  }

  return {
    take(events) {
      waiting.push(...events);
      void work();
    },
    resync() {
      void queries.invalidateQueries({ predicate: query => query.queryKey[0] !== 'me' });
    },
  };
}

async function refresh(queries: QueryClient, events: LiveEvent[]): Promise<void> {
  const batch = batchOf(events);
  await Promise.allSettled([
    queries.invalidateQueries({ predicate: query => isStale(batch, query.queryKey, query.state.data) }),
    ...[...batch.roots].map(root => appendToJournal(queries, root, events)),
  ]);
}

/** Only journals that are shown are kept up; another one is read anew when somebody opens it. */
async function appendToJournal(queries: QueryClient, rootId: string, events: LiveEvent[]): Promise<void> {
  const { queryKey } = journalQuery(rootId);
  const query = queries.getQueryCache().find({ queryKey });
  if (!query) return;
  if (query.getObserversCount() === 0) {
    queries.removeQueries({ queryKey });
    return;
  }
  const tasks = new Set(
    events.filter(e => e.root_task_id === rootId && e.task_id !== null).map(e => e.task_id as string),
  );
  // Waits for a first reading under way: what is journaled meanwhile may be missing in it.
  const known = await queries.ensureQueryData(journalQuery(rootId));
  const fresh = await readNewSteps(known, tasks);
  queries.setQueryData(queryKey, steps => (steps ? mergeSteps(steps, fresh) : steps));
}
