/**
 * Every secret of a whole server rotated under load, the way an operator does it: with the command line, while
 * requests go on. Not one of them fails.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { removeEmbeddedPostgres } from '../../src/platform/embedded/postgres.ts';
import { spawnGuildhall, until } from '../harness/processes.ts';

const run = promisify(execFile);
const program = join(import.meta.dirname, '../../cli/main.ts');

test('SEC-03 master key, database password and provider keys are rotated under load: 0 failed requests', {
  timeout: 240_000,
}, async t => {
  const dataDir = await mkdtemp(join(tmpdir(), 'guildhall-rotate-'));
  await chmod(dataDir, 0o711);
  const env = {
    GUILDHALL_DATA: dataDir,
    PORT: '0',
    GUILDHALL_MODEL: 'scripted/team',
    GUILDHALL_LIMITS: 'read=100000,write=100000,costly=100000',
  };
  const server = spawnGuildhall('all', env);
  try {
    const { url, key } = await until('the server is ready', 90_000, async () =>
      JSON.parse(await readFile(join(dataDir, 'server.json'), 'utf8').catch(() => 'null')),
    );
    const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
    const guildhall = async (...args: string[]): Promise<string> => {
      const own = { PATH: process.env.PATH ?? '', GUILDHALL_DATA: dataDir };
      const { stdout } = await run(process.execPath, [program, ...args], { env: own, cwd: dataDir });
      return stdout;
    };
    const value = join(dataDir, 'value.txt');
    const setKey = async (verb: string) => {
      await writeFile(value, `sk-ant-${randomBytes(24).toString('base64url')}\n`, { mode: 0o600 });
      return guildhall('secret', verb, 'providers/anthropic/api-key', '--file', value);
    };
    assert.match(await setKey('set'), /version 1/);

    let stop = false;
    let answered = 0;
    const failed: string[] = [];
    const send = async (method: string, path: string, body?: object) => {
      const response = await fetch(url + path, {
        method,
        headers,
        body: body === undefined ? undefined : JSON.stringify(body),
      }).catch(error => ({ status: 0, text: async () => String(error) }));
      const text = await response.text();
      answered += 1;
      if (response.status !== 200) failed.push(`${method} ${path}: ${response.status} ${text.slice(0, 300)}`);
    };
    const load = Array.from({ length: 6 }, async (_, n) => {
      while (!stop) {
        await send('GET', '/api/v1/secrets');
        await send('GET', '/api/v1/tasks');
        await send('POST', '/api/v1/secrets', { name: `load/${n}`, value: randomBytes(12).toString('hex') });
      }
    });
    const more = async () => {
      const wanted = answered + 30;
      await until('more answers', 30_000, () => answered >= wanted);
    };
    const masterKey = await readFile(join(dataDir, 'master-key'), 'utf8');
    const passwords = await readFile(join(dataDir, 'postgres', 'credentials.json'), 'utf8');
    for (let round = 0; round < 2; round++) {
      await more();
      assert.match(await guildhall('secret', 'rotate-master'), /are sealed with the key [0-9a-f]{16} now/);
      await more();
      assert.match(await guildhall('secret', 'rotate', 'database-password'), /new passwords/);
      await more();
      assert.match(await setKey('rotate'), /version/);
      await more();
    }
    assert.match(await guildhall('secret', 'rotate-master', '--forget-old'), /sealed with the key/);
    await more();
    stop = true;
    await Promise.all(load);
    t.diagnostic(`${answered} requests, ${failed.length} failed`);
    assert.deepEqual(failed, []);
    assert.ok(!(await readFile(join(dataDir, 'master-key'), 'utf8')).includes(masterKey.trim()));
    assert.notEqual(await readFile(join(dataDir, 'postgres', 'credentials.json'), 'utf8'), passwords);
    const listed = JSON.parse(await guildhall('secret', 'list', '--json'));
    const found = listed.items.find((s: { name: string }) => s.name === 'providers/anthropic/api-key');
    assert.equal(found.version, 3);

    // All of it holds after a restart: the key file opens what it sealed, the passwords open the database.
    server.signal('SIGTERM');
    assert.equal((await server.exited).code, 0, server.output().slice(-2_000));
    const again = spawnGuildhall('all', env);
    try {
      await until('it is ready again', 90_000, async () => {
        const text = await readFile(join(dataDir, 'server.json'), 'utf8').catch(() => 'null');
        return JSON.parse(text)?.pid === again.pid;
      });
      assert.match(await guildhall('secret', 'delete', 'providers/anthropic/api-key'), /is revoked/);
      assert.doesNotMatch(await guildhall('secret', 'list'), /anthropic/);
    } finally {
      await again.kill();
    }
  } finally {
    await server.kill();
    await removeEmbeddedPostgres(dataDir).catch(() => {});
    await rm(dataDir, { recursive: true, force: true });
  }
});
