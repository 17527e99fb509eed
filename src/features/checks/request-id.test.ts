import assert from 'node:assert/strict';
import { subscribe } from 'node:diagnostics_channel';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { brokenAdd, makeRepository, startTestApp, type TestApp } from '../../../test/harness/app.ts';
import { repairTeam } from '../../../test/harness/team.ts';
import { startWireTeam, type WireTeam } from '../../../test/harness/wire-team.ts';
import { createLog } from '../../platform/telemetry/log.ts';

// One whole task under a request id of the caller's, with the real driver, and everything that it left behind.
const requestId = 'trace.of-the-caller_42';
const providerKey = 'sk-test-secret-of-the-provider';
const peers = new Set<string>();
let directory: string;
let repository: string;
let team: WireTeam;
let guildhall: TestApp;
let lines: Record<string, unknown>[];
let log: string;
let taskId: string;
let responseId: string | null;

before(async () => {
  subscribe('net.client.socket', message => {
    const { socket } = message as { socket: Socket };
    socket.on('connect', () => peers.add(socket.remoteAddress ?? 'local socket'));
  });
  directory = await mkdtemp(join(tmpdir(), 'guildhall-trace-'));
  repository = await makeRepository(brokenAdd);
  team = await startWireTeam(repairTeam);
  guildhall = await startTestApp({
    log: createLog({ level: 'debug', service: 'all', directory }),
    env: {
      GUILDHALL_MODEL: 'openai-compatible/test-model',
      OPENAI_BASE_URL: team.url,
      OPENAI_API_KEY: providerKey,
    },
  });
  const created = await guildhall.api<{ id: string }>(
    'POST',
    '/api/v1/tasks',
    { request: 'Fix add.', repository: { location: repository }, checks: ['node --test'] },
    { 'x-request-id': requestId },
  );
  assert.equal(created.status, 200, JSON.stringify(created.body));
  taskId = created.body.id;
  responseId = created.headers.get('x-request-id');
  const task = await guildhall.untilTask(taskId, ['succeeded', 'failed', 'dead_letter']);
  assert.equal(task.state, 'succeeded', task.state_reason);
  log = await readFile(join(directory, 'guildhall.log'), 'utf8');
  lines = log
    .split('\n')
    .filter(Boolean)
    .map(line => JSON.parse(line));
});
after(async () => {
  await guildhall?.[Symbol.asyncDispose]();
  await team?.[Symbol.asyncDispose]();
  for (const path of [directory, repository]) await rm(path, { recursive: true, force: true });
});

const rows = async (text: string) => (await guildhall.database.pool.query(text, [taskId])).rows;
const allHaveIt = (found: { request_id: string | null }[], least: number): void => {
  assert.ok(found.length >= least, `only ${found.length}`);
  assert.deepEqual(new Set(found.map(row => row.request_id)), new Set([requestId]));
};

test('OBS-02 the request id is in the response, and in the rows of every task and run of the tree', async () => {
  assert.equal(responseId, requestId);
  allHaveIt(await rows('select request_id from tasks where root_task_id = $1'), 3);
  allHaveIt(
    await rows('select r.request_id from runs r join tasks t on t.id = r.task_id where t.root_task_id = $1'),
    3,
  );
});

test('OBS-02 the request id is in every event of the tree', async () => {
  allHaveIt(await rows('select request_id from facts where root_task_id = $1'), 30);
});

test('OBS-02 the request id is in the audit of every step, and of the task itself', async () => {
  const steps = await rows(
    `select a.request_id, a.action from audit_trail a where a.data ->> 'run_id' in (select r.id from runs r join tasks t on t.id = r.task_id where t.root_task_id = $1)`,
  );
  allHaveIt(steps, 15);
  assert.deepEqual(new Set(steps.map(s => s.action)), new Set(['model.call', 'tool.call']));
  const tasks = await rows(
    `select request_id, action from audit_trail where target in (select id from tasks where root_task_id = $1)`,
  );
  allHaveIt(tasks, 6);
  assert.ok(tasks.some(t => t.action === 'task.create') && tasks.some(t => t.action === 'task.end'));
});

test('OBS-02 the request id reaches the provider with every call', () => {
  assert.ok(team.calls.length >= 8);
  assert.deepEqual(new Set(team.calls.map(c => c.requestId)), new Set([requestId]));
});

test('OBS-02 the request id is in the lines of the API and of the worker', () => {
  const mine = lines.filter(line => line.request_id === requestId).map(line => line.message);
  for (const message of ['incoming request', 'request completed', 'model call', 'delegated', 'review']) {
    assert.ok(mine.includes(message), `no line "${message}" among ${[...new Set(mine)].join(', ')}`);
  }
  const aboutTheTree = lines.filter(line => 'run_id' in line || 'task_id' in line);
  allHaveIt(aboutTheTree as { request_id: string }[], 5);
});

test('OBS-01 every line of the whole server has time, level and service; of a request its id', () => {
  assert.ok(lines.length > 10);
  for (const line of lines) {
    assert.ok(!Number.isNaN(new Date(String(line.ts)).getTime()), JSON.stringify(line));
    assert.match(String(line.level), /^(debug|info|warn|error)$/);
    assert.equal(line.service, 'all');
    if ('req' in line || 'res' in line) assert.match(String(line.request_id), /\S/);
  }
});

test('no secret is in the log or in what an agent was shown', async () => {
  const shown = JSON.stringify([
    team.calls.map(c => c.text),
    await rows('select data from steps where root_task_id = $1'),
    await rows('select data from facts where root_task_id = $1'),
  ]);
  for (const secret of [providerKey, guildhall.key, String(guildhall.database.app.password)]) {
    assert.ok(!log.includes(secret) && !shown.includes(secret));
  }
});

test('TST-06 a whole task opens no connection beyond this machine', () => {
  assert.ok(peers.size > 0);
  assert.deepEqual(
    [...peers].filter(peer => !['127.0.0.1', '::1', 'local socket'].includes(peer)),
    [],
  );
});
