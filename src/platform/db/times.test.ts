import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import pg from 'pg';
import { openTestDatabase } from '../../../test/harness/database.ts';
import { openDb, openPool } from './db.ts';

const database = await openTestDatabase();
after(() => database[Symbol.asyncDispose]());

test('DAT-19 every time in the database has its zone', async () => {
  const { rows } = await database.pool.query(
    `select table_name || '.' || column_name as name, data_type from information_schema.columns
     where table_schema = 'public' and table_name not like 'kysely%' and (data_type like 'time%' or data_type = 'date')`,
  );
  assert.ok(rows.length > 40);
  assert.deepEqual(
    rows.filter(row => row.data_type !== 'timestamp with time zone'),
    [],
  );
});

test('DAT-19 instants around a change to and from summer time come back as they were, whatever the zone of the session', async () => {
  const instants = [
    '2026-03-08T06:59:59.999Z', // The second before New York has no 2 o'clock …
    '2026-03-08T07:00:00.000Z',
    '2026-11-01T05:30:00.000Z', // … and its 1:30 of summer, then of winter.
    '2026-11-01T06:30:00.000Z',
    '2026-03-29T01:00:00.000Z',
    '2026-10-25T00:30:00.000Z',
    '2026-10-25T01:30:00.000Z',
    '1970-01-01T00:00:00.000Z',
    '2099-12-31T23:59:59.999Z',
  ];
  for (const zone of ['America/New_York', 'Europe/Berlin', 'Australia/Lord_Howe', 'Asia/Kathmandu', 'UTC']) {
    const owner = new pg.Client(database.owner as pg.ClientConfig);
    await owner.connect();
    await owner.query(`alter database ${database.name} set timezone to '${zone}'`);
    await owner.end();
    const pool = openPool(database.system, () => {});
    const db = openDb(pool);
    try {
      for (const [n, instant] of instants.entries()) {
        const id = `org_${zone}_${n}`;
        await db
          .insertInto('organizations')
          .values({ id, name: zone, created_at: new Date(instant) })
          .execute();
        const row = await db
          .selectFrom('organizations')
          .selectAll()
          .where('id', '=', id)
          .executeTakeFirstOrThrow();
        assert.equal(row.created_at.toISOString(), instant, zone);
        const same = await db
          .selectFrom('organizations')
          .select('id')
          .where('id', '=', id)
          .where('created_at', '=', new Date(instant))
          .execute();
        assert.equal(same.length, 1);
      }
      const ordered = await db
        .selectFrom('organizations')
        .select('created_at')
        .where('name', '=', zone)
        .orderBy('created_at')
        .execute();
      assert.deepEqual(
        ordered.map(row => row.created_at.toISOString()),
        instants.toSorted((a, b) => a.localeCompare(b)),
      );
    } finally {
      await pool.end();
    }
  }
});

test('whole numbers that a number cannot hold are an error, not a wrong number', async () => {
  const pool = openPool({ ...database.system, max: 1 }, () => {});
  try {
    assert.equal(
      (await pool.query('select 9007199254740991::bigint as n')).rows[0].n,
      Number.MAX_SAFE_INTEGER,
    );
    await assert.rejects(pool.query('select 9007199254740992::bigint as n'), RangeError);
    assert.equal((await pool.query('select 1 as n')).rows[0].n, 1, 'the connection goes on');
  } finally {
    await pool.end();
  }
});
