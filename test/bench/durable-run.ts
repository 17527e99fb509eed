/**
 * Durable runs: how many runs of ten steps a second, beside the raw limit in the same process, on the same
 * database: graphile-worker with the obvious journal (one row a step, one transaction a step). Ours does per step
 * what the bare one does, and the fencing check, the event, the audit record, and for model steps the reservation,
 * the settlement and the usage record.
 *
 *   bare  a job reloads its checkpoints and inserts ten of 2 KB, each in a transaction
 *   ours  a run of eleven steps: its opening, four turns of a model call and a tool call with 2 KB, and the hand-in
 */
import { Logger, type Runner, run as runQueue } from 'graphile-worker';
import { sql } from 'kysely';
import type pg from 'pg';
import { newId } from '../../src/base/ids.ts';
import { addPrice } from '../../src/features/budgets/prices.ts';
import { reviewTask } from '../../src/features/checks/review.ts';
import { type ContentPart, type ModelDriver, noUsage } from '../../src/features/models/port.ts';
import { newRunCaches } from '../../src/features/runs/context.ts';
import { type Journal, openJournal, writesAtOnce } from '../../src/features/runs/journal-batch.ts';
import { queuePool, Worker } from '../../src/features/runs/worker.ts';
import { type Db, openDb, openPool, type PoolSettings, transact } from '../../src/platform/db/db.ts';
import { startTestApp, type TestApp } from '../harness/app.ts';
import { openTestDatabase } from '../harness/database.ts';
import { openTask } from '../harness/tasks.ts';

export interface RoundResult {
  runsPerSecond: number;
  cpuMsPerRun: number;
}

const payload = 'x'.repeat(2_000);
const stepsPerRun = 10;

/** The raw limit: what the obvious design costs. Jobs are enqueued first; measured is from the worker's start to the last run. */
export async function bareRound(
  owner: Db,
  appRole: string,
  pool: pg.Pool,
  concurrency: number,
  runs: number,
): Promise<RoundResult> {
  await sql`create table if not exists bench_steps (run_id text, seq integer, data jsonb, primary key (run_id, seq))`.execute(
    owner,
  );
  await sql`grant all on bench_steps to ${sql.id(appRole)}`.execute(owner);
  for (let i = 0; i < runs; i++) {
    await pool.query("select graphile_worker.add_job('bench.run', json_build_object('run_id', $1::text))", [
      newId('run'),
    ]);
  }
  let done = 0;
  let finish = () => {};
  const finished = new Promise<void>(resolve => {
    finish = resolve;
  });
  let runner: Runner | null = null;
  const result = await measure(runs, async () => {
    runner = await runQueue({
      pgPool: pool,
      concurrency,
      noHandleSignals: true,
      parsedCronItems: [],
      logger: new Logger(() => () => {}),
      taskList: {
        'bench.run': async job => {
          await advanceBare(pool, (job as { run_id: string }).run_id);
          done += 1;
          if (done === runs) finish();
        },
      },
    });
    await finished;
  });
  await (runner as Runner | null)?.stop();
  return result;
}

async function advanceBare(pool: pg.Pool, runId: string): Promise<void> {
  const { rows } = await pool.query('select seq from bench_steps where run_id = $1 order by seq', [runId]);
  for (let seq = rows.length; seq < stepsPerRun; seq++) {
    const client = await pool.connect();
    try {
      await client.query('begin');
      await client.query('insert into bench_steps (run_id, seq, data) values ($1, $2, $3)', [
        runId,
        seq,
        JSON.stringify({ payload }),
      ]);
      await client.query('commit');
    } finally {
      client.release();
    }
  }
}

/** Four turns with a tool call of 2 KB each, then the hand-in; answers at once, since what is measured is the run. */
const model: ModelDriver = {
  provider: 'programmed',
  close: async () => {},
  call: async ({ model: name, messages }) => {
    const turn = messages.filter(m => m.role === 'assistant').length;
    const content: ContentPart[] =
      turn < 4
        ? [
            { type: 'text', text: payload },
            { type: 'tool_call', id: `call_${turn}`, name: 'no_such_tool', arguments: { text: payload } },
          ]
        : [
            {
              type: 'tool_call',
              id: 'call_last',
              name: 'submit_result',
              arguments: { decision: 'gave_up', summary: 'done' },
            },
          ];
    const usage = { ...noUsage, input_tokens: 1_000 * (turn + 1), output_tokens: 1_000 };
    const identity = { model: name, provider_request_id: null, first_token_ms: 0, total_ms: 0 };
    return { ok: true, content, stop: 'tool_calls', usage, usage_exact: true, ...identity };
  },
};

/** A Guildhall without a worker of its own. */
export async function startOurs(): Promise<TestApp> {
  const database = await openTestDatabase({ durable: true });
  return startTestApp({
    roles: ['api'],
    database,
    modelDrivers: [model],
    env: { GUILDHALL_MODEL: 'programmed/bench' },
  });
}

export async function openTasks(guildhall: TestApp, count: number): Promise<void> {
  const { db } = guildhall.database;
  await transact(db, tx =>
    addPrice(tx, {
      provider: 'programmed',
      model: 'bench',
      valid_from: new Date(0),
      input_micros: 1_000_000,
      cached_read_micros: 0,
      cached_write_micros: 0,
      output_micros: 1_000_000,
      source: 'bench',
    }),
  );
  for (let i = 0; i < count; i++) await openTask(guildhall, { budgetMicros: 100_000_000 });
}

let queue: pg.Pool | null = null;
let journal: Journal | null = null;

/** A worker as the app makes it; all of them on the same connections. */
export function newWorker(guildhall: TestApp, concurrency: number): Worker {
  const { db, log, models, workshop } = guildhall.app;
  const { system } = guildhall.database;
  const open = (settings: PoolSettings) => openPool({ ...system, ...settings }, () => {});
  queue ??= open(queuePool);
  journal ??= openJournal(openDb(open({ max: writesAtOnce })));
  const clock = { now: () => Date.now() };
  return new Worker(
    {
      db,
      journal,
      clock,
      random: Math.random,
      log,
      models,
      workshop,
      caches: newRunCaches(clock),
    },
    {
      pool: queue,
      concurrency,
      leaseMs: 30_000,
      drainMs: 1_000,
      handlers: {
        'task.review': ({ task_id }, signal) => reviewTask({ db, clock, log, workshop }, task_id, signal),
      },
    },
  );
}

/** From the worker's start until every run has ended, with the same tasks under budgets. */
export async function ourRound(guildhall: TestApp, concurrency: number, runs: number): Promise<RoundResult> {
  const { db } = guildhall.database;
  await openTasks(guildhall, runs);
  const worker = newWorker(guildhall, concurrency);
  const result = await measure(runs, async () => {
    await worker.start();
    for (;;) {
      const open = await db
        .selectFrom('runs')
        .where('state', 'in', ['queued', 'running', 'waiting'])
        .select('id')
        .limit(1)
        .executeTakeFirst();
      if (!open) return;
      await new Promise(resolve => setTimeout(resolve, 20));
    }
  });
  await worker.drain();
  return result;
}

async function measure(runs: number, work: () => Promise<void>): Promise<RoundResult> {
  const cpu = process.cpuUsage();
  const start = performance.now();
  await work();
  const seconds = (performance.now() - start) / 1000;
  const used = process.cpuUsage(cpu);
  return { runsPerSecond: runs / seconds, cpuMsPerRun: (used.user + used.system) / 1000 / runs };
}
