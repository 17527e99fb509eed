/** A run that is given back unfinished is looked at again, whatever happened in the meantime. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { type Crew, giveUp, startCrew } from '../../../test/harness/crew.ts';
import { openDb, openPool } from '../../platform/db/db.ts';
import { advanceRun, type Holder } from './advance.ts';
import { newRunCaches } from './context.ts';
import { openJournal } from './journal-batch.ts';

let crew: Crew;
before(async () => {
  crew = await startCrew({ roles: ['api'] });
});
after(() => crew[Symbol.asyncDispose]());

/** A worker that believes what a test tells it. */
const holder = (stopAtStep: () => 'pause' | 'drain' | null): Holder => ({
  workerId: 'test',
  leaseMs: 10_000,
  hold: () => ({ signal: new AbortController().signal, stopAtStep, release: () => {} }),
});

function advance(runId: string, stopAtStep: () => 'pause' | 'drain' | null): Promise<void> {
  const { app, database } = crew.guildhall;
  const clock = { now: () => Date.now() };
  const deps = {
    db: database.db,
    journal: openJournal(database.db),
    clock,
    random: Math.random,
    log: app.log,
    models: app.models,
    workshop: app.workshop,
    caches: newRunCaches(clock),
  };
  return advanceRun(deps, holder(stopAtStep), runId);
}

async function withoutJobs(): Promise<void> {
  const pool = openPool({ ...crew.guildhall.database.owner, max: 1 }, () => {});
  await sql`delete from graphile_worker._private_jobs`.execute(openDb(pool));
  await pool.end();
}

const jobsOf = async (runId: string) =>
  (
    await sql`select 1 from graphile_worker.jobs where key = ${`run.advance:${runId}`}`.execute(
      crew.guildhall.database.db,
    )
  ).rows.length;

const post = (path: string) => crew.guildhall.api<{ state: string }>('POST', path);

for (const why of ['pause', 'drain'] as const) {
  test(`JOB-01 a run that is given back (${why}) has a job again`, async () => {
    const id = await crew.give([giveUp]);
    const runId = await crew.runOf(id);
    await withoutJobs();
    // The worker was told to pause; since then the task was resumed, and the job of that has been and gone.
    await advance(runId, () => why);
    assert.equal(await jobsOf(runId), 1);
    await advance(runId, () => null);
    assert.equal((await crew.results(id)).at(-1)?.name, 'submit_result');
  });
}

test('a task that is paused while it hands in, is handed in after it was resumed', async () => {
  let id = '';
  // Paused while the model answers, and the worker has not heard of it yet.
  const program = async () => {
    assert.equal((await post(`/api/v1/tasks/${id}/pause`)).status, 200);
    return giveUp;
  };
  id = await crew.give(program);
  const runId = await crew.runOf(id);
  await advance(runId, () => null);
  await crew.guildhall.untilTask(id, ['paused'], 1);
  assert.deepEqual(await crew.results(id), []);
  await advance(runId, () => null);
  assert.deepEqual(await crew.results(id), [], 'a paused task is left alone');
  assert.equal((await post(`/api/v1/tasks/${id}/resume`)).body.state, 'queued');
  await advance(runId, () => null);
  await crew.guildhall.untilTask(id, ['failed'], 1);
  assert.deepEqual(
    (await crew.results(id)).map(result => [result.name, result.outcome]),
    [['submit_result', 'ok']],
  );
});

test('a task that is resumed before its worker noticed the pause goes on, and may hand in', async () => {
  let id = '';
  const program = async () => {
    await post(`/api/v1/tasks/${id}/pause`);
    assert.equal((await post(`/api/v1/tasks/${id}/resume`)).body.state, 'queued');
    return giveUp;
  };
  id = await crew.give(program);
  const runId = await crew.runOf(id);
  await advance(runId, () => null);
  await advance(runId, () => null);
  await crew.guildhall.untilTask(id, ['failed'], 1);
});
