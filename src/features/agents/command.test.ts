import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { openTestDatabase } from '../../../test/harness/database.ts';
import { addOrganization } from '../../../test/harness/organization.ts';
import { newId } from '../../base/ids.ts';
import { transact } from '../../platform/db/db.ts';
import {
  type Agent,
  type AgentChange,
  type AgentInput,
  changeAgent,
  createAgent,
  createTeam,
  getAgent,
  getAgentVersion,
  listAgents,
  readTeamTemplates,
  type TeamTemplate,
} from './agents.ts';

const database = await openTestDatabase();
after(() => database[Symbol.asyncDispose]());
const { db } = database;
const now = new Date(Date.UTC(2030, 0, 1));
const { actor } = await addOrganization(db, 'first', now);
const other = await addOrganization(db, 'second', now);
const templates = await readTeamTemplates();

const agent = (name: string, reports_to: string | null): AgentInput => ({
  name,
  title: name,
  role: 'worker',
  description: 'Works.',
  instructions: 'Work.',
  model: 'default',
  tools: ['submit_result'],
  max_output_tokens: 1_000,
  reports_to,
});
const teamOf = (name: string, ...agents: AgentInput[]): TeamTemplate => ({
  name,
  description: 'Test.',
  agents,
});
const newTeam = (template: TeamTemplate, name = newId('team')) =>
  transact(db, tx => createTeam(tx, actor, now, name, template));
const change = (id: string, what: AgentChange) => transact(db, tx => changeAgent(tx, actor, now, id, what));
async function byName(teamId: string): Promise<Record<string, Agent>> {
  return Object.fromEntries((await listAgents(db, actor, teamId)).map(a => [a.name, a]));
}

test('a team is made from each template, with its whole chain of command', async () => {
  for (const template of templates.values()) {
    const team = await newTeam(template);
    const made = await byName(team.id);
    for (const wanted of template.agents) {
      const found = made[wanted.name];
      assert.ok(found);
      assert.equal(found.reports_to, wanted.reports_to === null ? null : made[wanted.reports_to]?.id);
      assert.deepEqual(found.tools, wanted.tools);
      assert.equal(found.version, 1);
    }
  }
});

test('a template whose agents report in a circle, or to nobody that there is, makes no team', async () => {
  const circle = teamOf('circle', agent('a', 'b'), agent('b', 'c'), agent('c', 'a'));
  await assert.rejects(newTeam(circle, 'circle'), { code: 'reporting_cycle' });
  const lost = teamOf('lost', agent('a', null), agent('b', 'nobody'));
  await assert.rejects(newTeam(lost, 'lost'), { status: 422 });
  const rows = await db.selectFrom('teams').select('name').where('name', 'in', ['circle', 'lost']).execute();
  assert.deepEqual(rows, []);
});

test('a second team or agent of a name is refused, also at the same moment', async () => {
  const template = teamOf('twice', agent('a', null));
  const made = await Promise.allSettled(Array.from({ length: 5 }, () => newTeam(template, 'twice')));
  assert.equal(made.filter(m => m.status === 'fulfilled').length, 1);
  await assert.rejects(newTeam(template, 'twice'), { code: 'team_exists', status: 409 });
  const [team] = made.flatMap(m => (m.status === 'fulfilled' ? [m.value] : []));
  const add = () => transact(db, tx => createAgent(tx, actor, now, team?.id as string, agent('b', 'a')));
  const added = await Promise.allSettled(Array.from({ length: 5 }, add));
  assert.equal(added.filter(m => m.status === 'fulfilled').length, 1);
  await assert.rejects(add(), { code: 'agent_exists', status: 409 });
});

test('X-02 a change that would close a circle in the chain of command is refused, and changes nothing', async () => {
  const team = await newTeam(
    teamOf('chain', agent('a', null), agent('b', 'a'), agent('c', 'b'), agent('d', 'a')),
  );
  const made = await byName(team.id);
  const id = (name: string) => (made[name] as Agent).id;
  for (const [who, manager] of [
    ['a', 'a'],
    ['a', 'b'],
    ['a', 'c'],
    ['b', 'c'],
  ] as const) {
    await assert.rejects(
      change(id(who), { reports_to: manager, title: 'New' }),
      { code: 'reporting_cycle' },
      `${who} → ${manager}`,
    );
  }
  await assert.rejects(change(id('b'), { reports_to: 'nobody' }), { code: 'agent_missing' });
  assert.deepEqual(await byName(team.id), made);
  assert.equal((await change(id('c'), { reports_to: 'd' })).reports_to, id('d'));
  assert.equal((await change(id('c'), { reports_to: null })).reports_to, null);
});

test('X-02 two changes that close a circle only together: one is refused', async () => {
  for (let round = 0; round < 5; round++) {
    const team = await newTeam(teamOf('race', agent('top', null), agent('x', 'top'), agent('y', 'top')));
    const made = await byName(team.id);
    const done = await Promise.allSettled([
      change((made.x as Agent).id, { reports_to: 'y' }),
      change((made.y as Agent).id, { reports_to: 'x' }),
    ]);
    const after_ = await byName(team.id);
    const circle = after_.x?.reports_to === after_.y?.id && after_.y?.reports_to === after_.x?.id;
    assert.ok(!circle, 'x and y report to each other');
    assert.equal(done.filter(d => d.status === 'fulfilled').length, 1);
    const [refused] = done.flatMap(d => (d.status === 'rejected' ? [d.reason] : []));
    assert.equal(refused.code, 'reporting_cycle');
  }
});

test('X-02 however managers are changed, the chain of command stays a forest', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.nat(5), fc.option(fc.nat(5), { nil: null })), { maxLength: 15 }),
      async moves => {
        const names = ['a', 'b', 'c', 'd', 'e', 'f'];
        const team = await newTeam(
          teamOf('forest', agent('a', null), ...names.slice(1).map(name => agent(name, 'a'))),
        );
        const made = await byName(team.id);
        for (const [who, manager] of moves) {
          await change((made[names[who] as string] as Agent).id, {
            reports_to: manager === null ? null : names[manager],
          }).catch(error => assert.equal(error.code, 'reporting_cycle'));
        }
        const all = new Map(Object.values(await byName(team.id)).map(a => [a.id, a]));
        for (const start of all.values()) {
          let steps = 0;
          for (let at: Agent | undefined = start; at?.reports_to; at = all.get(at.reports_to))
            assert.ok(++steps < names.length);
        }
      },
    ),
    { numRuns: 10 },
  );
});

test('a change of the definition makes the next version; the former stays as it was', async () => {
  const team = await newTeam(teamOf('versions', agent('a', null)));
  const { id } = (await byName(team.id)).a as Agent;
  const second = await change(id, { instructions: 'Work better.', tools: ['submit_result', 'read_file'] });
  assert.deepEqual(
    [second.version, second.instructions, second.tools],
    [2, 'Work better.', ['submit_result', 'read_file']],
  );
  assert.equal(second.title, 'a', 'what is not named stays');
  const third = await change(id, { max_output_tokens: 500 });
  assert.deepEqual([third.version, third.instructions, third.max_output_tokens], [3, 'Work better.', 500]);
  const first = await getAgentVersion(db, actor, id, 1);
  assert.deepEqual([first.version, first.instructions, first.tools], [1, 'Work.', ['submit_result']]);
  await assert.rejects(getAgentVersion(db, actor, id, 4), { code: 'agent_missing' });
  const state = await change(id, { state: 'paused' });
  assert.deepEqual([state.state, state.version], ['paused', 3], 'pausing is no new definition');
});

test('changes at the same moment make versions one after the other', async () => {
  const team = await newTeam(teamOf('parallel', agent('a', null)));
  const { id } = (await byName(team.id)).a as Agent;
  await Promise.all(Array.from({ length: 8 }, (_, i) => change(id, { title: `t${i}` })));
  const rows = await db
    .selectFrom('agent_definitions')
    .select('version')
    .where('agent_id', '=', id)
    .orderBy('version')
    .execute();
  assert.deepEqual(
    rows.map(r => r.version),
    [1, 2, 3, 4, 5, 6, 7, 8, 9],
  );
  assert.equal((await getAgent(db, actor, id)).version, 9);
});

test('agents and teams of another organization can be neither seen nor changed', async () => {
  const team = await newTeam(teamOf('mine', agent('a', null)));
  const { id } = (await byName(team.id)).a as Agent;
  await assert.rejects(getAgent(db, other.actor, id), { code: 'agent_missing', status: 404 });
  await assert.rejects(
    transact(db, tx => changeAgent(tx, other.actor, now, id, { title: 'Mine' })),
    { code: 'agent_missing' },
  );
  await assert.rejects(
    transact(db, tx => createAgent(tx, other.actor, now, team.id, agent('spy', 'a'))),
    { code: 'team_missing' },
  );
  assert.ok((await listAgents(db, other.actor)).every(a => a.organization_id === other.organizationId));
  assert.equal((await getAgent(db, actor, id)).title, 'a');
});
