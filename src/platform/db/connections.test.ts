import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import pg from 'pg';
import { startTestApp } from '../../../test/harness/app.ts';
import { openDb, openPool, transact } from './db.ts';

const guildhall = await startTestApp({ roles: ['api'] });
const { database } = guildhall;
const owner = new pg.Client(database.owner as pg.ClientConfig);
await owner.connect();
after(async () => {
  await owner.end();
  await guildhall[Symbol.asyncDispose]();
});

/** Of requests, and of the system in a process that has no worker. */
const poolSize = 20 + 10;
const get = (path: string) => guildhall.api<{ code?: string }>('GET', path);
/** Connections of the application to this database, the harness's own aside. */
async function connections(): Promise<number> {
  const { rows } = await owner.query(
    'select count(*)::int as n from pg_stat_activity where datname = current_database() and usename = any ($1)',
    [[database.app.user, database.system.user]],
  );
  return rows[0].n;
}
const kill = () =>
  owner.query(
    'select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and usename = any ($1)',
    [[database.app.user, database.system.user]],
  );

test('DAT-01 200 requests at the same time all succeed, on no more connections than the pool has', async () => {
  let most = 0;
  let going = true;
  const watching = (async () => {
    while (going) most = Math.max(most, await connections());
  })();
  const answers = await Promise.all(
    Array.from({ length: 200 }, (_, i) => get(i % 2 ? '/api/v1/tasks' : '/api/v1/me')),
  );
  going = false;
  await watching;
  assert.deepEqual(new Set(answers.map(a => a.status)), new Set([200]));
  assert.ok(most > 1 && most <= poolSize + (database.pool.totalCount ?? 0), `${most} connections`);
});

test('DAT-01 connections that the database ends are replaced: idle ones without anybody noticing', async () => {
  await Promise.all(Array.from({ length: 50 }, () => get('/api/v1/tasks')));
  for (let round = 0; round < 5; round++) {
    await kill();
    await new Promise(resolve => setTimeout(resolve, 50));
    const answers = await Promise.all(Array.from({ length: 30 }, () => get('/api/v1/tasks')));
    assert.deepEqual(new Set(answers.map(a => a.status)), new Set([200]), `round ${round}`);
  }
});

test('DAT-01 requests under way when connections die succeed or are told to come back, and nothing stays broken', async () => {
  const answers: { status: number; body: { code?: string } }[] = [];
  let going = true;
  const clients = Array.from({ length: 20 }, async () => {
    while (going) answers.push(await get('/api/v1/tasks'));
  });
  for (let i = 0; i < 10; i++) {
    await new Promise(resolve => setTimeout(resolve, 30));
    await kill();
  }
  going = false;
  await Promise.all(clients);
  const refused = answers.filter(a => a.status !== 200);
  for (const { status, body } of refused)
    assert.deepEqual([status, body.code], [503, 'database_unavailable']);
  assert.ok(answers.length > refused.length);
  assert.equal((await get('/api/v1/tasks')).status, 200);
});

test('OBS-04 DAT-01 without the database: alive, not ready and why, refusals that say to come back; with it all is well again', async () => {
  const plain = await startOwner();
  try {
    await plain.query(`alter database ${database.name} with allow_connections false`);
    await kill();
    await new Promise(resolve => setTimeout(resolve, 100));
    assert.equal((await get('/livez')).status, 200);
    const ready = await guildhall.api<{
      ready: boolean;
      components: { name: string; state: string; fix: string }[];
    }>('GET', '/readyz');
    assert.equal(ready.status, 503);
    const failed = ready.body.components.find(c => c.name === 'database');
    assert.equal(failed?.state, 'failed');
    assert.ok(failed?.fix);
    const refused = await get('/api/v1/tasks');
    assert.deepEqual([refused.status, refused.body.code], [503, 'database_unavailable']);
    assert.equal(refused.headers.get('retry-after'), '1');
  } finally {
    await plain.query(`alter database ${database.name} with allow_connections true`);
    await plain.end();
  }
  assert.equal((await get('/api/v1/tasks')).status, 200);
  assert.equal((await get('/readyz')).status, 200);
});

async function startOwner(): Promise<pg.Client> {
  const client = new pg.Client({ ...(database.owner as pg.ClientConfig), database: 'postgres' });
  await client.connect();
  return client;
}

test('DAT-16 health has no connection of its own and blocks nobody: 100 probes beside 100 requests', async () => {
  const before = await connections();
  const began = performance.now();
  const answers = await Promise.all(
    Array.from({ length: 100 }, () => [get('/readyz'), get('/api/v1/tasks'), get('/livez')]).flat(),
  );
  assert.deepEqual(new Set(answers.map(a => a.status)), new Set([200]));
  assert.ok(performance.now() - began < 15_000);
  assert.ok((await connections()) <= Math.max(before, poolSize + database.pool.totalCount));
});

test('DAT-16 with every connection busy, liveness answers at once and readiness says so in time', async () => {
  const blocker = await startBlocked();
  const busy = Array.from({ length: poolSize }, () => get('/api/v1/dead-letters'));
  await new Promise(resolve => setTimeout(resolve, 200));
  const began = performance.now();
  assert.equal((await get('/livez')).status, 200);
  assert.ok(performance.now() - began < 1_000);
  const ready = await get('/readyz');
  assert.equal(ready.status, 503);
  assert.ok(performance.now() - began < 5_000, `readiness took ${Math.round(performance.now() - began)} ms`);
  await blocker.query('rollback');
  await blocker.end();
  for (const answer of await Promise.all(busy)) assert.equal(answer.status, 200);
  assert.equal((await get('/readyz')).status, 200);
});

/** Holds what finding out who asks needs. */
async function startBlocked(): Promise<pg.Client> {
  const client = new pg.Client(database.owner as pg.ClientConfig);
  await client.connect();
  await client.query('begin; lock table api_keys in access exclusive mode');
  return client;
}

test('a transaction whose connection dies has changed nothing', async () => {
  const db = openDb(openPool({ ...database.system, max: 1 }, () => {}));
  const before = await db.selectFrom('workers').selectAll().execute();
  await assert.rejects(
    transact(db, async tx => {
      const row = { id: 'wrk_x', host: 'h', pid: 1, state: 'active' as const, queue_worker_ids: [] };
      await tx
        .insertInto('workers')
        .values({ ...row, started_at: new Date(), heartbeat_at: new Date() })
        .execute();
      await kill();
      await tx
        .insertInto('workers')
        .values({ ...row, id: 'wrk_y', started_at: new Date(), heartbeat_at: new Date() })
        .execute();
    }),
  );
  assert.deepEqual(await db.selectFrom('workers').selectAll().execute(), before);
  await db.destroy();
});
