/** Waiting holds no worker, and whatever a run waits for wakes it, also in the moment in which it lies down. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { type Crew, delegate, giveUp, startCrew } from '../../../test/harness/crew.ts';
import { openDb, openPool, transact } from '../../platform/db/db.ts';

let crew: Crew;
before(async () => {
  crew = await startCrew();
});
after(() => crew[Symbol.asyncDispose]());

test('a child that ends while its parent lies down to wait still wakes it', async () => {
  const { database } = crew.guildhall;
  const pool = openPool({ ...database.owner, max: 1 }, () => {});
  const owner = openDb(pool);
  try {
    // The parent is held for a second between its look at the child and the commit of its wait.
    await sql`create function lie_down_slowly() returns trigger language plpgsql as $$ begin perform pg_sleep(1); return new; end $$`.execute(
      owner,
    );
    await sql`create trigger lie_down_slowly before update on runs for each row
      when (new.state = 'waiting' and new.waiting_on ->> 'kind' = 'children') execute function lie_down_slowly()`.execute(
      owner,
    );
    const id = await crew.give([{ calls: [delegate('ann', crew.order([giveUp]))] }, giveUp]);
    const started = performance.now();
    const task = await crew.guildhall.untilTask(id, ['failed', 'succeeded'], 8_000);
    assert.equal(task.state, 'failed');
    assert.match(task.state_reason, /gave up/);
    assert.ok(performance.now() - started < 5_000);
  } finally {
    await sql`drop trigger if exists lie_down_slowly on runs`.execute(owner);
    await pool.end();
  }
});
