/**
 * Reads the journal of a tree of tasks. Steps are journaled when they end but ordered by when they began, so the
 * newest row may belong in the middle: after an event, the task concerned is read again from the start of its last
 * turn, and what is known already drops out in the merge.
 */
import { beforeMillis, mergeSteps, resumeAt } from '../journal.ts';
import { api, value } from './client.ts';
import type { Step } from './types.ts';

const pageSize = 2_000;

export async function readJournal(rootId: string, signal?: AbortSignal): Promise<Step[]> {
  let steps: Step[] = [];
  let after: string | null = null;
  for (;;) {
    const items: Step[] = await readSteps(rootId, true, after, signal);
    const known = steps.length;
    steps = mergeSteps(steps, items);
    const last = items.at(-1);
    if (items.length < pageSize || !last || steps.length === known) return steps;
    after = beforeMillis(last.started_at);
  }
}

/** What the given tasks have done since `known`. */
export async function readNewSteps(known: readonly Step[], taskIds: Iterable<string>): Promise<Step[]> {
  const pages = await Promise.all(
    [...taskIds].map(taskId => readSteps(taskId, false, resumeAt(known, taskId))),
  );
  return pages.flat();
}

async function readSteps(
  taskId: string,
  tree: boolean,
  after: string | null,
  signal?: AbortSignal,
): Promise<Step[]> {
  const query = {
    tree: tree ? ('true' as const) : ('false' as const),
    limit: pageSize,
    ...(after ? { after } : {}),
  };
  const steps = api.GET('/api/v1/tasks/{id}/steps', { params: { path: { id: taskId }, query }, signal });
  return (await value(steps)).items;
}
