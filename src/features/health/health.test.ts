import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import pg from 'pg';
import { startTestApp, type TestApp } from '../../../test/harness/app.ts';
import { createOffDriver } from '../../drivers/sandboxes/off.ts';
import { readTeamTemplates } from '../agents/agents.ts';
import type { SandboxDriver } from '../sandboxes/port.ts';
import { toolArguments } from '../tools/catalog.ts';

interface Ready {
  ready: boolean;
  components: { name: string; state: string; required: boolean; summary: string; fix: string | null }[];
}

const guildhall = await startTestApp();
const owner = new pg.Client(guildhall.database.owner as pg.ClientConfig);
await owner.connect();
after(async () => {
  await owner.end();
  await guildhall[Symbol.asyncDispose]();
});

async function readiness(
  of: TestApp = guildhall,
): Promise<{ status: number; body: Ready; component(name: string): Ready['components'][number] }> {
  const response = await fetch(`${of.app.url}/readyz`);
  const body = (await response.json()) as Ready;
  return {
    status: response.status,
    body,
    component: name => {
      const found = body.components.find(c => c.name === name);
      assert.ok(found, `no component ${name}`);
      return found;
    },
  };
}

test('OBS-04 a server that works is alive and ready, and says of each part how it is', async () => {
  assert.equal((await fetch(`${guildhall.app.url}/livez`)).status, 200);
  const { status, body } = await readiness();
  assert.equal(status, 200);
  assert.equal(body.ready, true);
  assert.deepEqual(
    new Set(body.components.map(c => c.name)),
    new Set(['database', 'workers', 'agents', 'sandbox', 'model', 'page', 'limits']),
  );
  for (const part of body.components) {
    assert.match(part.summary, /\S/);
    assert.equal(part.fix === null, part.state === 'ok', part.name);
  }
});

test('DAT-20 a fresh start registers every agent of the team with its definition and known tools', async () => {
  const { rows } = await guildhall.database.pool.query(
    `select a.name, a.version, d.tools, d.role, m.name as manager from agents a
     join agent_definitions d on d.agent_id = a.id and d.version = a.version left join agents m on m.id = a.reports_to`,
  );
  const template = (await readTeamTemplates()).get('software-team');
  assert.deepEqual(
    new Set(rows.map(r => `${r.name} ${r.role} ${r.manager} v${r.version} ${r.tools.join(',')}`)),
    new Set(template?.agents.map(a => `${a.name} ${a.role} ${a.reports_to} v1 ${a.tools.join(',')}`)),
  );
  for (const row of rows) for (const tool of row.tools) assert.ok(tool in toolArguments, tool);
  const shown = await guildhall.api<{ items: { state: string }[] }>('GET', '/api/v1/agents');
  assert.deepEqual(new Set(shown.body.items.map(a => a.state)), new Set(['idle']));
});

test('DAT-20 without its agents, or with one whose definition or tool is missing, the server is not ready', async () => {
  const faults: [string, string, RegExp][] = [
    [
      "update agents set version = 99 where name = 'coder'",
      "update agents set version = 1 where name = 'coder'",
      /coder/,
    ],
    [
      "update agent_definitions set tools = tools || '{no_such_tool}' where role = 'tester'",
      "update agent_definitions set tools = array_remove(tools, 'no_such_tool')",
      /tester/,
    ],
    [
      `alter table agents rename to agents_away; create table agents (like agents_away); grant select on agents to ${guildhall.database.system.user}`,
      'drop table agents; alter table agents_away rename to agents',
      /No agent/,
    ],
  ];
  for (const [breakIt, mendIt, summary] of faults) {
    await owner.query(breakIt);
    const { status, component } = await readiness();
    await owner.query(mendIt);
    assert.equal(status, 503, breakIt);
    assert.equal(component('agents').state, 'failed');
    assert.match(component('agents').summary, summary);
    assert.ok(component('agents').fix);
  }
  assert.equal((await readiness()).status, 200);
});

test('DAT-20 a second start leaves the team as it is', async () => {
  await using again = await startTestApp({ database: guildhall.database, roles: ['api'] });
  const before = await again.api<{ items: unknown[] }>('GET', '/api/v1/agents');
  assert.equal(before.body.items.length, 3);
});

test('OBS-04 without migrations, workers or a usable sandbox it says which, and the command that mends it', async () => {
  await owner.query('alter table kysely_migration rename to kysely_away');
  await owner.query('create table kysely_migration (name text)');
  await owner.query(`grant select on kysely_migration to ${guildhall.database.system.user}`);
  const unmigrated = await readiness();
  await owner.query('drop table kysely_migration');
  await owner.query('alter table kysely_away rename to kysely_migration');
  assert.equal(unmigrated.status, 503);
  assert.match(unmigrated.component('database').fix ?? '', /migrate/);

  await using bare = await startTestApp({ roles: ['api'], sandboxDriver: createOffDriver() });
  const { status, component } = await readiness(bare);
  assert.equal(status, 200, 'what is not required does not stop the rest');
  assert.equal(component('workers').state, 'failed');
  assert.equal(component('sandbox').state, 'failed');
  assert.match(component('sandbox').fix ?? '', /GUILDHALL_SANDBOX/);
  const refused = await bare.api<{ code: string; title: string }>('POST', '/api/v1/tasks', {
    request: 'Do it.',
  });
  assert.deepEqual([refused.status, refused.body.code], [503, 'sandbox_unavailable']);
  assert.match(
    refused.body.title,
    /GUILDHALL_SANDBOX/,
    'and a task that needs it is refused with that reason',
  );
  assert.equal((await bare.api<{ items: [] }>('GET', '/api/v1/tasks')).body.items.length, 0);
});

test('a model without its key is named, and tasks are refused before they begin', async () => {
  await using keyless = await startTestApp({
    roles: ['api'],
    env: { GUILDHALL_MODEL: 'anthropic/claude-sonnet-4-5' },
  });
  const { component } = await readiness(keyless);
  assert.equal(component('model').state, 'failed');
  assert.match(component('model').summary, /ANTHROPIC_API_KEY/);
  const refused = await keyless.api<{ code: string }>('POST', '/api/v1/tasks', { request: 'Do it.' });
  assert.deepEqual([refused.status, refused.body.code], [422, 'model_key_missing']);
});

test('DAT-16 the sandbox is looked at once for all who ask, not once for each', async () => {
  let probes = 0;
  const driver: SandboxDriver = {
    ...createOffDriver(),
    probe: async () => {
      probes += 1;
      await new Promise(resolve => setTimeout(resolve, 100));
      return { ...(await createOffDriver().probe()), usable: true, fix: null };
    },
  };
  await using counted = await startTestApp({ roles: ['api'], sandboxDriver: driver });
  const found = await Promise.all(Array.from({ length: 40 }, () => readiness(counted)));
  assert.deepEqual(new Set(found.map(f => f.status)), new Set([200]));
  await readiness(counted);
  assert.equal(probes, 1);
});

test('the version is told', async () => {
  const { body } = await guildhall.api<Record<string, string>>('GET', '/version');
  assert.equal(body.name, 'guildhall');
  assert.match(String(body.version), /^\d+\.\d+\.\d+/);
  assert.equal(body.node, process.version);
});
