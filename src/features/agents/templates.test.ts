import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toolArguments } from '../tools/catalog.ts';
import { agentInput, readTeamTemplates, type TeamTemplate } from './agents.ts';

const templates = await readTeamTemplates();
const named = (name: string): TeamTemplate => {
  const template = templates.get(name);
  assert.ok(template, name);
  return template;
};

/** The agents from one up to the top. */
function upwards(template: TeamTemplate, name: string): string[] {
  const chain: string[] = [];
  for (let at: string | null = name; at !== null; ) {
    assert.ok(!chain.includes(at), `${template.name}: a circle at ${at}`);
    chain.push(at);
    const agent = template.agents.find(a => a.name === at);
    assert.ok(agent, `${template.name}: there is no ${at}`);
    at = agent.reports_to;
  }
  return chain;
}

test('the templates software-team and company ship', () => {
  assert.deepEqual(new Set(templates.keys()), new Set(['software-team', 'company']));
});

for (const template of templates.values()) {
  test(`${template.name}: one lead, a chain of command without circles, names once, tools that exist`, () => {
    assert.equal(template.agents.filter(a => a.reports_to === null).length, 1);
    const names = template.agents.map(a => a.name);
    assert.equal(new Set(names).size, names.length);
    for (const agent of template.agents) {
      upwards(template, agent.name);
      assert.equal(new Set(agent.tools).size, agent.tools.length, agent.name);
      for (const tool of agent.tools) assert.ok(tool in toolArguments, `${agent.name}: ${tool}`);
      assert.ok(agent.tools.includes('submit_result'), `${agent.name} could never end a task`);
      assert.equal(agent.model, 'default');
    }
  });

  test(`${template.name}: who has reports may delegate and who has none may not; who verifies changes nothing`, () => {
    for (const agent of template.agents) {
      const reports = template.agents.filter(a => a.reports_to === agent.name);
      assert.equal(agent.tools.includes('delegate'), reports.length > 0, agent.name);
      if (!/^(tester|qa)$/.test(agent.role)) continue;
      for (const tool of ['write_file', 'edit_file', 'git_commit'] as const) {
        assert.ok(!agent.tools.includes(tool), `${agent.name} verifies and must not have ${tool}`);
      }
      assert.ok(agent.tools.includes('run_command'), `${agent.name} must be able to try what it judges`);
    }
  });
}

test('the company has a CEO, managers, workers, quality assurance, HR and IT', () => {
  const company = named('company');
  const roles = new Set(company.agents.map(a => a.role));
  const about = company.agents.map(a => `${a.role} ${a.title}`.toLowerCase()).join('\n');
  for (const word of [
    /ceo|chief executive/,
    /manager|head/,
    /engineer|coder|developer/,
    /qa|quality|tester/,
    /hr|human resources|people/,
    /\bit\b|information technology/,
  ]) {
    assert.match(about, word);
  }
  assert.ok(roles.size >= 6);
  assert.ok(Math.max(...company.agents.map(a => upwards(company, a.name).length)) >= 3, 'it has levels');
});

test('an agent with a tool, a name or a role that is none is refused', () => {
  const good = {
    name: 'a',
    title: 'A',
    role: 'a',
    description: 'A.',
    instructions: 'Be.',
    tools: ['read_file'],
  };
  assert.ok(agentInput.safeParse(good).success);
  for (const wrong of [
    { tools: ['read_file', 'launch_missiles'] },
    { tools: ['decide'] },
    { tools: 'read_file' },
    { name: 'A' },
    { name: '-a' },
    { name: '' },
    { name: 'a'.repeat(41) },
    { name: 'a b' },
    { name: '../a' },
    { role: 'Coder' },
    { instructions: '' },
    { max_output_tokens: 0 },
    { max_output_tokens: 1.5 },
    { reports_to: 'No Body' },
    { owner: 'me' },
  ]) {
    assert.ok(!agentInput.safeParse({ ...good, ...wrong }).success, JSON.stringify(wrong));
  }
});
