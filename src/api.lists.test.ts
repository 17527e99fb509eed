import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { startTestApp } from '../test/harness/app.ts';
import { addOrganization, addTask, type Organization } from '../test/harness/organization.ts';
import { newId } from './base/ids.ts';
import { createApiKey } from './features/identity/api-keys.ts';
import type { Task } from './features/tasks/tasks.ts';
import { transact } from './platform/db/db.ts';

const guildhall = await startTestApp({ roles: ['api'] });
after(() => guildhall[Symbol.asyncDispose]());
const { db } = guildhall.database;
const now = new Date();
const other = await addOrganization(db, 'other', now);
const { organizationId, projectId, ownerId } = guildhall.app.installation;
const actor = { id: `member:${ownerId}`, organizationId, requestId: 'req_lists' };
const { body: agents } = await guildhall.api<{ items: { id: string; name: string }[] }>(
  'GET',
  '/api/v1/agents',
);
const agentId = agents.items.find(a => a.name === 'lead')?.id as string;
const mine: Organization = { actor, organizationId, projectId, agentId, key: guildhall.key };

interface Page {
  items: { id: string }[];
  next_cursor: string | null;
}

/** Every page of a list, with `between` done before each. */
async function walk(
  path: string,
  limit: number,
  between: () => Promise<unknown> = async () => {},
): Promise<string[]> {
  const seen: string[] = [];
  let cursor: string | null = null;
  do {
    await between();
    const query: string = `${path.includes('?') ? '&' : '?'}limit=${limit}${cursor ? `&cursor=${cursor}` : ''}`;
    const { status, body } = await guildhall.api<Page>('GET', `${path}${query}`);
    assert.equal(status, 200, JSON.stringify(body));
    assert.ok(body.items.length <= limit);
    assert.ok(body.next_cursor === null || body.items.length === limit);
    seen.push(...body.items.map(item => item.id));
    cursor = body.next_cursor;
  } while (cursor !== null);
  return seen;
}

/** Makes `count` rows of each list, here and in the other organization. */
async function fill(count: number): Promise<void> {
  for (const one of [mine, other]) {
    const tasks: Task[] = [];
    for (let i = 0; i < count; i++) tasks.push(await addTask(db, one, now, { budgetMicros: 1_000_000 }));
    await transact(db, async tx => {
      for (const task of tasks) {
        const member = one.actor.id.slice('member:'.length);
        const key = { name: 'k', scopes: ['read' as const], expiresAt: null };
        await createApiKey(tx, one.actor, now, { memberId: member }, key);
        const run = await tx
          .selectFrom('runs')
          .select('id')
          .where('task_id', '=', task.id)
          .executeTakeFirstOrThrow();
        const row = {
          organization_id: one.organizationId,
          task_id: task.id,
          run_id: run.id,
          created_at: now,
        };
        await tx
          .insertInto('dead_letters')
          .values({ ...row, id: newId('dl'), code: 'c', reason: 'r' })
          .execute();
        await tx
          .insertInto('approvals')
          .values({
            ...row,
            id: newId('apr'),
            call_id: 'c',
            kind: 'question',
            question: 'q',
            options: [],
            payload_hash: 'h',
            state: 'pending',
            expires_at: now,
          })
          .execute();
      }
    });
  }
}
await fill(23);

const tables = [
  ['/api/v1/tasks', 'tasks'],
  ['/api/v1/approvals', 'approvals'],
  ['/api/v1/approvals?state=all', 'approvals'],
  ['/api/v1/dead-letters', 'dead_letters'],
  ['/api/v1/budgets', 'budgets'],
  ['/api/v1/api-keys', 'api_keys'],
] as const;

const idsOf = async (table: (typeof tables)[number][1]): Promise<Set<string>> => {
  const rows = await db
    .selectFrom(table)
    .select('id')
    .where('organization_id', '=', organizationId)
    .execute();
  return new Set(rows.map(row => row.id));
};

for (const [path, table] of tables) {
  test(`API-03 ${path}: pages hold each row of the organization once, newest first, whatever their length`, async () => {
    const expected = await idsOf(table);
    assert.ok(expected.size >= 23);
    for (const limit of [1, 7, expected.size - 1, expected.size, expected.size + 1]) {
      const seen = await walk(path, limit);
      assert.deepEqual(new Set(seen), expected, `limit ${limit}`);
      assert.equal(seen.length, expected.size, `limit ${limit}: a row came twice`);
      assert.deepEqual(
        seen,
        seen.toSorted((a, b) => (a < b ? 1 : -1)),
      );
    }
  });
}

test('API-03 rows that are added while somebody pages are not seen twice and hide no other', async () => {
  const before = await idsOf('tasks');
  const seen = await walk('/api/v1/tasks', 5, () => addTask(db, mine, new Date()));
  assert.equal(new Set(seen).size, seen.length);
  for (const id of before) assert.ok(seen.includes(id));
});

test('API-03 the length of a page is capped, and what is no length is refused', async () => {
  const get = async (limit: string) => (await guildhall.api('GET', `/api/v1/tasks?limit=${limit}`)).status;
  assert.equal(await get('200'), 200);
  for (const wrong of ['0', '201', '-1', '1.5', 'x', '']) assert.equal(await get(wrong), 422, wrong);
  const usual = await guildhall.api<Page>('GET', '/api/v1/approvals');
  assert.equal(usual.body.items.length, 23);
});

test('VAL-02 a cursor or filter is a value, never a part of a query', async () => {
  const corpus = [
    "' or '1'='1",
    "'; drop table tasks; --",
    '" or ""="',
    ') or true --',
    '%',
    '\\',
    '$1',
    '{{7*7}}',
    "x' union select key_hash from api_keys --",
  ];
  const all = (await idsOf('tasks')).size;
  for (const text of corpus) {
    const answer = await guildhall.api<Page>(
      'GET',
      `/api/v1/tasks?limit=200&cursor=${encodeURIComponent(text)}`,
    );
    assert.equal(answer.status, 200, text);
    assert.ok(
      answer.body.items.every(item => item.id < text),
      text,
    );
    for (const name of ['state', 'open', 'roots', 'limit'])
      assert.equal(
        (await guildhall.api('GET', `/api/v1/tasks?${name}=${encodeURIComponent(text)}`)).status,
        422,
      );
  }
  assert.equal((await idsOf('tasks')).size, all);
});

test('API-03 every list in the document has pages, but for those that are bounded by nature', async () => {
  const { body } = await guildhall.api<{ paths: Record<string, { get?: { responses: unknown } }> }>(
    'GET',
    '/api/v1/openapi.json',
  );
  const unpaged = Object.entries(body.paths)
    .filter(([, { get }]) => /"items":\{"type":"array"/.test(JSON.stringify(get?.responses ?? {})))
    .filter(([, { get }]) => !JSON.stringify(get?.responses).includes('next_cursor'))
    .map(([path]) => path);
  assert.deepEqual(
    new Set(unpaged),
    new Set([
      ...['/api/v1/sessions', '/api/v1/account/passkeys', '/api/v1/organizations'], // one's own
      ...['/api/v1/roles', '/api/v1/signing-keys', '/api/v1/role-bindings', '/api/v1/teams/{id}/members'],
      '/api/v1/agents',
      '/api/v1/teams',
      '/api/v1/team-templates',
      '/api/v1/tasks/{id}/tree',
      '/api/v1/tasks/{id}/steps',
      '/api/v1/tasks/{id}/checks',
      '/api/v1/tasks/{id}/messages',
    ]),
  );
});
