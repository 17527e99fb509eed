/** The whole server, with its embedded database, killed or stopped in the middle of the main job. */
import assert from 'node:assert/strict';
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { removeEmbeddedPostgres } from '../../src/platform/embedded/postgres.ts';
import { brokenAdd, git, makeRepository } from '../harness/app.ts';
import { type GuildhallProcess, spawnGuildhall, until } from '../harness/processes.ts';

interface Address {
  url: string;
  key: string;
  pid: number;
}

async function addressOf(server: GuildhallProcess, dataDir: string): Promise<Address> {
  return until('the server is ready', 90_000, async () => {
    const text = await readFile(join(dataDir, 'server.json'), 'utf8').catch(() => null);
    const found = text ? (JSON.parse(text) as Address) : null;
    return found?.pid === server.pid ? found : null;
  });
}

async function ask(
  address: Address,
  method: string,
  path: string,
  body?: unknown,
): Promise<Record<string, unknown>> {
  const response = await fetch(`${address.url}${path}`, {
    method,
    headers: { authorization: `Bearer ${address.key}`, 'content-type': 'application/json' },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  return (await response.json()) as Record<string, unknown>;
}

const steps = async (address: Address, id: string): Promise<number> =>
  ((await ask(address, 'GET', `/api/v1/tasks/${id}/steps?tree=true&limit=2000`)).items as unknown[]).length;

for (const how of ['SIGKILL', 'SIGTERM'] as const) {
  test(`JOB-01 ${how} to the whole server in the middle of the main job: started again on the same data, the task finishes by itself`, {
    timeout: 240_000,
  }, async t => {
    const dataDir = await mkdtemp(join(tmpdir(), 'guildhall-killed-'));
    await chmod(dataDir, 0o711);
    const repository = await makeRepository(brokenAdd);
    const env = {
      GUILDHALL_DATA: dataDir,
      PORT: '0',
      GUILDHALL_LEASE_SECONDS: '2',
      GUILDHALL_MODEL: 'scripted/team',
    };
    const servers: GuildhallProcess[] = [];
    try {
      const first = spawnGuildhall('all', env);
      servers.push(first);
      const address = await addressOf(first, dataDir);
      const task = await ask(address, 'POST', '/api/v1/tasks', {
        request: 'The test of add fails. Find the cause and fix it.',
        repository: { location: repository },
        checks: ['node --test'],
      });
      const id = task.id as string;
      await until('some steps', 60_000, async () => (await steps(address, id)) >= 8);
      if (how === 'SIGKILL') {
        const second = spawnGuildhall('all', env);
        servers.push(second);
        assert.notEqual((await second.exited).code, 0, 'a second server on the same data is refused');
        assert.match(second.output(), /already used by process/);
      }
      first.signal(how);
      const exit = await first.exited;
      if (how === 'SIGTERM') assert.equal(exit.code, 0);
      const at = performance.now();
      const again = spawnGuildhall('all', env);
      servers.push(again);
      const next = await addressOf(again, dataDir);
      t.diagnostic(`ready again after ${(performance.now() - at).toFixed(0)} ms`);
      const ended = await until('the task has ended', 120_000, async () => {
        const now = await ask(next, 'GET', `/api/v1/tasks/${id}`);
        return ['succeeded', 'failed', 'dead_letter'].includes(now.state as string) ? now : null;
      });
      assert.equal(ended.state, 'succeeded', String(ended.state_reason));
      assert.match(await git(repository, 'show', `${ended.delivered_branch}:sum.js`), /a \+ b/);
      again.signal('SIGTERM');
      assert.equal((await again.exited).code, 0);
    } finally {
      for (const server of servers) await server.kill();
      await removeEmbeddedPostgres(dataDir).catch(() => {});
      await rm(dataDir, { recursive: true, force: true });
      await rm(repository, { recursive: true, force: true });
    }
  });
}
