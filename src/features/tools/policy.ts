/**
 * Policy of tool calls: what an agent may call at all is its definition; rules of the organization then let the
 * call through, ask people, or refuse it. Deny wins over ask, ask over allow; without a rule a granted tool is
 * allowed, since everything it can reach is the task's own sandbox.
 */
import type { Json, JsonObject } from '../../base/json.ts';
import type { Row } from '../../platform/db/schema.ts';

export interface ToolCallFacts {
  tool: string;
  agentRole: string;
  arguments: JsonObject;
}

export interface PolicyDecision {
  outcome: 'allow' | 'ask' | 'deny';
  reason: string;
  ruleId: string | null;
}

const strength = { allow: 0, ask: 1, deny: 2 } as const;

export type PolicyRule = Row<'tool_policies'>;

/** What the rules say about a call. Pure: the same rules and facts give the same decision. */
export function decideToolCall(rules: readonly PolicyRule[], facts: ToolCallFacts): PolicyDecision {
  const strictest = rules
    .filter(rule => matches(rule, facts))
    .reduce<PolicyRule | null>(
      (found, rule) => (found === null || strength[rule.outcome] > strength[found.outcome] ? rule : found),
      null,
    );
  return strictest
    ? { outcome: strictest.outcome, reason: strictest.reason, ruleId: strictest.id }
    : { outcome: 'allow', reason: 'the agent’s definition grants the tool', ruleId: null };
}

/** A rule names a tool or `*`, perhaps a role, perhaps a text that the arguments contain. */
function matches(rule: Row<'tool_policies'>, facts: ToolCallFacts): boolean {
  if (rule.tool !== '*' && rule.tool !== facts.tool) return false;
  if (rule.agent_role !== null && rule.agent_role !== facts.agentRole) return false;
  if (rule.argument_pattern === null) return true;
  const pattern = rule.argument_pattern.toLowerCase();
  return valuesOf(facts.arguments).some(text => text.toLowerCase().includes(pattern));
}

/** Every value in the arguments as plain text: what a pattern is looked for in must not be escaped. */
function valuesOf(value: Json): string[] {
  if (value !== null && typeof value === 'object') return Object.values(value).flatMap(valuesOf);
  return [String(value)];
}
