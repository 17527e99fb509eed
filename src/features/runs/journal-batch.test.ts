import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import pg from 'pg';
import { startTestApp } from '../../../test/harness/app.ts';
import { openTask } from '../../../test/harness/tasks.ts';
import { stepKey } from './journal.ts';
import { openJournal } from './journal-batch.ts';
import { claimRun, type Lease, LeaseLost } from './lease.ts';

const guildhall = await startTestApp({ roles: ['api'] });
after(() => guildhall[Symbol.asyncDispose]());
const { db } = guildhall.database;

async function claimed(): Promise<Lease> {
  const task = await openTask(guildhall);
  const run = await db
    .selectFrom('runs')
    .select('id')
    .where('task_id', '=', task.id)
    .executeTakeFirstOrThrow();
  const claim = await claimRun(db, 'wrk_batch', new Date(), 60_000, run.id);
  assert.ok(claim);
  return claim.lease;
}

const step = (lease: Lease, text: string, seq = 0) => ({
  seq,
  kind: 'notice' as const,
  name: 'notice',
  call_id: null,
  outcome: 'ok' as const,
  data: { text },
  idempotencyKey: stepKey(lease.runId, seq),
  startedAt: new Date(),
});

const compare = (a: string, b: string) => (a < b ? -1 : 1);

const textsOf = async (lease: Lease) =>
  (
    await db.selectFrom('steps').select('data').where('run_id', '=', lease.runId).orderBy('seq').execute()
  ).map(row => row.data.text);

test('JOB-01 of many steps written together each is fenced by itself: a stale one is refused, the others count', async () => {
  const journal = openJournal(db);
  const leases = await Promise.all(Array.from({ length: 12 }, claimed));
  const stale = { ...(leases[5] as Lease), fencingToken: 0 };
  const written = await Promise.allSettled(
    leases.map((lease, i) => journal.append(i === 5 ? stale : lease, new Date(), step(lease, `step ${i}`))),
  );
  assert.deepEqual(
    written.map(w => w.status),
    leases.map((_, i) => (i === 5 ? 'rejected' : 'fulfilled')),
  );
  const refused = written[5] as PromiseRejectedResult;
  assert.ok(refused.reason instanceof LeaseLost);
  for (const [i, lease] of leases.entries())
    assert.deepEqual(await textsOf(lease), i === 5 ? [] : [`step ${i}`]);
});

test('a step that is there already is not written again, and its usage is not booked twice', async () => {
  const journal = openJournal(db);
  const [lease, other] = [await claimed(), await claimed()];
  const usage = {
    provider: 'p',
    model: 'm',
    tokens: {
      input_tokens: 1,
      cached_read_tokens: 0,
      cached_write_tokens: 0,
      output_tokens: 1,
      reasoning_tokens: 0,
    },
    exact: true,
    priceId: null,
    costMicros: 5,
    projectId: guildhall.app.installation.projectId,
    agentId: 'agt_x',
    reservationKey: null,
  };
  await journal.append(lease, new Date(), step(lease, 'first'), usage);
  const again = await Promise.allSettled([
    journal.append(lease, new Date(), step(lease, 'second'), usage),
    journal.append(other, new Date(), step(other, 'beside it'), usage),
  ]);
  assert.deepEqual(
    again.map(a => a.status),
    ['rejected', 'fulfilled'],
  );
  assert.deepEqual(await textsOf(lease), ['first']);
  const booked = await db.selectFrom('usage_records').select('run_id').where('cost_micros', '=', 5).execute();
  assert.deepEqual(
    booked.map(row => row.run_id).toSorted(compare),
    [lease.runId, other.runId].toSorted(compare),
  );
});

test('what the database cannot store fails alone', async () => {
  const journal = openJournal(db);
  const [lease, other] = [await claimed(), await claimed()];
  const [bad, good] = await Promise.allSettled([
    journal.append(lease, new Date(), step(lease, 'a \0 b')),
    journal.append(other, new Date(), step(other, 'fine')),
  ]);
  assert.equal(bad?.status, 'rejected');
  assert.equal(good?.status, 'fulfilled');
  assert.deepEqual([await textsOf(lease), await textsOf(other)], [[], ['fine']]);
});

test('a run that somebody holds locked waits by itself and holds up no other', async () => {
  const journal = openJournal(db);
  const [lease, other, third] = [await claimed(), await claimed(), await claimed()];
  const holder = new pg.Client(guildhall.database.owner as pg.ClientConfig);
  await holder.connect();
  try {
    await holder.query('begin');
    await holder.query('select 1 from runs where id = $1 for update', [lease.runId]);
    let settled = false;
    const held = journal.append(lease, new Date(), step(lease, 'late')).then(() => {
      settled = true;
    });
    await Promise.all([
      journal.append(other, new Date(), step(other, 'at once')),
      journal.append(third, new Date(), step(third, 'at once')),
    ]);
    assert.equal(settled, false);
    await holder.query('commit');
    await held;
  } finally {
    await holder.end();
  }
  assert.deepEqual(await textsOf(lease), ['late']);
});

test('a step that succeeds ends a series of failures', async () => {
  const journal = openJournal(db);
  const lease = await claimed();
  await db.updateTable('runs').set({ failure_count: 3 }).where('id', '=', lease.runId).execute();
  await journal.append(lease, new Date(), step(lease, 'works again'));
  const run = await db
    .selectFrom('runs')
    .select('failure_count')
    .where('id', '=', lease.runId)
    .executeTakeFirstOrThrow();
  assert.equal(run.failure_count, 0);
});
