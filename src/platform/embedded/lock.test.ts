/** The lock of a data directory, against what killed processes and reused pids leave behind. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { acquireLock } from './lock.ts';
import { isAlive, startMark, waitUntil } from './processes.ts';
import { makeScratch, problem } from './testing.ts';

let scratch: Awaited<ReturnType<typeof makeScratch>>;
let home: string;
let n = 0;

before(async () => {
  scratch = await makeScratch();
});
beforeEach(async () => {
  home = join(scratch.dir, `home-${n++}`);
  await mkdir(home);
});
after(() => scratch.remove());

const acquire = () => acquireLock(home, '/data');
const heldBy = (pid: number) =>
  problem('data_directory_in_use', new RegExp(`^/data is already used by process ${pid};`));
/** Puts down the file that a process with this pid would have left. */
const leave = (pid: number, text: string) => writeFile(join(home, `lock-${pid}-0123456789abcdef`), text);

test('one holder at a time, and free after release', async () => {
  const lock = await acquire();
  await assert.rejects(acquire(), heldBy(process.pid));
  await lock.release();
  await (await acquire()).release();
  assert.deepEqual(await readdir(home), []);
});

test('the lock of a process that is gone does not count', async () => {
  const child = spawn('true');
  await new Promise(resolve => child.once('exit', resolve));
  await leave(child.pid!, JSON.stringify({ pid: child.pid, started: 'whenever', held: true }));
  await (await acquire()).release();
  assert.deepEqual(await readdir(home), []);
});

test('a pid that now belongs to another process does not hold the lock; the same process does', async () => {
  const other = spawn('sleep', ['60']);
  try {
    const started = await startMark(other.pid!);
    assert.ok(started);
    await leave(other.pid!, JSON.stringify({ pid: other.pid, started, held: true }));
    await assert.rejects(acquire(), heldBy(other.pid!));
    await leave(other.pid!, JSON.stringify({ pid: other.pid, started: `${started}0`, held: true }));
    await (await acquire()).release();
  } finally {
    other.kill('SIGKILL');
  }
});

test('a damaged lock file does not count', async () => {
  for (const text of ['', '{"pid":', 'null', '{"pid":-1}', '[]']) {
    await leave(process.pid, text);
    await (await acquire()).release();
  }
});

test('of many that come at once upon a stale lock, never two have it', async () => {
  let winners = 0;
  for (let round = 0; round < 8; round++) {
    await leave(process.pid, '{"pid":0}');
    const tries = await Promise.allSettled(Array.from({ length: 8 }, acquire));
    const won = tries.filter(result => result.status === 'fulfilled');
    assert.ok(won.length <= 1, `${won.length} holders`);
    winners += won.length;
    for (const { value } of won) await value.release();
  }
  assert.ok(winners > 0);
});

test('a process that has died but was not waited for is not alive', {
  skip: process.platform !== 'linux',
}, async () => {
  // The shell's child ends while the shell, replaced by sleep, never waits for it.
  const parent = spawn('/bin/sh', ['-c', 'sleep 1 & echo $!; exec sleep 60'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  try {
    const text = await new Promise<string>(resolve =>
      parent.stdout.once('data', data => resolve(String(data))),
    );
    const zombie = Number(text);
    assert.ok(await waitUntil(() => !isAlive(zombie), 10_000));
    assert.equal(process.kill(zombie, 0), true);
  } finally {
    parent.kill('SIGKILL');
  }
});
