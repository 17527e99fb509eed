import assert from 'node:assert/strict';
import { appendFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { sql } from 'kysely';
import { makeRepository, startTestApp } from '../test/harness/app.ts';

const guildhall = await startTestApp({ roles: ['api'] });
after(() => guildhall[Symbol.asyncDispose]());
const { db } = guildhall.database;

interface Task {
  id: string;
  code?: string;
}
const create = (
  request: string,
  key: string | null,
  more: object = {},
  headers: Record<string, string> = {},
) =>
  guildhall.api<Task>(
    'POST',
    '/api/v1/tasks',
    { request, ...more },
    { ...headers, ...(key === null ? {} : { 'idempotency-key': key }) },
  );
const countTasks = async (): Promise<number> => {
  const { rows } = await sql<{ n: number }>`select count(*) as n from tasks`.execute(db);
  return rows[0]?.n ?? -1;
};

test('the same key with the same request gives the same answer and one row', async () => {
  const before = await countTasks();
  const first = await create('Once.', 'key-1');
  const second = await create('Once.', 'key-1');
  assert.deepEqual([first.status, second.status], [200, 200]);
  assert.deepEqual(second.body, first.body);
  assert.equal(await countTasks(), before + 1);
  const events = await db.selectFrom('events').select('type').where('task_id', '=', first.body.id).execute();
  assert.equal(events.filter(e => e.type === 'task.created').length, 1);
});

test('fields in another order are the same request', async () => {
  const first = await create('Order.', 'key-order', { title: 'T', max_turns: 5 });
  const second = await guildhall.api<Task>(
    'POST',
    '/api/v1/tasks',
    { max_turns: 5, title: 'T', request: 'Order.' },
    { 'idempotency-key': 'key-order' },
  );
  assert.equal(second.body.id, first.body.id);
});

test('the same key with another request is 409 and changes nothing', async () => {
  await create('First.', 'key-2');
  const before = await countTasks();
  for (const answer of [
    await create('Second.', 'key-2'),
    await create('First.', 'key-2', { max_turns: 3 }),
    await guildhall.api<Task>(
      'POST',
      '/api/v1/teams',
      { name: 'a', template: 'company' },
      { 'idempotency-key': 'key-2' },
    ),
  ]) {
    assert.deepEqual([answer.status, answer.body.code], [409, 'idempotency_key_reused']);
  }
  assert.equal(await countTasks(), before);
});

test('ten times at once under one key makes one task, and everybody hears of that one', async () => {
  const before = await countTasks();
  const answers = await Promise.all(Array.from({ length: 10 }, () => create('At once.', 'key-3')));
  assert.deepEqual(new Set(answers.map(a => a.status)), new Set([200]));
  assert.equal(new Set(answers.map(a => a.body.id)).size, 1);
  assert.equal(await countTasks(), before + 1);
});

test('a key belongs to who used it: another member may use the same', async () => {
  const first = await create('Mine.', 'key-4');
  const { organizationId } = guildhall.app.installation;
  const member = 'mem_other';
  await sql`insert into members (id, organization_id, name, role, created_at)
    values (${member}, ${organizationId}, 'Other', 'developer', now())`.execute(db);
  await sql`insert into api_keys (id, organization_id, member_id, name, prefix, key_hash, scopes, created_at)
    values ('key_other', ${organizationId}, ${member}, 'k', 'ghk_', encode(sha256('ghk_${sql.raw('o'.repeat(43))}'), 'hex'), '{read,write}', now())`.execute(
    db,
  );
  const other = await create('Mine.', 'key-4', {}, { authorization: `Bearer ghk_${'o'.repeat(43)}` });
  assert.equal(other.status, 200);
  assert.notEqual(other.body.id, first.body.id);
});

test('a refused request leaves its key free for a better one', async () => {
  const refused = await create('Free.', 'key-5', { team: 'nobody' });
  assert.equal(refused.body.code, 'team_missing');
  assert.equal((await create('Free.', 'key-5')).status, 200);
});

test('a key that is none is 400', async () => {
  for (const key of ['', 'x'.repeat(201), 'a b']) {
    const answer = await create('No key.', key);
    assert.deepEqual([answer.status, answer.body.code], [400, 'idempotency_key_invalid'], key);
  }
});

test('without a key every request is one of its own', async () => {
  const [first, second] = [await create('Free.', null), await create('Free.', null)];
  assert.notEqual(first.body.id, second.body.id);
});

test('the stored answer is given although the repository has changed since', async () => {
  const repository = await makeRepository({ 'a.txt': 'a\n' });
  try {
    const more = { repository: { location: repository } };
    const first = await create('Repository.', 'key-6', more);
    assert.equal(first.status, 200, JSON.stringify(first.body));
    await appendFile(join(repository, 'a.txt'), 'changed\n');
    assert.deepEqual((await create('Repository.', 'key-6', more)).body, first.body);
    assert.equal((await create('Repository.', 'key-7', more)).body.code, 'repository_dirty');
    await rm(repository, { recursive: true });
    assert.deepEqual((await create('Repository.', 'key-6', more)).body, first.body);
  } finally {
    await rm(repository, { recursive: true, force: true });
  }
});

test('other writes are idempotent under a key too', async () => {
  const scope = { scope: 'organization', scope_id: guildhall.app.installation.organizationId };
  const set = (limit_usd: number, key: string) =>
    guildhall.api<{ limit_micros: number }>(
      'PUT',
      '/api/v1/budgets',
      { ...scope, limit_usd },
      { 'idempotency-key': key },
    );
  assert.equal((await set(5, 'b1')).body.limit_micros, 5_000_000);
  assert.equal((await set(7, 'b2')).body.limit_micros, 7_000_000);
  assert.equal((await set(5, 'b1')).body.limit_micros, 5_000_000, 'the old answer, and the budget stays');
  const { body } = await guildhall.api<{ items: { limit_micros: number }[] }>('GET', '/api/v1/budgets');
  assert.deepEqual(
    body.items.map(b => b.limit_micros),
    [7_000_000],
  );
});
