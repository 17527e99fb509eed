/** What advancing a run needs of the world, and what one activity of a worker knows of the run it advances. */

import { Cache } from '../../base/cache.ts';
import type { Clock } from '../../base/time.ts';
import type { Db } from '../../platform/db/db.ts';
import type { Agent, Roster } from '../agents/agents.ts';
import type { Price } from '../budgets/prices.ts';
import type { ModelCatalog, ResolvedModel } from '../models/catalog.ts';
import type { Sandbox } from '../sandboxes/port.ts';
import type { Workshop } from '../sandboxes/workshop.ts';
import type { TreeTask } from '../sandboxes/workspaces.ts';
import type { Task } from '../tasks/tasks.ts';
import type { Journal } from './journal-batch.ts';
import type { Lease } from './lease.ts';
import type { Surroundings } from './surroundings.ts';
import { appendStep, type Step, type Transcript } from './transcript.ts';

export interface Log {
  debug(facts: object, message: string): void;
  info(facts: object, message: string): void;
  warn(facts: object, message: string): void;
  error(facts: object, message: string): void;
}

/** What seldom changes, kept for a moment by each process: definitions for good, the rest for a second. */
export interface RunCaches {
  agents: Cache<Agent>;
  rosters: Cache<Roster>;
  prices: Cache<Price | null>;
}

export const newRunCaches = (clock: Clock): RunCaches => ({
  agents: new Cache(clock, 60_000, 1_000),
  rosters: new Cache(clock, 1_000, 200),
  prices: new Cache(clock, 1_000, 200),
});

export interface RunDeps {
  caches: RunCaches;
  db: Db;
  journal: Journal;
  clock: Clock;
  random: () => number;
  log: Log;
  models: ModelCatalog;
  workshop: Workshop;
}

/** One stretch of work on a run, from the claim to the next wait or the end. */
export interface Activity {
  deps: RunDeps;
  lease: Lease;
  task: Task;
  tree: TreeTask;
  agent: Agent;
  model: ResolvedModel;
  /** In force when this stretch began; null: the model is unpriced. */
  price: Price | null;
  /** Aborted when the lease is lost, the task is cancelled, or the worker has to go now. */
  signal: AbortSignal;
  /** Whether to stop at the next step: the worker drains, or the task was paused. */
  stopAtStep: () => 'drain' | 'pause' | null;
  steps: Step[];
  transcript: Transcript;
  turnCount: number;
  /** What model calls of this stretch are paid from: a reservation, its budgets, and the micro-dollars left of it. */
  held: { key: string; budgetIds: string[]; left: number } | null;
  /** What other people may change while the run goes on; looked at again after a second. */
  surroundings: Surroundings;
  /** Opened when the first tool needs it. */
  sandbox: Sandbox | null;
}

export const nowOf = (deps: { clock: Clock }): Date => new Date(deps.clock.now());
export const nextSeq = (activity: Activity): number => activity.steps.length;

/** Takes a step that was committed into what the activity knows. */
export function record(activity: Activity, step: Step): void {
  activity.steps.push(step);
  appendStep(activity.transcript, step);
}
