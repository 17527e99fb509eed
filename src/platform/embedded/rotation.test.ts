import assert from 'node:assert/strict';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { openDb, openPool } from '../db/db.ts';
import { startEmbeddedPostgres } from './postgres.ts';
import { ask, makeScratch } from './testing.ts';

const scratch = await makeScratch();
after(() => scratch.remove());
const dataDir = join(scratch.dir, 'data');
const start = () => startEmbeddedPostgres({ dataDir, systemDir: join(scratch.dir, 'system'), log: () => {} });
const home = async () => JSON.parse(await readFile(join(dataDir, 'postgres', 'credentials.json'), 'utf8'));

test('SEC-03 new passwords for the embedded database, under load: no query fails, the old ones are dead', async () => {
  await using server = await start();
  const source = { read: async () => server.app.password, readAgain: async () => server.app.password };
  const pool = openPool({ ...server.app, max: 4, maxUses: 10, passwordSource: source }, () => {});
  const db = openDb(pool);
  const before = { ...server.app };
  let done = 0;
  let stop = false;
  const failed: unknown[] = [];
  const load = Array.from({ length: 4 }, async () => {
    while (!stop)
      await db
        .selectNoFrom(eb => eb.val(1).as('one'))
        .execute()
        .then(
          () => (done += 1),
          error => failed.push(error),
        );
  });
  for (let rotation = 0; rotation < 3; rotation++) {
    await server.rotatePasswords();
    const until = done + 100;
    while (done < until) await new Promise(resolve => setImmediate(resolve));
  }
  stop = true;
  await Promise.all(load);
  await pool.end();
  assert.deepEqual(failed, []);
  assert.notEqual(server.app.password, before.password);
  await assert.rejects(ask(before, 'select 1'), { code: '28P01' });
  for (const role of ['app', 'system', 'owner', 'admin'] as const) await ask(server[role], 'select 1');
  assert.deepEqual(await home(), {
    admin: server.admin.password,
    owner: server.owner.password,
    app: server.app.password,
    system: server.system.password,
  });
});

test('SEC-03 a rotation that was cut off is mended by the next start, wherever it was cut', async () => {
  const marker = join(dataDir, 'postgres', 'credentials.rotating');
  {
    await using server = await start();
    // As if the process had died after the database took the new password, and before the file did.
    await ask(server.admin, "alter role guildhall_app password 'nobody-knows-this-one'");
    await writeFile(marker, '');
  }
  await using again = await start();
  await ask(again.app, 'select 1');
  await assert.rejects(stat(marker));
  await again.stop();
  await using third = await start();
  assert.deepEqual(third.app, again.app);
  await ask(third.app, 'select 1');
});
