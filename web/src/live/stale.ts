/** Which queries an event makes stale. Pure, so that it can be shown to touch what it must and nothing else. */
import type { LiveEvent, TaskSummary } from '../api/types.ts';

export interface Batch {
  types: ReadonlySet<string>;
  tasks: ReadonlySet<string>;
  roots: ReadonlySet<string>;
  /** Roots of trees where more happened than another journaled step. */
  moved: ReadonlySet<string>;
  /** Whether a task at the top of its tree is new or in another state. */
  listed: boolean;
}

const noun = (type: string): string => type.split('.')[0] as string;

export function batchOf(events: readonly LiveEvent[]): Batch {
  const present = (ids: (string | null)[]) => new Set(ids.filter(id => id !== null));
  return {
    types: new Set(events.map(e => noun(e.type))),
    tasks: present(events.map(e => e.task_id)),
    roots: present(events.map(e => e.root_task_id)),
    moved: present(events.filter(e => noun(e.type) !== 'step').map(e => e.root_task_id)),
    listed: events.some(e => noun(e.type) === 'task' && e.task_id === e.root_task_id),
  };
}

/** @param data what the query holds now: a task knows its root. */
export function isStale(batch: Batch, key: readonly unknown[], data: unknown): boolean {
  const [kind, id] = key as [string, string | undefined];
  switch (kind) {
    case 'tasks':
      return batch.listed;
    case 'task':
      return (
        batch.tasks.has(id as string) ||
        batch.roots.has((data as TaskSummary | undefined)?.root_task_id ?? '')
      );
    case 'tree':
    case 'messages':
      return batch.moved.has(id as string);
    case 'checks':
    case 'diff':
      return batch.tasks.has(id as string) || batch.moved.has(id as string);
    case 'approvals':
      return batch.types.has('approval') || batch.types.has('run');
    case 'agents':
      return ['agent', 'team', 'run', 'task'].some(type => batch.types.has(type));
    case 'teams':
      return batch.types.has('team');
    case 'api-keys':
      return batch.types.has('api_key');
    case 'members':
      return batch.types.has('member');
    case 'projects':
      return batch.types.has('project');
    case 'service-accounts':
      return batch.types.has('service_account');
    default:
      return false;
  }
}
