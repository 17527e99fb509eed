/**
 * A server that has its secrets from Vault alone, and its database's password replaced there and in the database while
 * requests go on, opening new connections all the time.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { systemClock } from '../../src/base/time.ts';
import { startTestServer } from '../harness/database.ts';
import { connectionUrl, spawnGuildhall, until } from '../harness/processes.ts';
import { startVault } from '../harness/stores/vault.ts';

const newPassword = () => randomBytes(18).toString('base64url');

test('SEC-01 SEC-03 secrets from Vault only; its database password is rotated under load: 0 failed requests', {
  timeout: 240_000,
}, async t => {
  await using open = new AsyncDisposableStack();
  const database = await startTestServer();
  open.defer(() => database.stop());
  const vault = open.use(await startVault(systemClock));
  const dataDir = await mkdtemp(join(tmpdir(), 'guildhall-stores-'));
  open.defer(() => rm(dataDir, { recursive: true, force: true }));
  await chmod(dataDir, 0o711);
  const { owner } = database;
  const secrets = { master_key: randomBytes(32).toString('base64'), model_key: `sk-${newPassword()}` };
  const keep = (password: string) =>
    vault.secrets.set('secret/guildhall', [
      { ...secrets, database_url: connectionUrl({ ...owner, password }) },
    ]);
  keep(String(owner.password));
  const secretId = join(dataDir, 'secret-id');
  await writeFile(secretId, `${vault.approle.secretId}\n`, { mode: 0o600 });
  const server = spawnGuildhall('all', {
    GUILDHALL_DATA: dataDir,
    PORT: '0',
    GUILDHALL_MODEL: 'scripted/team',
    GUILDHALL_LIMITS: 'read=100000,write=100000',
    DATABASE_URL: 'vault://secret/guildhall#database_url',
    GUILDHALL_MASTER_KEY: 'vault://secret/guildhall#master_key',
    ANTHROPIC_API_KEY: 'vault://secret/guildhall#model_key',
    VAULT_ADDR: vault.url,
    VAULT_ROLE_ID: vault.approle.roleId,
    VAULT_SECRET_ID_FILE: secretId,
  });
  open.defer(() => server.kill());
  const { url, key } = await until('the server is ready', 90_000, async () => {
    if (await Promise.race([server.exited.then(() => true), sleep(0, false)]))
      throw new Error(server.output());
    return JSON.parse(await readFile(join(dataDir, 'server.json'), 'utf8').catch(() => 'null'));
  });
  const environment = await readFile(`/proc/${server.pid}/environ`, 'utf8');
  for (const secret of [
    secrets.master_key,
    secrets.model_key,
    String(owner.password),
    vault.approle.secretId,
  ])
    assert.ok(!environment.includes(secret));

  const failed: string[] = [];
  let answered = 0;
  let stop = false;
  const one = async (path: string) => {
    const response = await fetch(url + path, { headers: { authorization: `Bearer ${key}` } }).catch(String);
    if (typeof response === 'string') failed.push(response);
    else {
      const text = await response.text();
      if (response.status !== 200) failed.push(`${path}: ${response.status} ${text.slice(0, 300)}`);
    }
    answered += 1;
  };
  const load = (async () => {
    // One after the other, then many at once: more connections than stand are needed each time.
    for (let width = 1; !stop; width = (width % 16) + 1)
      await Promise.all(
        Array.from({ length: width }, (_, n) => one(n % 2 ? '/api/v1/tasks' : '/api/v1/secrets')),
      );
  })();
  const admin = new pg.Client({ ...(owner as pg.ClientConfig) });
  await admin.connect();
  open.defer(() => admin.end());
  const connectionsSince = async (time: string): Promise<number> => {
    const { rows } = await admin.query(
      "select count(*)::integer as n from pg_stat_activity where application_name = 'guildhall' and backend_start > $1",
      [time],
    );
    return rows[0].n;
  };
  /** Ends connections that nobody uses just now, so that the pool has to open others. */
  const endIdle = () =>
    admin.query(
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'guildhall' and state = 'idle' and state_change < now() - interval '20 seconds'",
    );
  let opened = 0;
  for (let rotation = 0; rotation < 2; rotation++) {
    const password = newPassword();
    await admin.query(`alter role ${owner.user} password '${password}'`);
    const { rows } = await admin.query('select now()::text as time');
    const after = answered + 100;
    await sleep(1_500); // An operator is no faster; the server meets refusals meanwhile.
    keep(password);
    await until('more answers', 30_000, () => answered >= after);
    await endIdle();
    await until('a connection with the new password', 60_000, async () => {
      opened = await connectionsSince(rows[0].time);
      return opened > 0;
    });
  }
  stop = true;
  await load;
  t.diagnostic(`${answered} requests, ${failed.length} failed, ${opened} connections with the new password`);
  assert.deepEqual(failed, []);
  assert.ok(answered > 200);
  server.signal('SIGTERM');
  assert.equal((await server.exited).code, 0, server.output().slice(-2_000));
});
