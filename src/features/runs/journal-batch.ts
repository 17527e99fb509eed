/**
 * Steps that runs of one worker finish at about the same moment are committed together: while one write is under
 * way the others line up, and the next write takes them all. A lone step is written at once. Every step keeps its
 * own fencing check, and each is told by itself whether it counts.
 */
import { CompiledQuery } from 'kysely';
import { type Db, isConnectionLoss } from '../../platform/db/db.ts';
import type { NewStep, StepUsage } from './journal.ts';
import { type Lease, LeaseLost } from './lease.ts';

/** Writes under way at a time: one waits for the disk while the next gathers. */
export const writesAtOnce = 2;
/** Steps in one write, at most. */
const mostSteps = 64;

interface Waiting {
  lease: Lease;
  now: Date;
  step: NewStep;
  usage: StepUsage | null;
  resolve: () => void;
  reject: (error: unknown) => void;
}

export interface Journal {
  /**
   * Appends a step, with its usage record if it has one.
   * @throws LeaseLost when this worker may not write for the run any more.
   */
  append(lease: Lease, now: Date, step: NewStep, usage?: StepUsage): Promise<void>;
}

/** @param db with `writesAtOnce` connections of its own: a step waits for no other query. */
export function openJournal(db: Db): Journal {
  let waiting: Waiting[] = [];
  let writing = 0;
  let scheduled = false;

  const write = async (some: Waiting[]): Promise<void> => {
    try {
      const written = await insert(db, some, some.length > 1);
      const missed: Waiting[] = [];
      for (const entry of some) {
        if (written.has(entry.lease.runId)) entry.resolve();
        else if (some.length === 1) entry.reject(new LeaseLost(entry.lease));
        else missed.push(entry);
      }
      await writeSingly(missed);
    } catch (error) {
      // One that the database cannot store must not take the others along.
      if (some.length > 1 && !isConnectionLoss(error)) return writeSingly(some);
      for (const entry of some) entry.reject(error);
    }
  };
  const writeSingly = async (some: Waiting[]): Promise<void> => {
    await Promise.all(some.map(entry => write([entry])));
  };
  const next = (): void => {
    scheduled = false;
    while (waiting.length > 0 && writing < writesAtOnce) {
      const some = waiting.slice(0, mostSteps);
      waiting = waiting.slice(some.length);
      writing += 1;
      void write(some).finally(() => {
        writing -= 1;
        next();
      });
    }
  };
  return {
    append: (lease, now, step, usage) =>
      new Promise((resolve, reject) => {
        waiting.push({ lease, now, step, usage: usage ?? null, resolve, reject });
        if (scheduled) return;
        scheduled = true;
        setImmediate(next);
      }),
  };
}

/** Columns of a step and of its usage record, with their types, in the order of the parameters. */
const stepColumns = {
  run_id: 'text',
  fencing_token: 'bigint',
  seq: 'integer',
  organization_id: 'text',
  task_id: 'text',
  root_task_id: 'text',
  kind: 'text',
  name: 'text',
  call_id: 'text',
  outcome: 'text',
  data: 'jsonb',
  idempotency_key: 'text',
  actor: 'text',
  request_id: 'text',
  started_at: 'timestamptz',
  ended_at: 'timestamptz',
} as const;

const usageColumns = {
  project_id: 'text',
  agent_id: 'text',
  reservation_key: 'text',
  provider: 'text',
  model: 'text',
  input_tokens: 'bigint',
  cached_read_tokens: 'bigint',
  cached_write_tokens: 'bigint',
  output_tokens: 'bigint',
  reasoning_tokens: 'bigint',
  exact: 'boolean',
  price_id: 'text',
  cost_micros: 'bigint',
} as const;

const columns = { ...stepColumns, ...usageColumns };
const names = (of: object): string => Object.keys(of).join(', ');
const parameters = Object.values(columns).map((type, i) => `$${i + 1}::${type}[]`);

/** Rows that others hold locked are passed over when there are several: waiting for them would hold up the rest, and could deadlock. */
const statement = (skipLocked: boolean, more = ''): string => `with given as materialized (
    select * from unnest(${parameters.join(', ')}) as i(${names(columns)})),
  fenced as materialized (
    select i.*, held.failure_count from given i cross join lateral (
      select r.failure_count from runs r where r.id = i.run_id and r.fencing_token = i.fencing_token and r.state = 'running'
      for share ${skipLocked ? 'skip locked' : ''}) held),
  step as (
    insert into steps (${names(stepColumns)}) select ${names(stepColumns)} from fenced on conflict (run_id, seq) do nothing returning run_id),
  used as (
    insert into usage_records (${names(usageColumns)}, idempotency_key, organization_id, task_id, root_task_id, run_id, created_at)
    select ${names(usageColumns)}, idempotency_key, organization_id, task_id, root_task_id, run_id, ended_at
    from fenced join step using (run_id) where provider is not null),
  recovered as (
    update runs set failure_count = 0 from fenced where runs.id = fenced.run_id and fenced.failure_count > 0)
  select run_id ${more} from step`;

/** An opening need not survive the machine by itself: it is composed again, and what comes after takes it along. */
const unhurried = ", set_config('synchronous_commit', 'off', true)";
const statements = {
  alone: statement(false),
  together: statement(true),
  openingAlone: statement(false, unhurried),
  openingsTogether: statement(true, unhurried),
};

function statementFor(some: readonly Waiting[], together: boolean): string {
  const openings = some.every(({ step }) => step.seq === 0);
  if (together) return openings ? statements.openingsTogether : statements.together;
  return openings ? statements.openingAlone : statements.alone;
}

/** @returns the runs whose step was written. */
async function insert(db: Db, some: Waiting[], together: boolean): Promise<Set<string>> {
  const rows = some.map(valuesOf);
  const values = Object.keys(columns).map((_, column) => rows.map(row => row[column]));
  const { rows: written } = await db.executeQuery(
    CompiledQuery.raw(statementFor(some, together), values) as CompiledQuery<{
      run_id: string;
    }>,
  );
  return new Set(written.map(row => row.run_id));
}

function valuesOf({ lease, now, step, usage }: Waiting): unknown[] {
  const t = usage?.tokens;
  return [
    lease.runId,
    lease.fencingToken,
    step.seq,
    lease.actor.organizationId,
    lease.taskId,
    lease.rootTaskId,
    step.kind,
    step.name,
    step.call_id,
    step.outcome,
    JSON.stringify(step.data),
    step.idempotencyKey,
    lease.actor.id,
    lease.actor.requestId,
    step.startedAt,
    now,
    usage?.projectId ?? null,
    usage?.agentId ?? null,
    usage?.reservationKey ?? null,
    usage?.provider ?? null,
    usage?.model ?? null,
    t?.input_tokens ?? null,
    t?.cached_read_tokens ?? null,
    t?.cached_write_tokens ?? null,
    t?.output_tokens ?? null,
    t?.reasoning_tokens ?? null,
    usage?.exact ?? null,
    usage?.priceId ?? null,
    usage?.costMicros ?? null,
  ];
}
