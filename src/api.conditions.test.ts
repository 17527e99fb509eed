import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { startTestApp } from '../test/harness/app.ts';

const guildhall = await startTestApp({ roles: ['api'] });
after(() => guildhall[Symbol.asyncDispose]());
const { api } = guildhall;

const tagOf = async (path: string): Promise<string> => (await api('GET', path)).headers.get('etag') as string;

/** A thing of each kind that can be changed, with a change and what shows it. */
async function things(
  project: string,
): Promise<{ path: string; change: (text: string) => object; field: string }[]> {
  const agents = await api<{ items: { id: string }[] }>('GET', '/api/v1/agents');
  const made = await api<{ id: string }>('POST', '/api/v1/projects', { name: project });
  return [
    { path: `/api/v1/agents/${agents.body.items[0]?.id}`, change: title => ({ title }), field: 'title' },
    {
      path: `/api/v1/projects/${made.body.id}`,
      change: description => ({ description }),
      field: 'description',
    },
  ];
}

test('API-04 a change with If-Match is made only to what was read', async () => {
  for (const { path, change, field } of await things('read')) {
    const tag = await tagOf(path);
    const first = await api('PATCH', path, change('First'), { 'if-match': tag });
    assert.equal(first.status, 200, JSON.stringify(first.body));
    const late = await api<{ code: string }>('PATCH', path, change('Late'), { 'if-match': tag });
    assert.deepEqual([late.status, late.body.code], [412, 'changed_meanwhile'], path);
    assert.equal((await api('GET', path)).body[field], 'First');
    for (const form of [(now: string) => now, (now: string) => `"other", ${now}`, () => '*']) {
      const given = form(await tagOf(path));
      const again = await api('PATCH', path, change(`With ${given.length}`), { 'if-match': given });
      assert.equal(again.status, 200, given);
    }
    assert.equal((await api('PATCH', path, change('Without'))).status, 200);
    const other = await api('PATCH', path, change('Wrong'), { 'if-match': '"other"' });
    assert.equal(other.status, 412);
    assert.equal((await api('GET', path)).body[field], 'Without');
  }
});

test('API-04 of two who have read the same and change it at once, one is refused', async () => {
  for (const { path, change } of await things('at-once')) {
    const tag = await tagOf(path);
    const both = await Promise.all(
      ['One', 'Two', 'Three'].map(text => api('PATCH', path, change(text), { 'if-match': tag })),
    );
    assert.deepEqual(both.map(answer => answer.status).sort(), [200, 412, 412], path);
  }
});

test('API-04 a condition that nobody would look at is refused', async () => {
  const { status, body } = await api<{ code: string }>(
    'POST',
    '/api/v1/tasks',
    { request: 'x' },
    { 'if-match': '*' },
  );
  assert.deepEqual([status, body.code], [400, 'condition_unknown']);
});
