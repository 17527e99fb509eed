/** Servers whose processes do not react: waits that are long by their nature. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { startEmbeddedPostgres } from './postgres.ts';
import { isAlive } from './processes.ts';
import type { LogLine } from './supervisor.ts';
import { ask, hold, makeScratch } from './testing.ts';

let scratch: Awaited<ReturnType<typeof makeScratch>>;
let dataDir: string;
let systemDir: string;

before(async () => {
  scratch = await makeScratch();
  dataDir = join(scratch.dir, 'data');
  systemDir = join(scratch.dir, 'system');
});
after(() => scratch.remove());

/** A session and the pid of the server process behind it. */
async function session(config: pg.ClientConfig): Promise<{ client: pg.Client; backend: number }> {
  const client = new pg.Client(config);
  client.on('error', () => {});
  await client.connect();
  const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
  return { client, backend: rows[0]!.pid };
}

test('children of a killed server that still hold its memory are waited for', async () => {
  const held = hold({ dataDir, systemDir });
  const { owner, pid } = await held.ready;
  await ask(owner, 'create table kept as select 7 as n');
  const { backend } = await session(owner);
  process.kill(backend, 'SIGSTOP');
  process.kill(pid, 'SIGKILL');
  held.child.kill('SIGKILL');
  await held.ended;
  const waking = sleep(1500).then(() => {
    const held = isAlive(backend);
    process.kill(backend, 'SIGCONT');
    return held;
  });
  const began = performance.now();
  await using server = await startEmbeddedPostgres({ dataDir, systemDir, log: () => {} });
  assert.equal(await waking, true, 'the child was still there');
  assert.ok(performance.now() - began >= 1400, 'the start waited for it');
  assert.deepEqual(await ask(server.owner, 'select n from kept'), [{ n: 7 }]);
});

test('a server that does not stop in time is stopped harder, and loses nothing', async () => {
  const lines: LogLine[] = [];
  const options = { dataDir, systemDir, stopLimitMs: 300, log: (line: LogLine) => lines.push(line) };
  const server = await startEmbeddedPostgres(options);
  const { backend } = await session(server.owner);
  await ask(server.owner, 'create table late as select 8 as n');
  const { pid } = server;
  process.kill(backend, 'SIGSTOP');
  await server.stop();
  assert.equal(isAlive(pid!), false);
  assert.equal(isAlive(backend), false);
  assert.equal(lines.at(-1)?.how, 'immediate');
  await using again = await startEmbeddedPostgres(options);
  assert.deepEqual(await ask(again.owner, 'select n from late'), [{ n: 8 }]);
});
