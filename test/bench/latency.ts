/** Enqueue → first step, beside an empty graphile-worker job in the same process: medians and 95th percentiles. */
import { Logger, run as runQueue } from 'graphile-worker';
import pg from 'pg';
import type { TestApp } from '../harness/app.ts';
import { openTask } from '../harness/tasks.ts';
import { newWorker } from './durable-run.ts';

export interface Latency {
  p50: number;
  p95: number;
}

export function summarize(samples: number[]): Latency {
  const sorted = [...samples].sort((a, b) => a - b);
  const at = (q: number) => sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? 0;
  return { p50: at(0.5), p95: at(0.95) };
}

/** From the commit of `add_job` to the first line of the handler. */
export async function bareLatency(pool: pg.Pool, samples: number): Promise<Latency> {
  const waiting = new Map<string, (at: number) => void>();
  const runner = await runQueue({
    pgPool: pool,
    concurrency: 10,
    noHandleSignals: true,
    parsedCronItems: [],
    logger: new Logger(() => () => {}),
    taskList: { 'bench.latency': async job => waiting.get((job as { id: string }).id)?.(performance.now()) },
  });
  const taken: number[] = [];
  try {
    for (let i = 0; i < samples; i++) {
      const id = String(i);
      const arrived = new Promise<number>(resolve => waiting.set(id, resolve));
      const start = performance.now();
      await pool.query("select graphile_worker.add_job('bench.latency', json_build_object('id', $1::text))", [
        id,
      ]);
      taken.push((await arrived) - start);
      await new Promise(resolve => setTimeout(resolve, 20));
    }
  } finally {
    await runner.stop();
  }
  return summarize(taken);
}

/** From opening a task to its first journaled step (the opening notice), told by a trigger of the database. */
export async function ourLatency(guildhall: TestApp, samples: number): Promise<Latency> {
  const { database } = guildhall;
  const owner = new pg.Client(database.owner as pg.ClientConfig);
  await owner.connect();
  await owner.query(
    `create or replace function bench_told() returns trigger language plpgsql as $$ begin perform pg_notify('bench', new.task_id); return new; end $$`,
  );
  await owner.query(
    'create trigger bench_told after insert on steps for each row when (new.seq = 0) execute function bench_told()',
  );
  await owner.query('listen bench');
  const waiting = new Map<string, (at: number) => void>();
  const early = new Map<string, number>();
  owner.on('notification', message => {
    const id = message.payload ?? '';
    early.set(id, performance.now());
    waiting.get(id)?.(performance.now());
  });
  const taken: number[] = [];
  const worker = newWorker(guildhall, 10);
  await worker.start();
  try {
    for (let i = 0; i < samples; i++) {
      const task = await openTask(guildhall);
      const start = performance.now();
      const at = early.get(task.id) ?? (await new Promise<number>(resolve => waiting.set(task.id, resolve)));
      taken.push(at - start);
      await new Promise(resolve => setTimeout(resolve, 60));
    }
  } finally {
    await worker.drain();
    await owner.query('drop trigger bench_told on steps');
    await owner.end();
  }
  return summarize(taken);
}
