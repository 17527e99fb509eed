import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { startTestApp } from '../../../test/harness/app.ts';
import { sealAll, verifyText } from '../../../test/harness/audit.ts';
import { addOrganization } from '../../../test/harness/organization.ts';
import { addMember } from '../../../test/surface/callers.ts';

const guildhall = await startTestApp({ roles: ['api'] });
after(() => guildhall[Symbol.asyncDispose]());
const { api, app } = guildhall;
const { db } = guildhall.database;
const deps = { db: app.db, sealer: app.sealer, clock: { now: () => Date.now() }, keyMaxAgeMs: 1e12 };
const other = await addOrganization(db, 'other', new Date());

interface Item {
  id: string;
  actor: string;
  action: string;
  target: string | null;
  outcome: string;
  request_id: string;
}
interface Page<T> {
  items: T[];
  next_cursor: string | null;
}
interface Verification {
  ok: boolean;
  records: number;
  unsealed_records: number;
  findings: { kind: string; place?: string }[];
  head: { number: number; hash: string };
  keys: string[];
}
const search = async (query = '') => (await api<Page<Item>>('GET', `/api/v1/audit?${query}`)).body;
const verify = (body?: object) => api<Verification>('POST', '/api/v1/audit/verify', body);
const byOther = (method: string, path: string) =>
  fetch(`${app.url}${path}`, { method, headers: { authorization: `Bearer ${other.key}` } });

test('CMP-01 what somebody did is found by request, action, actor and target, in pages', async () => {
  const made = await api<{ id: string }>('POST', '/api/v1/api-keys', { name: 'seen' });
  assert.equal(made.status, 200);
  const requestId = made.headers.get('x-request-id') as string;
  for (const query of [
    `request_id=${requestId}`,
    `target=${made.body.id}`,
    `text=${made.body.id}&action=api_key.create`,
  ]) {
    const { items } = await search(query);
    assert.deepEqual(
      items.map(item => [item.action, item.target, item.outcome, item.request_id]),
      [['api_key.create', made.body.id, 'ok', requestId]],
      query,
    );
  }
  const all = await search('limit=200');
  const paged: string[] = [];
  for (let cursor: string | null = ''; cursor !== null; ) {
    const page: Page<Item> = await search(`limit=2${cursor ? `&cursor=${cursor}` : ''}`);
    paged.push(...page.items.map(item => item.id));
    cursor = page.next_cursor;
  }
  assert.deepEqual(
    paged,
    all.items.map(item => item.id),
  );
});

test('a wrong filter is refused with what is wrong', async () => {
  for (const query of ['outcome=maybe', 'from=yesterday', 'limit=0', 'cursor=x', 'unknown=1', 'actor='])
    assert.equal((await api('GET', `/api/v1/audit?${query}`)).status, 422, query);
});

test('CMP-01 the chain verifies over HTTP, and that it was verified is recorded', async () => {
  await sealAll(deps);
  const { status, body } = await verify();
  assert.equal(status, 200);
  assert.deepEqual([body.ok, body.findings, body.keys.length], [true, [], 1]);
  assert.ok(body.records > 3);
  const { items } = await search('action=audit.verify');
  assert.deepEqual(
    items.map(item => item.outcome),
    ['ok'],
  );
  const again = await verify({ head: body.head, key: body.keys[0] });
  assert.deepEqual(
    [again.status, again.body.ok, again.body.unsealed_records],
    [200, true, 1],
    JSON.stringify(again.body),
  );
  const changed = await verify({ head: { ...body.head, hash: '0'.repeat(64) } });
  assert.deepEqual(
    changed.body.findings.map(f => f.kind),
    ['head_differs'],
  );
});

test('the seals are listed, newest first, with how much is not sealed yet', async () => {
  await api('POST', '/api/v1/api-keys', { name: 'second' });
  const before = await api<
    Page<{ number: number; hash: string; previous_hash: string }> & { unsealed_records: number }
  >('GET', '/api/v1/audit/seals');
  assert.ok(before.body.unsealed_records >= 1);
  await sealAll(deps);
  const { body } = await api<typeof before.body>('GET', '/api/v1/audit/seals');
  assert.equal(body.unsealed_records, 0);
  const numbers = body.items.map(seal => seal.number);
  assert.deepEqual(
    numbers,
    numbers.map((_, i) => numbers.length - i),
  );
  for (const [i, seal] of body.items.slice(0, -1).entries())
    assert.equal(seal.previous_hash, body.items[i + 1]?.hash);
  const first = await api<typeof before.body>('GET', '/api/v1/audit/seals?limit=1');
  const next = await api<typeof before.body>(
    'GET',
    `/api/v1/audit/seals?limit=1&cursor=${first.body.next_cursor}`,
  );
  assert.deepEqual([...first.body.items, ...next.body.items], body.items.slice(0, 2));
});

test('CMP-01 the export verifies without the server, holds one organization, and is recorded', async () => {
  const response = await fetch(`${app.url}/api/v1/audit/export`, {
    headers: { authorization: `Bearer ${guildhall.key}` },
  });
  assert.equal(response.headers.get('content-type'), 'application/x-ndjson');
  const text = await response.text();
  const found = await verifyText(text.split('\n'));
  assert.deepEqual([found.ok, found.findings], [true, []]);
  assert.equal(found.organization_id, app.installation.organizationId);
  assert.ok(!text.includes(other.organizationId));
  assert.equal((await search('action=audit.export')).items.length, 1);
});

test('the chain of records of no organization is not for other organizations', async () => {
  assert.equal((await api('POST', '/api/v1/audit/verify', { chain: 'system' })).status, 200);
  for (const [method, path] of [
    ['GET', '/api/v1/audit/export?chain=system'],
    ['POST', '/api/v1/audit/verify'],
  ] as const) {
    const response = await fetch(`${app.url}${path}`, {
      method,
      headers: { authorization: `Bearer ${other.key}`, 'content-type': 'application/json' },
      ...(method === 'POST' ? { body: '{"chain":"system"}' } : {}),
    });
    assert.equal(response.status, 403, path);
  }
});

test('who is not cleared for every project cannot export their transcripts', async () => {
  const auditor = await addMember(
    db,
    { id: 'system', organizationId: other.organizationId, requestId: 'test' },
    'auditor',
    new Date(),
  );
  const exported = () => fetch(`${app.url}/api/v1/audit/export`, { headers: auditor.headers });
  assert.equal((await exported()).status, 200);
  await db
    .updateTable('projects')
    .set({ classification: 'restricted' })
    .where('organization_id', '=', other.organizationId)
    .execute();
  const refused = await exported();
  assert.deepEqual(
    [refused.status, ((await refused.json()) as { code: string }).code],
    [403, 'clearance_missing'],
  );
});

test('another organization sees its own audit only', async () => {
  const seen = (await (await byOther('GET', '/api/v1/audit?limit=200')).json()) as Page<Item>;
  const ours = await search('limit=200');
  assert.ok(seen.items.length > 0);
  const ids = new Set(ours.items.map(item => item.id));
  assert.deepEqual(
    seen.items.filter(item => ids.has(item.id)),
    [],
  );
  await sealAll(deps);
  const verified = (await (await byOther('POST', '/api/v1/audit/verify')).json()) as Verification;
  assert.deepEqual([verified.ok, verified.findings], [true, []]);
});
