/** A task and all below it. The list must have parents before children, as the API gives it. */
import type { TaskSummary } from '../api/types.ts';

export function subtreeOf<T extends Pick<TaskSummary, 'id' | 'parent_task_id'>>(
  tree: readonly T[],
  id: string,
): T[] {
  const inside = new Set([id]);
  return tree.filter(task => {
    if (task.parent_task_id !== null && inside.has(task.parent_task_id)) inside.add(task.id);
    return inside.has(task.id);
  });
}
