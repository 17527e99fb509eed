import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { openTestDatabase } from '../../../test/harness/database.ts';
import { transact } from '../db/db.ts';
import { enqueue } from './queue.ts';

const database = await openTestDatabase();
after(() => database[Symbol.asyncDispose]());
const { db, pool } = database;

const jobs = async (key: string) =>
  (
    await pool.query(
      `select j.key, j.task_identifier, j.run_at, j.priority, j.max_attempts, p.payload
       from graphile_worker.jobs j join graphile_worker._private_jobs p on p.id = j.id where j.key = $1`,
      [key],
    )
  ).rows;

test('a job exists exactly when the transaction that added it commits', async () => {
  await assert.rejects(
    transact(db, async tx => {
      await enqueue(tx, 'run.advance', { run_id: 'run_1' });
      throw new Error('no');
    }),
  );
  assert.deepEqual(await jobs('run.advance:run_1'), []);
  await transact(db, tx => enqueue(tx, 'run.advance', { run_id: 'run_1' }));
  const [job] = await jobs('run.advance:run_1');
  assert.equal(job?.task_identifier, 'run.advance');
  assert.deepEqual(job?.payload, { run_id: 'run_1' });
  assert.equal(job?.max_attempts, 25);
});

test('waking twice is waking once, also from many sides at the same time', async () => {
  await Promise.all(Array.from({ length: 20 }, () => enqueue(db, 'run.advance', { run_id: 'run_2' })));
  assert.equal((await jobs('run.advance:run_2')).length, 1);
  await enqueue(db, 'task.review', { task_id: 'run_2' });
  assert.equal((await jobs('task.review:run_2')).length, 1, 'a job of another name is another job');
});

test('a wake-up for now goes before one for later', async () => {
  const later = new Date(Date.now() + 3_600_000);
  await enqueue(db, 'run.advance', { run_id: 'run_3' }, { runAt: later });
  assert.equal((await jobs('run.advance:run_3'))[0]?.run_at.getTime(), later.getTime());
  await enqueue(db, 'run.advance', { run_id: 'run_3' });
  const [job] = await jobs('run.advance:run_3');
  assert.ok(job && job.run_at.getTime() <= Date.now() + 1_000);
});

test('priority is kept', async () => {
  await enqueue(db, 'run.advance', { run_id: 'run_4' }, { priority: -3 });
  assert.equal((await jobs('run.advance:run_4'))[0]?.priority, -3);
});
