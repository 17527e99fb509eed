import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decideToolCall, type PolicyRule, type ToolCallFacts } from './policy.ts';

let serial = 0;
const rule = (outcome: PolicyRule['outcome'], more: Partial<PolicyRule> = {}): PolicyRule => ({
  id: `rule_${serial++}`,
  organization_id: 'org',
  position: serial,
  tool: '*',
  agent_role: null,
  argument_pattern: null,
  outcome,
  reason: `because of ${outcome}`,
  created_at: new Date(0),
  ...more,
});
const facts = (more: Partial<ToolCallFacts> = {}): ToolCallFacts => ({
  tool: 'run_command',
  agentRole: 'coder',
  arguments: { command: 'npm test', timeout_seconds: 60 },
  ...more,
});
const outcome = (rules: PolicyRule[], of: ToolCallFacts = facts()) => decideToolCall(rules, of).outcome;

test('without a rule a granted tool is allowed', () => {
  assert.deepEqual(decideToolCall([], facts()), {
    outcome: 'allow',
    reason: 'the agent’s definition grants the tool',
    ruleId: null,
  });
});

test('deny wins over ask, ask over allow, in whatever order they stand; the rule that decided is named', () => {
  const [allow, ask, deny] = [rule('allow'), rule('ask'), rule('deny')];
  for (const rules of [
    [allow, ask, deny],
    [deny, ask, allow],
    [ask, deny, allow],
  ]) {
    assert.deepEqual(decideToolCall(rules, facts()), {
      outcome: 'deny',
      reason: 'because of deny',
      ruleId: deny.id,
    });
  }
  assert.equal(outcome([allow, ask]), 'ask');
  assert.equal(outcome([ask, allow]), 'ask');
});

test('a rule holds for its tool and its role only', () => {
  assert.equal(outcome([rule('deny', { tool: 'write_file' })]), 'allow');
  assert.equal(outcome([rule('deny', { tool: 'run_command' })]), 'deny');
  assert.equal(outcome([rule('deny', { tool: 'run' })]), 'allow', 'a part of a name is no name');
  assert.equal(outcome([rule('deny', { agent_role: 'tester' })]), 'allow');
  assert.equal(outcome([rule('deny', { agent_role: 'coder' })]), 'deny');
});

test('a text is found in the arguments as they are, however it is written and wherever it stands', () => {
  const asks = (argument_pattern: string, args: ToolCallFacts['arguments']) =>
    outcome([rule('ask', { argument_pattern })], facts({ arguments: args }));
  assert.equal(asks('git push', { command: 'echo a && GIT Push origin' }), 'ask');
  assert.equal(asks('git push', { command: 'git pull' }), 'allow');
  assert.equal(asks('git  push', { command: 'git push' }), 'allow');
  for (const text of ['rm "x"', "rm 'x'", 'a\\b', 'a\nb', 'ünï', 'tab\there', '</script>']) {
    assert.equal(asks(text, { command: `before ${text} after` }), 'ask', JSON.stringify(text));
    assert.equal(asks(text, { list: ['other', { deep: [text] }] }), 'ask', JSON.stringify(text));
  }
  assert.equal(asks('600', { timeout_seconds: 600 }), 'ask');
  assert.equal(asks('true', { recursive: true }), 'ask');
  assert.equal(asks('command', { command: 'x' }), 'allow', 'names of arguments are not their values');
  assert.equal(asks('x', { command: null }), 'allow');
});
