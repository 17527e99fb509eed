/** What tests rely on: servers of their own, side by side, that need neither network nor key. */
import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { test } from 'node:test';
import { readConfig } from '../../src/config.ts';
import { resolveModelFor } from '../../src/features/models/catalog.ts';
import { startTestApp } from './app.ts';

test('TST-07 many whole servers run side by side in one process, each on its own port, database and data', async () => {
  const apps = await Promise.all(Array.from({ length: 6 }, () => startTestApp({ roles: ['api'] })));
  try {
    const ports = apps.map(one => new URL(one.app.url as string).port);
    assert.equal(new Set(ports).size, apps.length);
    assert.ok(!ports.includes('4000'));
    assert.equal(new Set(apps.map(one => one.database.name)).size, apps.length);
    assert.equal(new Set(apps.map(one => one.dataDir)).size, apps.length);
    const created = await Promise.all(
      apps.map((one, n) => one.api<{ id: string }>('POST', '/api/v1/tasks', { request: `Task ${n}` })),
    );
    assert.deepEqual(new Set(created.map(c => c.status)), new Set([200]));
    for (const [n, one] of apps.entries()) {
      const { body } = await one.api<{ items: { id: string }[] }>('GET', '/api/v1/tasks');
      assert.deepEqual(
        body.items.map(task => task.id),
        [created[n]?.body.id],
      );
    }
  } finally {
    await Promise.all(apps.map(one => one[Symbol.asyncDispose]()));
  }
  for (const one of apps) await assert.rejects(readdir(one.dataDir), { code: 'ENOENT' });
});

test('TST-06 without a key the only model is the scripted one, which calls nobody', async () => {
  assert.equal(readConfig({}).defaultModel, 'scripted/team');
  await using guildhall = await startTestApp({ roles: ['api'] });
  const { models, installation } = guildhall.app;
  for (const provider of models.drivers.keys()) {
    const resolved = resolveModelFor(models, installation.organizationId, `${provider}/any`);
    if (provider === 'scripted') await resolved;
    else await assert.rejects(resolved, { code: 'model_key_missing' }, provider);
  }
  const answer = await guildhall.api<{ components: { name: string; summary: string }[] }>('GET', '/readyz');
  assert.equal(answer.body.components.find(c => c.name === 'model')?.summary, 'scripted/team');
});
