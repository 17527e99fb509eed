import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { openPeer, openShell, type Shell } from './testing.ts';

const used = { calls: 0, tokens: 0, cost_micros: 0, unpriced_calls: 0 };
const sentence = 'guildhall: No server is running on this data. Start it with ./guildhall up\n';

async function writeServerFile(
  shell: Shell,
  server: { url: string; pid: number; key: string },
): Promise<void> {
  await mkdir(shell.dataDir, { recursive: true });
  await writeFile(join(shell.dataDir, 'server.json'), JSON.stringify(server), { mode: 0o600 });
}

test('the server on the local data is found by its file, with its key', async () => {
  await using peer = await openPeer(() => ({ body: used }));
  await using shell = await openShell();
  await writeServerFile(shell, { url: peer.url, pid: process.pid, key: 'ghk_local' });
  assert.equal((await shell.run('usage')).code, 0);
  assert.equal(peer.received[0]?.headers.authorization, 'Bearer ghk_local');
  assert.equal((await shell.run('usage', '--server', `${peer.url}/`)).code, 0, 'also by its address');
  assert.equal(peer.received[1]?.headers.authorization, 'Bearer ghk_local');
  await shell.run('usage', '--key', 'ghk_other');
  assert.equal(peer.received[2]?.headers.authorization, 'Bearer ghk_other');
});

test('a file that a killed server left behind names no server', async () => {
  await using peer = await openPeer(() => ({ body: used }));
  await using shell = await openShell();
  // Above the largest pid that Linux and macOS give.
  await writeServerFile(shell, { url: peer.url, pid: 99_999_999, key: 'ghk_local' });
  const { code, err } = await shell.run('usage');
  assert.deepEqual([code, err], [5, sentence]);
  assert.equal(peer.received.length, 0, 'the key went nowhere');
});

test('a file whose pid another process has now: nothing answers, the same sentence', async () => {
  const gone = await openPeer(() => null);
  await gone[Symbol.asyncDispose]();
  await using shell = await openShell();
  await writeServerFile(shell, { url: gone.url, pid: process.pid, key: 'ghk_local' });
  const { code, err } = await shell.run('usage');
  assert.deepEqual([code, err], [5, sentence]);
});
