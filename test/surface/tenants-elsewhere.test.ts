/** What one organization could see of another beside the answers of the API: live events, stored answers, tags, jobs, the command line, and the database itself. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { sql } from 'kysely';
import pg from 'pg';
import { openShell } from '../../cli/testing.ts';
import { newId } from '../../src/base/ids.ts';
import { transact } from '../../src/platform/db/db.ts';
import { appendEvent } from '../../src/platform/journal/facts.ts';
import { enqueue } from '../../src/platform/queue/queue.ts';
import { startTestApp } from '../harness/app.ts';
import { openEvents } from '../harness/events.ts';
import { until } from '../harness/processes.ts';
import { openSocket } from '../harness/socket.ts';
import { generousLimits } from './limits.ts';
import { addSide, type Side } from './two-organizations.ts';

const guildhall = await startTestApp({ roles: ['api'], env: generousLimits });
after(() => guildhall[Symbol.asyncDispose]());
const { db, tenants } = guildhall.database;
const url = guildhall.app.url as string;
const one = await addSide(guildhall, 'heliotrope', 47_110_815);
const other = await addSide(guildhall, 'zanzibar', 58_220_926);
const as = (side: Side, more: Record<string, string> = {}) => ({
  authorization: `Bearer ${side.key}`,
  ...more,
});
const denied = { code: '42501' };

test('ADV-01 live events: a replay from the beginning, and what happens now, are of the own organization only', async () => {
  const client = await openEvents(`${url}/api/v1/events?last_event_id=0-0`, as(one));
  const live = await openEvents(`${url}/api/v1/events`, as(one));
  const now = new Date();
  for (const side of [other, one, other, one])
    await transact(db, tx => appendEvent(tx, side.actor, now, 'task.told', {}, { word: side.word }));
  for (const seen of [await client.until(e => e.type === 'task.told'), await live.until(2)]) {
    const text = JSON.stringify(seen);
    assert.ok(text.includes(one.word));
    assert.ok(!text.includes(other.word) && !text.includes(other.organizationId), text.slice(0, 500));
  }
  client.close();
  live.close();
  const foreign = await fetch(`${url}/api/v1/events?task_id=${other.things.task}`, { headers: as(one) });
  assert.equal(foreign.status, 404);
});

test('ADV-01 over a WebSocket too: a replay and what happens now, of the own organization only', async () => {
  const socket = await openSocket(`${url}/api/v1/ws`, as(one));
  socket.send({ type: 'subscribe', last_event_id: '0-0' });
  await socket.until('subscribed');
  for (const side of [other, one])
    await transact(db, tx => appendEvent(tx, side.actor, new Date(), 'task.sung', {}, { word: side.word }));
  await until('the own event has come', 15_000, () => socket.frames.some(f => f.event?.type === 'task.sung'));
  const text = JSON.stringify(socket.frames);
  assert.ok(text.includes(one.word) && !text.includes(other.word) && !text.includes(other.organizationId));
  socket.close();
  const foreign = await openSocket(`${url}/api/v1/ws`, as(one));
  foreign.send({ type: 'subscribe', task_id: other.things.task });
  await foreign.until('error');
  assert.ok(!foreign.frames.some(frame => frame.type === 'subscribed'));
  foreign.close();
});

test('ADV-01 the same Idempotency-Key in two organizations is two keys', async () => {
  const create = async (side: Side) => {
    const response = await fetch(`${url}/api/v1/budgets`, {
      method: 'PUT',
      headers: as(side, { 'idempotency-key': 'shared', 'content-type': 'application/json' }),
      body: JSON.stringify({ scope: 'task', scope_id: side.things.task, limit_usd: 3 }),
    });
    assert.equal(response.status, 200, await response.clone().text());
    return (await response.json()) as { id: string; scope_id: string };
  };
  const [mine, theirs, again] = [await create(one), await create(other), await create(one)];
  assert.equal(mine.scope_id, one.things.task);
  assert.equal(theirs.scope_id, other.things.task);
  assert.deepEqual(again, mine);
});

test("ADV-01 the tag of another organization's answer does not tell whether it is still so", async () => {
  const path = `${url}/api/v1/tasks/${other.things.task}`;
  const tag = (await fetch(path, { headers: as(other) })).headers.get('etag') ?? '';
  assert.match(tag, /^W\//);
  assert.equal((await fetch(path, { headers: as(other, { 'if-none-match': tag }) })).status, 304);
  const asked = await fetch(path, { headers: as(one, { 'if-none-match': tag }) });
  assert.equal(asked.status, 404);
  assert.ok(!(await asked.text()).includes(other.word));
});

test('ADV-01 a request cannot enqueue a job for a row of another organization, nor see or touch one that is there', async () => {
  const { run, task } = other.things;
  await transact(db, tx => enqueue(tx, 'run.advance', { run_id: run }));
  const job = () =>
    sql<{
      run_at: Date;
    }>`select * from graphile_worker._private_jobs where key = ${`run.advance:${run}`}`.execute(db);
  const before = (await job()).rows;
  assert.equal(before.length, 1);
  const within = (work: Parameters<typeof tenants.within>[1]) => tenants.within(one, work);
  await assert.rejects(
    within(tx => enqueue(tx, 'run.advance', { run_id: run })),
    denied,
  );
  await assert.rejects(
    within(tx => enqueue(tx, 'task.review', { task_id: task })),
    denied,
  );
  await within(async tx => {
    const seen =
      await sql`select from graphile_worker._private_jobs where payload ->> 'run_id' <> ${one.things.run}`.execute(
        tx,
      );
    assert.equal(seen.rows.length, 0);
    await sql`update graphile_worker._private_jobs set run_at = now() + interval '1 year'`.execute(tx);
  });
  await assert.rejects(
    within(tx => sql`select from graphile_worker.jobs`.execute(tx)),
    denied,
  );
  await assert.rejects(
    within(tx => sql`delete from graphile_worker._private_jobs`.execute(tx)),
    denied,
  );
  assert.deepEqual((await job()).rows, before);
  await within(tx => enqueue(tx, 'run.advance', { run_id: one.things.run }));
  await within(tx => enqueue(tx, 'run.advance', { run_id: one.things.run }));
});

test('ADV-01 the command line shows an organization nothing of another, and says that there is no such thing', async () => {
  await using shell = await openShell(one.key);
  const guildhallCli = async (...args: string[]) => {
    const { code, out, err } = await shell.run(...args, '--server', url, '--key', '-');
    return { code, text: out + err };
  };
  const { task, approval, agent } = other.things;
  for (const args of [
    ['task', 'show', task],
    ['task', 'cancel', task],
    ['approval', 'approve', approval],
    ['agent', 'show', agent],
  ]) {
    const { code, text } = await guildhallCli(...args, '--json');
    assert.notEqual(code, 0, args.join(' '));
    assert.ok(!text.includes(other.word), `${args.join(' ')}: ${text}`);
  }
  for (const args of [
    ['task', 'list'],
    ['approval', 'list'],
    ['agent', 'list'],
    ['team', 'list'],
  ]) {
    const { code, text } = await guildhallCli(...args, '--json');
    assert.equal(code, 0, `${args.join(' ')}: ${text}`);
    assert.ok(
      text.includes(one.word) && !text.includes(other.word),
      `${args.join(' ')}: ${text.slice(0, 300)}`,
    );
  }
});

const owned = await sql<{ name: string }>`
  select c.relname as name from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'organization_id'
  where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'v') order by 1`.execute(db);

test('ADV-01 in every table and view an organization reads, changes and adds rows of its own only, and without one there are none', async () => {
  const app = new pg.Client(guildhall.database.app as pg.ClientConfig);
  await app.connect();
  let tried = 0;
  /** The SQLSTATE, or how many rows. */
  const attempt = async (text: string, values: unknown[] = []): Promise<string | number> => {
    await app.query('savepoint s');
    try {
      return (await app.query(text, values)).rowCount ?? 0;
    } catch (error) {
      return (error as { code: string }).code;
    } finally {
      await app.query('rollback to savepoint s');
    }
  };
  try {
    for (const { name } of owned.rows) {
      const theirs = await sql<{ row: unknown }>`
        select to_jsonb(t) as row from ${sql.table(name)} t where organization_id = ${other.organizationId} limit 1`.execute(
        db,
      );
      for (const within of [one.organizationId, null]) {
        await app.query('begin');
        if (within) await app.query(`select set_config('guildhall.organization', $1, true)`, [within]);
        const visible = await attempt(`select from ${name} where organization_id is distinct from $1`, [
          within,
        ]);
        // Published prices are for all.
        if (name !== 'prices') assert.equal(visible, 0, `select ${name} within ${within}`);
        for (const text of [
          `update ${name} set organization_id = organization_id where organization_id = $1`,
          `delete from ${name} where organization_id = $1`,
          `update ${name} set organization_id = '${one.organizationId}' where organization_id = $1`,
        ])
          assert.ok(
            [0, '42501', '55000'].includes(await attempt(text, [other.organizationId])),
            `${text} within ${within}`,
          );
        const [row] = theirs.rows;
        if (row) {
          tried += 1;
          const insert = `insert into ${name} overriding system value select * from jsonb_populate_record(null::${name}, $1)`;
          assert.ok(
            ['42501', '55000', '428C9'].includes(String(await attempt(insert, [row.row]))),
            `insert ${name} within ${within}`,
          );
        }
        await app.query('rollback');
      }
    }
    assert.ok(tried > 40, `${tried} tables with rows`);
  } finally {
    await app.end();
  }
});

test('ADV-01 CMP-01 the role of requests cannot lift its isolation or rewrite the record', async () => {
  const app = new pg.Client(guildhall.database.app as pg.ClientConfig);
  await app.connect();
  try {
    const refusal = async (text: string): Promise<string> =>
      app.query(text).then(
        () => 'done',
        (error: { code: string }) => error.code,
      );
    for (const text of [
      'update audit_records set actor = actor',
      'delete from audit_records',
      'truncate audit_records',
      'update steps set name = name',
      'delete from events',
      'delete from usage_records',
      'alter table tasks disable row level security',
      'alter table tasks no force row level security',
      'drop policy organization on tasks',
      'alter policy organization on tasks using (true)',
      'create policy mine on tasks using (true)',
      'set role guildhall_system',
      'set role guildhall_owner',
      'set role guildhall_admin',
      'set session authorization guildhall_system',
      'alter role guildhall_app bypassrls',
      'grant guildhall_system to guildhall_app',
      'create function mine() returns int language sql security definer as $$ select 1 $$',
      'create function pg_temp.mine() returns int language sql as $$ select 1 $$',
      'create temporary table mine (n int)',
      'create view mine as select * from tasks',
      `select audit_prune('system', 1)`,
      'select * from sessions',
      'select * from signing_keys',
      'select private_key_sealed from signing_keys',
      'select sealed_private_key from audit_keys',
      'select * from accounts',
    ])
      assert.ok(['42501', '0A000'].includes(await refusal(text)), `${text}: ${await refusal(text)}`);
    // Turning it off for oneself makes statements fail rather than show more.
    await app.query('set row_security = off');
    assert.equal(await refusal('select * from tasks'), '42501');
  } finally {
    await app.end();
  }
});

test('CMP-01 the role of the system cannot rewrite the record either, nor lift the isolation of others', async () => {
  const system = new pg.Client(guildhall.database.system as pg.ClientConfig);
  await system.connect();
  try {
    for (const text of [
      ...['audit_records', 'audit_seals', 'steps', 'events', 'usage_records'].flatMap(table => [
        `delete from ${table}`,
        `truncate ${table}`,
        `update ${table} set organization_id = organization_id`,
      ]),
      'alter table tasks disable row level security',
      'alter policy organization on tasks using (true)',
      'alter role guildhall_system superuser',
      'create function mine() returns int language sql security definer as $$ select 1 $$',
      'set role guildhall_owner',
    ])
      await assert.rejects(system.query(text), denied, text);
  } finally {
    await system.end();
  }
});

test('a name that is no organization sees nothing, however it is written', async () => {
  for (const organizationId of [
    '',
    ' ',
    newId('org'),
    `${one.organizationId} `,
    "' or true --",
    '%',
    "x'; commit; --",
  ]) {
    const rows = await tenants.within({ organizationId }, tx =>
      tx.selectFrom('tasks').select('id').execute(),
    );
    assert.deepEqual(rows, [], organizationId);
  }
});
