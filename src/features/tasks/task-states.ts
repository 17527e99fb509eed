/** Task states and the moves between them: one table that the code, the API's documentation and the page share. */
import type { TaskState } from '../../platform/db/schema.ts';

export const taskMoves: Record<TaskState, readonly TaskState[]> = {
  draft: ['queued', 'cancelled'],
  queued: ['running', 'waiting', 'paused', 'failed', 'cancelled', 'timed_out', 'dead_letter'],
  running: ['waiting', 'paused', 'in_review', 'failed', 'cancelled', 'timed_out', 'dead_letter'],
  waiting: ['running', 'queued', 'paused', 'in_review', 'failed', 'cancelled', 'timed_out', 'dead_letter'],
  paused: ['queued', 'running', 'waiting', 'failed', 'cancelled', 'timed_out', 'dead_letter'],
  in_review: ['succeeded', 'failed', 'queued', 'cancelled', 'timed_out', 'dead_letter'],
  succeeded: [],
  failed: ['queued'],
  cancelled: ['queued'],
  timed_out: ['queued'],
  dead_letter: ['queued', 'cancelled'],
};

export const endedStates = [
  'succeeded',
  'failed',
  'cancelled',
  'timed_out',
  'dead_letter',
] as const satisfies readonly TaskState[];
export const openStates = [
  'draft',
  'queued',
  'running',
  'waiting',
  'paused',
  'in_review',
] as const satisfies readonly TaskState[];
export type EndedState = (typeof endedStates)[number];

export const isEnded = (state: TaskState): state is EndedState =>
  (endedStates as readonly TaskState[]).includes(state);
export const mayMove = (from: TaskState, to: TaskState): boolean => taskMoves[from].includes(to);

/** States from which `to` can be reached. */
export const movesInto = (to: TaskState): TaskState[] =>
  (Object.keys(taskMoves) as TaskState[]).filter(from => mayMove(from, to));

/** What a person may do with a task, and from which states: feeds the buttons and their "disabled, because …". */
export const taskActions = {
  cancel: movesInto('cancelled'),
  pause: ['queued', 'running', 'waiting'],
  resume: ['paused'],
  retry: ['failed', 'cancelled', 'timed_out', 'dead_letter'],
} as const satisfies Record<string, readonly TaskState[]>;
export type TaskAction = keyof typeof taskActions;
