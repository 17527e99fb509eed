import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import pg from 'pg';
import {
  addAuditedOrganization,
  addStep,
  exportText,
  newSealer,
  record,
  sealAll,
  verifyAll,
  verifyText,
} from '../../../test/harness/audit.ts';
import { openTestDatabase } from '../../../test/harness/database.ts';
import { ManualClock } from '../../base/time.ts';
import { pruneRecords } from './retention.ts';

const database = await openTestDatabase();
const { db, pool } = database;
const owner = new pg.Client(database.owner as pg.ClientConfig);
await owner.connect();
after(async () => {
  await owner.end();
  await database[Symbol.asyncDispose]();
});
const day = 86_400_000;
// The database's own clock decides: what is to be old is written long ago.
const clock = new ManualClock(Date.now() - 500 * day);
const deps = { db, sealer: newSealer(), clock, keyMaxAgeMs: 9_999 * day };
const now = () => new Date(clock.now());
const today = new Date();
const retention = { accessDays: 400, callDays: 400 };
const first = await addAuditedOrganization(db, 'first', now());
const second = await addAuditedOrganization(db, 'second', now());
const organizations = [first, second];

async function addRound(): Promise<void> {
  for (const organization of organizations) {
    await record(db, organization.actor, now(), 'session.create');
    await record(db, organization.actor, now(), 'task.create');
    await addStep(db, organization, now(), { content: 'said' });
  }
  await sealAll(deps);
}
const left = async (organizationId: string) => {
  const { rows } = await pool.query(
    'select class, count(*)::int as n from audit_texts where organization_id = $1 group by class order by class',
    [organizationId],
  );
  return Object.fromEntries(rows.map(row => [row.class, row.n]));
};
const refusalOf = async (text: string, values: unknown[]): Promise<string> => {
  try {
    await pool.query(text, values);
    return 'done';
  } catch (error) {
    return (error as Error).message;
  }
};
const sealOf = async (kind: string): Promise<number> => {
  const { rows } = await pool.query(
    'select max(number)::int as n from audit_seals where organization_id = $1 and class = $2 and record_count > 0',
    [first.organizationId, kind],
  );
  return rows[0].n;
};

test('steps of a run that is under way are not removed, however old', async () => {
  await addRound();
  const { removed, refusals } = await pruneRecords(db, today, { accessDays: 9_999, callDays: 400 });
  assert.equal(removed, 0);
  assert.equal(refusals.length, 2);
  assert.match(refusals[0] as string, /a run of seal \d+ is still under way/);
});

test('CMP-01 what is over its time goes, class by class; the chain still verifies and tells of it', async () => {
  await owner.query(`update runs set state = 'succeeded', ended_at = created_at`);
  const before = await left(first.organizationId);
  assert.ok(before.access && before.call && before.administrative);
  const noted = await exportText(deps, first.organizationId);
  const { removed, refusals } = await pruneRecords(db, today, retention);
  assert.deepEqual([removed, refusals], [2 * (before.access + before.call), []]);
  clock.advance(today.getTime() - clock.now());
  for (const { organizationId } of organizations) {
    const after_ = await left(organizationId);
    assert.equal(after_.call, undefined);
    assert.equal(after_.access, undefined);
    // One record for each seal that was emptied.
    assert.equal(after_.administrative, before.administrative + 2);
    for (const sealed of [false, true]) {
      if (sealed) await sealAll(deps);
      const found = await verifyAll(deps, organizationId);
      assert.deepEqual(found.findings, []);
      assert.equal(found.pruned_records, before.access + before.call);
      assert.deepEqual(await verifyText(await exportText(deps, organizationId)), found);
    }
  }
  assert.equal((await verifyText(noted)).ok, true, 'what was exported before still proves itself');
  assert.deepEqual(await pruneRecords(db, today, retention), { removed: 0, refusals: [] });
});

test('CMP-01 nothing younger than a year can be removed by the application, whatever it asks for', async () => {
  clock.advance(-364 * day);
  await addRound();
  for (const kind of ['access', 'call']) {
    const refusal = await refusalOf('select audit_prune($1, $2)', [first.organizationId, await sealOf(kind)]);
    assert.match(refusal, /records are kept for at least/);
  }
  clock.advance(364 * day);
  await sealAll(deps);
});

test('CMP-01 administrative records are never removed', async () => {
  const refusal = await refusalOf('select audit_prune($1, $2)', [
    first.organizationId,
    await sealOf('administrative'),
  ]);
  assert.match(refusal, /kept for ever/);
});

test('CMP-01 a seal that the application made up, with an old date, removes no young record', async () => {
  await record(db, first.actor, now(), 'session.create');
  await sealAll(deps);
  await pool.query(
    `insert into audit_seals (organization_id, number, class, from_xid, from_seq, to_xid, to_seq, record_count, entries, previous_hash,
        hash, key_id, signature, sealed_at)
      select organization_id, number + 100, class, from_xid, from_seq, to_xid, to_seq, record_count, entries, previous_hash, hash, key_id,
        signature, '2001-01-01' from audit_seals where organization_id = $1 and number = $2`,
    [first.organizationId, await sealOf('access')],
  );
  const refusal = await refusalOf('select audit_prune($1, $2)', [
    first.organizationId,
    await sealOf('access'),
  ]);
  assert.match(refusal, /records are kept for at least/);
  await owner.query(`delete from audit_seals where sealed_at = '2001-01-01'`);
});

test('CMP-01 what was tampered with is not swept away', async () => {
  clock.advance(-500 * day);
  await addRound();
  clock.advance(500 * day);
  const seal = await sealOf('access');
  await owner.query(
    `update audit_records set actor = 'member:mem_other' where (xid, fact_seq) = (select to_xid, to_seq from audit_seals
      where organization_id = $1 and number = $2) or (organization_id = $1 and action = 'session.create' and created_at < now() - interval '450 days')`,
    [first.organizationId, seal],
  );
  assert.match(
    await refusalOf('select audit_prune($1, $2)', [first.organizationId, seal]),
    /not those that were sealed/,
  );
  const { refusals } = await pruneRecords(db, new Date(), retention);
  assert.equal(refusals.length, 1);
});

test('CMP-01 records that somebody removed and called pruned are told of: too early, or not recorded', async () => {
  clock.advance(day);
  await record(db, second.actor, now(), 'session.create');
  await sealAll(deps);
  const { rows } = await owner.query(
    `select number::int, encode(hash, 'hex') as hash from audit_seals where organization_id = $1 and class = 'access' order by number desc limit 1`,
    [second.organizationId],
  );
  const { number, hash } = rows[0];
  await owner.query(
    `with s as (update audit_seals set pruned_at = now() where organization_id = $1 and number = $2 returning *)
      delete from audit_records a using s where a.organization_id = $1 and a.action = 'session.create' and (a.xid, a.fact_seq) > (s.from_xid, s.from_seq)
        and (a.xid, a.fact_seq) <= (s.to_xid, s.to_seq)`,
    [second.organizationId, number],
  );
  const kinds = async () =>
    (await verifyAll(deps, second.organizationId)).findings.map(f => [f.kind, f.seal]);
  assert.deepEqual(await kinds(), [
    ['pruning_unrecorded', number],
    ['record_removed', number],
  ]);
  const told = { seal: number, seal_hash: hash, records: 1, class: 'access', at_ms: Date.now() + 900 * day };
  await owner.query(
    `insert into audit_records (organization_id, actor, action, target, outcome, data, created_at)
      values ($1, 'system', 'audit.prune', 'seal', 'ok', $2, now() + interval '3 years')`,
    [second.organizationId, JSON.stringify(told)],
  );
  await sealAll(deps);
  assert.deepEqual(await kinds(), [['pruned_early', number]]);
});
