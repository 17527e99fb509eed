/** A worker and the runs it holds. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startTestApp, type TestApp } from '../../../test/harness/app.ts';
import { newRunCaches } from './context.ts';
import { openJournal } from './journal-batch.ts';
import type { Lease } from './lease.ts';
import { Worker } from './worker.ts';

let guildhall: TestApp;
before(async () => {
  guildhall = await startTestApp({ roles: [] });
});
after(() => guildhall[Symbol.asyncDispose]());

function newWorker(): Worker {
  const { app, database } = guildhall;
  const clock = { now: () => Date.now() };
  const { log, models, workshop } = app;
  const caches = newRunCaches(clock);
  const deps = {
    db: database.db,
    journal: openJournal(database.db),
    clock,
    random: Math.random,
    log,
    models,
    workshop,
    caches,
  };
  const handlers = { 'task.review': async () => {} };
  return new Worker(deps, { pool: database.pool, concurrency: 1, leaseMs: 10_000, handlers, drainMs: 100 });
}

const lease = (fencingToken: number): Lease => ({
  runId: 'run_1',
  taskId: 'task_1',
  rootTaskId: 'task_1',
  fencingToken,
  workerId: 'wrk_1',
  actor: { id: 'agent:a', organizationId: 'org_1', requestId: 'req_1' },
  run: { agent_id: 'a', agent_version: 1, model: 'm', identity: 1 },
});

test('JOB-01 a run that comes back to a worker that was frozen ends what was begun under the former lease', () => {
  const worker = newWorker();
  const former = worker.hold(lease(1));
  const other = worker.hold({ ...lease(1), runId: 'run_2' });
  const present = worker.hold(lease(2));
  assert.equal(former.signal.aborted, true);
  assert.equal(present.signal.aborted, false);
  assert.equal(other.signal.aborted, false);
  // The end of the former activity does not let go of the present one.
  former.release();
  const third = worker.hold(lease(3));
  assert.equal(present.signal.aborted, true);
  assert.equal(third.signal.aborted, false);
});
