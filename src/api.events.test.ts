import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { startTestApp } from '../test/harness/app.ts';
import { openEvents } from '../test/harness/events.ts';
import { addOrganization, addTask } from '../test/harness/organization.ts';

const guildhall = await startTestApp({ roles: ['api'] });
after(() => guildhall[Symbol.asyncDispose]());
const { db } = guildhall.database;
const now = new Date();
const other = await addOrganization(db, 'other', now);

const open = (query = '', key = guildhall.key, headers: Record<string, string> = {}) =>
  openEvents(`${guildhall.app.url}/api/v1/events${query}`, { authorization: `Bearer ${key}`, ...headers });
const create = async (request: string): Promise<string> =>
  (await guildhall.api<{ id: string }>('POST', '/api/v1/tasks', { request })).body.id;

test('what is done over the API is seen in the stream, and who comes back is given what was missed', async () => {
  const client = await open();
  const first = await create('First.');
  await client.until(event => event.type === 'run.queued');
  assert.deepEqual(
    client.seen.map(event => [event.type, event.data.task_id]),
    [
      ['task.created', first],
      ['run.queued', first],
    ],
  );
  client.close();
  const second = await create('Second.');
  await guildhall.api('POST', `/api/v1/tasks/${first}/cancel`);
  const again = await open('', guildhall.key, { 'last-event-id': client.seen.at(-1)?.id as string });
  await again.until(event => event.type === 'task.cancelled');
  assert.deepEqual(again.seen.map(event => [event.type, event.data.task_id]).slice(0, 4), [
    ['task.created', second],
    ['run.queued', second],
    ['task.cancelled', first],
    ['run.cancelled', first],
  ]);
  again.close();
});

test('a stream of one task has the events of its tree only', async () => {
  const [mine, elsewhere] = [await create('Mine.'), await create('Elsewhere.')];
  const client = await open(`?task_id=${mine}&last_event_id=0-0`);
  await guildhall.api('POST', `/api/v1/tasks/${elsewhere}/cancel`);
  await guildhall.api('POST', `/api/v1/tasks/${mine}/cancel`);
  await client.until(event => event.type === 'run.cancelled');
  assert.ok(client.seen.length >= 4);
  assert.deepEqual(new Set(client.seen.map(event => event.data.task_id)), new Set([mine]));
  client.close();
});

test('events of another organization never appear, live, replayed, or by naming its task', async () => {
  const [mine, theirs] = [await open('?last_event_id=0-0'), await open('?last_event_id=0-0', other.key)];
  const foreign = await addTask(db, other, now);
  const own = await create('Own.');
  await mine.until(event => event.data.task_id === own);
  await theirs.until(event => event.data.task_id === foreign.id);
  assert.ok(!mine.seen.some(event => event.data.task_id === foreign.id));
  assert.ok(!theirs.seen.some(event => event.data.task_id === own));
  const text = JSON.stringify(mine.seen);
  assert.ok(!text.includes(other.organizationId) && !text.includes(other.agentId));
  const named = await fetch(`${guildhall.app.url}/api/v1/events?task_id=${foreign.id}`, {
    headers: { authorization: `Bearer ${guildhall.key}` },
  });
  assert.equal(named.status, 404);
  for (const client of [mine, theirs]) client.close();
});

test('nothing of another organization is found by its ids, in any route that takes one', async () => {
  const foreign = await addTask(db, other, now);
  for (const path of ['', '/tree', '/steps', '/checks', '/diff', '/messages']) {
    assert.equal((await guildhall.api('GET', `/api/v1/tasks/${foreign.id}${path}`)).status, 404, path);
  }
  for (const action of ['cancel', 'pause', 'resume', 'retry']) {
    assert.equal((await guildhall.api('POST', `/api/v1/tasks/${foreign.id}/${action}`)).status, 404, action);
  }
  assert.equal((await guildhall.api('GET', `/api/v1/agents/${other.agentId}`)).status, 404);
  assert.equal(
    (await guildhall.api('PATCH', `/api/v1/agents/${other.agentId}`, { title: 'Mine' })).status,
    404,
  );
  const depends = await guildhall.api<{ code: string }>('POST', '/api/v1/tasks', {
    request: 'x',
    depends_on: [foreign.id],
  });
  assert.equal(depends.body.code, 'dependency_missing');
  for (const list of [
    'tasks',
    'agents',
    'teams',
    'budgets',
    'approvals?state=all',
    'dead-letters',
    'api-keys',
  ]) {
    const { body } = await guildhall.api<{ items: unknown[] }>('GET', `/api/v1/${list}`);
    assert.ok(
      !JSON.stringify(body).includes(foreign.id) && !JSON.stringify(body).includes(other.agentId),
      list,
    );
  }
});
