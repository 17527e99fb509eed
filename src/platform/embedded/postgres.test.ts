/** The embedded server as its callers meet it: started, stopped, killed, refused. */
import assert from 'node:assert/strict';
import { chown, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import pg from 'pg';
import { startEmbeddedPostgres } from './postgres.ts';
import { isAlive, waitUntil } from './processes.ts';
import type { LogLine } from './supervisor.ts';
import { ask, hold, makeScratch, problem } from './testing.ts';

let scratch: Awaited<ReturnType<typeof makeScratch>>;
let dataDir: string;
let systemDir: string;
const lines: LogLine[] = [];
const start = (settings?: Record<string, string>) =>
  startEmbeddedPostgres({ dataDir, systemDir, settings, log: line => lines.push(line) });

before(async () => {
  scratch = await makeScratch();
  dataDir = join(scratch.dir, 'data dir');
  systemDir = join(scratch.dir, 'system');
});
after(() => scratch.remove());

test('the first start makes a database, a later one finds it again', async t => {
  const began = performance.now();
  await using first = await start();
  const firstMs = performance.now() - began;
  await ask(first.owner, 'create table kept (n int)');
  await ask(first.owner, 'insert into kept values (7)');
  const [facts] = (await ask(
    first.owner,
    `select current_setting('server_version') as version, current_setting('data_checksums') as checksums,
       current_setting('fsync') as fsync, current_setting('listen_addresses') as listens,
       (select datlocprovider::text || ' ' || datlocale || ' ' || pg_encoding_to_char(encoding)
          from pg_database where datname = current_database()) as locale`,
  )) as Record<string, string>[];
  assert.deepEqual(facts, {
    version: first.version,
    checksums: 'on',
    fsync: 'on',
    listens: '',
    locale: 'b C.UTF-8 UTF8',
  });
  await first.stop();
  assert.equal(first.pid, undefined);

  const again = performance.now();
  await using second = await start();
  t.diagnostic(
    `first start ${firstMs.toFixed(0)} ms, later start ${(performance.now() - again).toFixed(0)} ms`,
  );
  assert.equal(second.adopted, false);
  assert.deepEqual(await ask(second.owner, 'select n from kept'), [{ n: 7 }]);
  assert.equal((await stat(join(dataDir, 'postgres', 'credentials.json'))).mode & 0o777, 0o600);
});

test('roles: the owner makes databases, the application neither makes them nor bypasses row security', async () => {
  await using server = await start();
  const roles = await ask(
    server.admin,
    `select rolname, rolsuper, rolbypassrls, rolcreatedb, rolcreaterole from pg_roles where rolname like 'guildhall%' order by 1`,
  );
  const role = (rolname: string, rolsuper: boolean, rolcreatedb: boolean) => ({
    rolname,
    rolsuper,
    rolbypassrls: rolsuper,
    rolcreatedb,
    rolcreaterole: rolsuper,
  });
  assert.deepEqual(roles, [
    role('guildhall_admin', true, true),
    role('guildhall_app', false, false),
    role('guildhall_owner', false, true),
    role('guildhall_system', false, false),
  ]);
  await ask(server.owner, 'create database scratch_copy template guildhall');
  assert.deepEqual(await ask({ ...server.owner, database: 'scratch_copy' }, 'select n from kept'), [
    { n: 7 },
  ]);
  await ask(server.owner, 'drop database scratch_copy');
  await ask(server.owner, 'create extension pg_trgm');
  for (const one of [server.app, server.system]) {
    await assert.rejects(ask(one, 'create database no'), { code: '42501' });
    await assert.rejects(ask(one, 'create table no (n int)'), { code: '42501' });
  }
  await assert.rejects(ask({ ...server.app, password: server.owner.password }, 'select 1'), {
    code: '28P01',
  });
});

test('a second start on the same data is refused and says who has it', async () => {
  await using _server = await start();
  await assert.rejects(start(), problem('data_directory_in_use', new RegExp(`by process ${process.pid};`)));
  const other = hold({ dataDir, systemDir });
  await other.ended;
  assert.equal(other.problem?.code, 'data_directory_in_use');
  assert.match(
    other.problem?.message ?? '',
    new RegExp(`by process ${process.pid}; stop it or choose another GUILDHALL_DATA`),
  );
});

test('kill -9 of the parent: the next start adopts the server, with every acknowledged row', async () => {
  const held = hold({ dataDir, systemDir });
  const { owner, pid } = await held.ready;
  await ask(owner, 'create table acked (n int)');
  const client = new pg.Client(owner);
  client.on('error', () => {});
  await client.connect();
  let acked = 0;
  const writing = (async () => {
    for (;;) {
      await client.query('insert into acked values ($1)', [acked + 1]);
      acked++;
    }
  })().catch(() => {});
  assert.ok(await waitUntil(() => acked > 50, 10_000));
  held.child.kill('SIGKILL');
  await held.ended;

  await using adopting = await start();
  assert.equal(adopting.adopted, true);
  assert.equal(adopting.pid, pid);
  await client.end();
  await writing;
  const [row] = (await ask(adopting.owner, 'select count(*)::int as n from acked')) as { n: number }[];
  assert.ok(row!.n >= acked, `${row!.n} rows of ${acked} acknowledged`);
});

test('kill -9 of parent and server together: the next start recovers every acknowledged row', async () => {
  const held = hold({ dataDir, systemDir });
  const { owner, pid } = await held.ready;
  await ask(owner, 'create table durable as select generate_series(1, 500) as n');
  process.kill(pid, 'SIGKILL');
  held.child.kill('SIGKILL');
  await held.ended;
  await using server = await start();
  assert.equal(server.adopted, false);
  assert.deepEqual(await ask(server.owner, 'select count(*)::int as n from durable'), [{ n: 500 }]);
});

test('a postmaster.pid whose pid belongs to somebody else by now is no server', async () => {
  const server = await start();
  const file = join(server.clusterDir, 'data', 'postmaster.pid');
  const text = await readFile(file, 'utf8');
  await server.stop();
  await writeFile(file, text.replace(/^\d+/, String(process.pid)));
  if (process.getuid?.() === 0) {
    const { uid, gid } = await stat(join(server.clusterDir, 'data'));
    await chown(file, uid, gid);
  }
  await using again = await start();
  assert.equal(again.adopted, false);
  assert.deepEqual(await ask(again.owner, 'select n from kept'), [{ n: 7 }]);
});

test('an orphan with other settings is stopped and started anew', async () => {
  const held = hold({ dataDir, systemDir });
  const { pid } = await held.ready;
  held.child.kill('SIGKILL');
  await held.ended;
  await using server = await start({ max_connections: '37' });
  assert.equal(server.adopted, false);
  assert.equal(isAlive(pid), false);
  assert.deepEqual(await ask(server.app, 'show max_connections'), [{ max_connections: '37' }]);
});

test('DAT-01 a database that dies is started again, and a pool finds it again', async () => {
  await using server = await start();
  const pool = new pg.Pool({ ...server.app, max: 4 });
  pool.on('error', () => {});
  await Promise.all(Array.from({ length: 8 }, () => pool.query('select 1')));
  const before = server.pid!;
  process.kill(before, 'SIGKILL');
  const back = await waitUntil(
    () =>
      server.pid !== before &&
      server.pid !== undefined &&
      pool.query('select 1').then(
        () => true,
        () => false,
      ),
    20_000,
    50,
  );
  await pool.end();
  assert.ok(back);
});

test('stop ends open sessions, frees the data directory and may be called twice', async () => {
  const server = await start();
  const client = new pg.Client(server.app);
  const ended = new Promise(resolve => client.once('end', resolve));
  client.on('error', () => {});
  await client.connect();
  const { pid } = server;
  await Promise.all([server.stop(), server.stop()]);
  await ended;
  assert.equal(isAlive(pid!), false);
  assert.deepEqual(
    (await readdir(join(dataDir, 'postgres'))).filter(name => name.startsWith('lock')),
    [],
  );
});

test('lost passwords are replaced', async () => {
  await rm(join(dataDir, 'postgres', 'credentials.json'));
  await using server = await start();
  assert.deepEqual(await ask(server.owner, 'select n from kept'), [{ n: 7 }]);
  assert.deepEqual(await ask(server.app, 'select 1 as n'), [{ n: 1 }]);
});
