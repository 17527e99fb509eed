/** Jobs that a dead process had taken: others get them, those of the living stay theirs. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { type Crew, giveUp, startCrew } from '../../../test/harness/crew.ts';
import { type Db, openDb, openPool } from '../../platform/db/db.ts';
import { sweep } from './sweep.ts';

let crew: Crew;
let owner: Db;
before(async () => {
  crew = await startCrew({ roles: ['api'] });
  owner = openDb(openPool({ ...crew.guildhall.database.owner, max: 1 }, () => {}));
});
after(async () => {
  await owner.destroy();
  await crew[Symbol.asyncDispose]();
});

async function takenBy(queueId: string, ago: string): Promise<string> {
  const runId = await crew.runOf(await crew.give([giveUp]));
  await sql`update graphile_worker._private_jobs set locked_by = ${queueId}, locked_at = now() - ${ago}::interval
    where key = ${`run.advance:${runId}`}`.execute(owner);
  return runId;
}

async function isTaken(runId: string): Promise<boolean> {
  const { rows } = await sql<{ locked_by: string | null }>`select locked_by from graphile_worker.jobs
    where key = ${`run.advance:${runId}`}`.execute(owner);
  return rows[0]?.locked_by !== null;
}

test('JOB-01 jobs that are locked by nobody who lives are unlocked, also when nobody knew of who took them', async () => {
  const { database, app } = crew.guildhall;
  const worker = (id: string, heartbeat: number) => ({
    id,
    host: 'h',
    pid: 1,
    state: 'active' as const,
    queue_worker_ids: [`pool-of-${id}`],
    started_at: new Date(heartbeat),
    heartbeat_at: new Date(heartbeat),
  });
  await database.db
    .insertInto('workers')
    .values([worker('wrk_alive', Date.now()), worker('wrk_dead', Date.now() - 60_000)])
    .execute();
  const ofLiving = await takenBy('pool-of-wrk_alive', '1 minute');
  const ofDead = await takenBy('pool-of-wrk_dead', '1 minute');
  const ofUnknown = await takenBy('pool-that-never-came-to-its-first-heartbeat', '1 minute');
  const ofNew = await takenBy('pool-that-has-just-started', '1 second');
  await sweep({ db: database.db, clock: { now: () => Date.now() }, log: app.log, leaseMs: 10_000 });
  assert.deepEqual(await Promise.all([ofLiving, ofDead, ofUnknown, ofNew].map(isTaken)), [
    true,
    false,
    false,
    true,
  ]);
});
