import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { sql } from 'kysely';
import pg from 'pg';
import {
  addAuditedOrganization,
  addStep,
  newSealer,
  record,
  sealAll,
  verifyAll,
} from '../../../test/harness/audit.ts';
import { openTestDatabase } from '../../../test/harness/database.ts';
import { ManualClock } from '../../base/time.ts';
import { openDb, openPool, transact } from '../../platform/db/db.ts';
import { appendAudit } from '../../platform/journal/facts.ts';
import { addSigningKey, listPublicKeys } from './keys.ts';
import { sealRecords } from './sealing.ts';

const database = await openTestDatabase();
const { db, pool } = database;
const clock = new ManualClock();
const owner = new pg.Client(database.owner as pg.ClientConfig);
await owner.connect();
after(async () => {
  await owner.end();
  await database[Symbol.asyncDispose]();
});
const deps = { db, sealer: newSealer(), clock, keyMaxAgeMs: 400 * 86_400_000 };
const now = () => new Date(clock.now());
const first = await addAuditedOrganization(db, 'first', now());
const second = await addAuditedOrganization(db, 'second', now());

/** Some of everything, in both organizations and in none. */
async function addRecords(rounds: number): Promise<void> {
  for (let i = 0; i < rounds; i++) {
    for (const organization of [first, second]) {
      await record(db, organization.actor, now(), 'task.create', { round: String(i) });
      await record(db, organization.actor, now(), 'session.create');
      await addStep(db, organization, now(), { content: `round ${i}` });
    }
    await sql`insert into audit_records (actor, action, outcome, data, created_at)
      values ('anonymous', 'access.deny', 'refused', '{}', ${now()})`.execute(db);
  }
}

async function counts(organizationId: string): Promise<{ records: number; sealed: number; seals: number }> {
  const { rows } = await pool.query(
    `select (select count(*)::int from audit_texts where organization_id = $1) as records,
      (select coalesce(sum(record_count), 0)::int from audit_seals where organization_id = $1) as sealed,
      (select count(*)::int from audit_seals where organization_id = $1) as seals`,
    [organizationId],
  );
  return rows[0];
}

test('CMP-01 every record of every organization is in exactly one seal, and each chain verifies', async () => {
  await addRecords(5);
  await sealAll(deps, { records: 7, batches: 100 });
  for (const id of [first.organizationId, second.organizationId, 'system']) {
    const { records, sealed, seals } = await counts(id);
    assert.ok(records > 4 && seals > 2, `${id}: ${records} records, ${seals} seals`);
    assert.equal(sealed, records, id);
    const found = await verifyAll(deps, id);
    assert.deepEqual(
      [found.ok, found.records, found.unsealed_records, found.seals],
      [true, records, 0, seals],
    );
    assert.deepEqual(found.findings, []);
    assert.equal(found.head?.number, seals);
    assert.deepEqual(
      found.keys,
      (await listPublicKeys(db)).map(key => key.id),
    );
  }
});

test('nothing new, nothing sealed; the classes of records have seals of their own', async () => {
  assert.equal(await sealRecords(deps), 0);
  const { rows } = await pool.query(
    'select class, count(*) from audit_seals where organization_id = $1 group by class order by class',
    [first.organizationId],
  );
  assert.deepEqual(
    rows.map(row => row.class),
    ['access', 'administrative', 'call'],
  );
});

test('CMP-01 a transaction that is still open holds sealing back, and its records are not missed', async () => {
  const before = await counts(first.organizationId);
  await transact(db, async tx => {
    await appendAudit(tx, first.actor, now(), 'slow.change', null, 'ok');
    await record(db, first.actor, now(), 'quick.change');
    assert.equal(await sealRecords(deps), 0, 'the quick one stands after the open one');
    assert.equal((await verifyAll(deps, first.organizationId)).unsealed_records, 1);
  });
  await sealAll(deps);
  assert.equal((await counts(first.organizationId)).sealed, before.sealed + 2);
  assert.equal((await verifyAll(deps, first.organizationId)).ok, true);
});

test('CMP-01 a sealer that dies in the middle of a batch leaves nothing of it, and the next goes on', async () => {
  await addRecords(3);
  const before = await Promise.all([counts(first.organizationId), counts(second.organizationId)]);
  // The second seal of the batch waits for the lock on the table, and there the sealer is killed.
  const name = 'dying sealer';
  const dying = openDb(openPool({ ...database.system, max: 1, application_name: name }, () => {}));
  await owner.query(`create function pause_seals() returns trigger language plpgsql as $$
    begin if new.organization_id = '${second.organizationId}' then perform pg_advisory_xact_lock(99); end if; return new; end $$`);
  await owner.query(
    'create trigger pause before insert on audit_seals for each row execute function pause_seals()',
  );
  await owner.query('select pg_advisory_lock(99)');
  const died = assert.rejects(
    (async () => {
      // Others' transactions may hold it back for a moment: until it has come to the seals.
      for (;;) await sealRecords({ ...deps, db: dying });
    })(),
  );
  const waiting = `select pid from pg_stat_activity where application_name = $1 and wait_event = 'advisory'`;
  while ((await owner.query(waiting, [name])).rowCount === 0)
    await new Promise(resolve => setImmediate(resolve));
  assert.equal(await sealRecords(deps), 0, 'one sealer at a time');
  await owner.query('select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1', [
    name,
  ]);
  await died;
  await dying.destroy();
  await owner.query('select pg_advisory_unlock(99)');
  await owner.query('drop trigger pause on audit_seals');
  assert.deepEqual(await Promise.all([counts(first.organizationId), counts(second.organizationId)]), before);
  await sealAll(deps);
  for (const id of [first.organizationId, second.organizationId, 'system'])
    assert.deepEqual((await verifyAll(deps, id)).findings, []);
});

test('CMP-01 several sealers at once, while records are written: each record is sealed once', async () => {
  const others = Array.from({ length: 3 }, () => openDb(openPool({ ...database.system, max: 2 }, () => {})));
  let writing = true;
  const sealers = others.map(async other => {
    while (writing) await sealRecords({ ...deps, db: other }, { records: 5, batches: 3 });
  });
  await Promise.all([addRecords(10), addRecords(10)]);
  writing = false;
  await Promise.all(sealers);
  await sealAll(deps);
  for (const id of [first.organizationId, second.organizationId, 'system']) {
    const { records, sealed } = await counts(id);
    assert.equal(sealed, records);
    assert.deepEqual((await verifyAll(deps, id)).findings, []);
  }
  await Promise.all(others.map(other => other.destroy()));
});

test('a new key signs after the old one has introduced it, in each chain', async () => {
  const oldKey = (await verifyAll(deps, first.organizationId)).keys[0];
  clock.advance(deps.keyMaxAgeMs + 1);
  await addRecords(1);
  await sealAll(deps);
  await transact(db, tx => addSigningKey(tx, deps.sealer, now()));
  await addRecords(1);
  await sealAll(deps);
  const keys = (await listPublicKeys(db)).map(key => key.id);
  assert.equal(keys.length, 3);
  for (const id of [first.organizationId, second.organizationId, 'system']) {
    const found = await verifyAll(deps, id);
    assert.deepEqual([found.findings, found.keys], [[], keys], id);
    assert.equal((await verifyAll(deps, id, { key: oldKey })).ok, true);
    assert.deepEqual(
      (await verifyAll(deps, id, { key: 'f'.repeat(64) })).findings.map(f => f.kind),
      ['key_not_used'],
    );
  }
});

test('another server that does not hold the key says so', async () => {
  const found = await verifyAll({ ...deps, sealer: newSealer() }, first.organizationId);
  assert.equal(found.ok, false);
  assert.deepEqual(new Set(found.findings.map(f => f.kind)), new Set(['key_foreign']));
});

test('the text that is hashed has every column, and the session’s time zone and formats change nothing', async () => {
  for (const table of ['audit_records', 'steps']) {
    const { rows } = await pool.query(
      `select (select array_agg(column_name::text order by column_name) from information_schema.columns where table_name = $1) as columns,
        (select array_agg(key order by key) from ${table}, jsonb_object_keys(audit_text(${table})::jsonb - 'table') key
          where fact_seq = (select min(fact_seq) from ${table})) as keys`,
      [table],
    );
    assert.deepEqual(rows[0].keys, rows[0].columns, table);
  }
  const client = await pool.connect();
  try {
    await client.query(`set timezone = 'Asia/Kathmandu'; set datestyle = 'German'; set bytea_output = 'escape';
      set intervalstyle = 'sql_standard'; set extra_float_digits = 0`);
    const there = await client.query('select text from audit_texts order by text');
    assert.deepEqual(there.rows, (await pool.query('select text from audit_texts order by text')).rows);
  } finally {
    client.release(true);
  }
});
