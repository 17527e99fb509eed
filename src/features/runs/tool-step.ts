/**
 * A tool call in three steps. *Prepare*: find the tool, check the arguments, ask the policy, get an approval where
 * it says so. *Execute*: in the sandbox, or as rows. *Settle*: one journaled step. A refusal is a result that the
 * model sees, like any other.
 */
import type { z } from 'zod';
import type { JsonObject } from '../../base/json.ts';
import { messageOf, Problem } from '../../base/problem.ts';
import { hours } from '../../base/time.ts';
import { transact } from '../../platform/db/db.ts';
import { findApproval, payloadHash, requestApproval } from '../approvals/approvals.ts';
import { type ToolName, toolArguments } from '../tools/catalog.ts';
import { decideToolCall } from '../tools/policy.ts';
import { isSandboxTool, sandboxTools, type ToolOutput } from '../tools/sandbox-tools.ts';
import { type Activity, nextSeq, nowOf } from './context.ts';
import { type ControlResult, controlTools } from './control-tools.ts';
import { declareIntent, recallIntent, stepKey } from './journal.ts';
import { requireLease, suspendRun } from './lease.ts';
import { surroundingsOf } from './surroundings.ts';
import { offerTo } from './tool-list.ts';
import { settleTool } from './tool-result.ts';
import type { ToolCall } from './transcript.ts';
import { openWorkspace } from './workspace.ts';

/** How long people have to decide before an approval expires. */
export const approvalLifeMs = hours(72);

type Prepared =
  | { kind: 'ready'; name: ToolName; args: JsonObject }
  | { kind: 'refused'; reason: string; outcome: 'refused' | 'failed' }
  | { kind: 'ask'; reason: string };

/** @returns `went_on` when the call is journaled, `waiting` when it waits for others, `stopped` when the run does or has ended. */
export async function callTool(
  activity: Activity,
  call: ToolCall,
): Promise<'went_on' | 'waiting' | 'stopped'> {
  const prepared = await prepare(activity, call);
  if (prepared.kind === 'refused') {
    await settleTool(
      activity,
      call,
      { content: prepared.reason, is_error: true },
      prepared.outcome,
      nowOf(activity.deps),
    );
    return 'went_on';
  }
  if (prepared.kind === 'ask') return ask(activity, call, prepared.reason);
  if (isSandboxTool(prepared.name)) {
    const startedAt = nowOf(activity.deps);
    const output = await executeInSandbox(activity, prepared.name, prepared.args);
    activity.signal.throwIfAborted();
    await settleTool(activity, call, output, output.is_error ? 'failed' : 'ok', startedAt);
    return 'went_on';
  }
  return settleControl(activity, call, prepared.name, prepared.args);
}

async function prepare(activity: Activity, call: ToolCall): Promise<Prepared> {
  const offered = offerTo(activity).tools.some(tool => tool.name === call.name);
  if (!offered) return { kind: 'refused', outcome: 'refused', reason: `You have no tool ${call.name}.` };
  const name = call.name as ToolName;
  const parsed = (toolArguments[name] as z.ZodType).safeParse(call.arguments);
  if (!parsed.success) {
    const faults = parsed.error.issues
      .map(issue => `${issue.path.join('.') || 'arguments'}: ${issue.message}`)
      .join('; ');
    return { kind: 'refused', outcome: 'failed', reason: `The arguments are not valid: ${faults}` };
  }
  const args = parsed.data as JsonObject;
  const facts = { tool: name, agentRole: activity.agent.role, arguments: args };
  const decision = decideToolCall((await surroundingsOf(activity)).rules, facts);
  if (decision.outcome === 'deny')
    return { kind: 'refused', outcome: 'refused', reason: `Refused by policy: ${decision.reason}` };
  if (decision.outcome === 'ask') {
    const approval = await findApproval(activity.deps.db, activity.lease.runId, call.id);
    const mine =
      approval?.kind === 'tool_call' &&
      approval.payload_hash === payloadHash({ tool: name, arguments: call.arguments });
    if (!approval || approval.state === 'pending') return { kind: 'ask', reason: decision.reason };
    if (!mine)
      return { kind: 'refused', outcome: 'refused', reason: 'The approval was given for another call.' };
    if (approval.state !== 'approved') {
      return {
        kind: 'refused',
        outcome: 'refused',
        reason: `Not approved (${approval.state}): ${approval.answer ?? ''}`,
      };
    }
  }
  return { kind: 'ready', name, args };
}

/** Suspends the run until people have decided on exactly this call. */
async function ask(activity: Activity, call: ToolCall, reason: string): Promise<'went_on' | 'stopped'> {
  const { deps, lease, task, agent } = activity;
  const now = nowOf(deps);
  return transact(deps.db, async tx => {
    await requireLease(tx, lease);
    const approval = await requestApproval(tx, lease.actor, now, {
      task,
      runId: lease.runId,
      callId: call.id,
      kind: 'tool_call',
      question: `${agent.name} wants to call ${call.name}: ${JSON.stringify(call.arguments).slice(0, 2_000)}\n${reason}`,
      options: [],
      payload: { tool: call.name, arguments: call.arguments },
      expiresAt: new Date(now.getTime() + approvalLifeMs),
    });
    if (approval.state !== 'pending') return 'went_on';
    await suspendRun(
      tx,
      lease,
      now,
      { kind: 'approval', approval_id: approval.id, question: false },
      reason,
      null,
    );
    return 'stopped';
  });
}

async function executeInSandbox(
  activity: Activity,
  name: keyof typeof sandboxTools,
  args: JsonObject,
): Promise<ToolOutput> {
  const seq = nextSeq(activity);
  const { deps, lease } = activity;
  try {
    const sandbox = await openWorkspace(activity);
    const handler = sandboxTools[name] as (context: unknown, args: unknown) => Promise<ToolOutput>;
    const intent = {
      recall: () => recallIntent(deps.db, lease, seq),
      declare: (effect: string) => declareIntent(deps.db, lease, nowOf(deps), seq, name, effect),
    };
    const context = { sandbox, signal: activity.signal, idempotencyKey: stepKey(lease.runId, seq), intent };
    return await handler(context, args);
  } catch (error) {
    activity.signal.throwIfAborted();
    if (error instanceof Problem && !error.retryable) return { content: error.message, is_error: true };
    throw error;
  }
}

async function settleControl(
  activity: Activity,
  call: ToolCall,
  name: ToolName,
  args: JsonObject,
): Promise<'went_on' | 'waiting' | 'stopped'> {
  const startedAt = nowOf(activity.deps);
  let result: ControlResult;
  try {
    result = await controlTools[name as keyof typeof controlTools](activity, call, args as never);
  } catch (error) {
    if (!(error instanceof Problem) || error.retryable) throw error;
    result = {
      kind: 'output',
      output: { content: messageOf(error), is_error: true },
      refused: error.kind === 'forbidden',
    };
  }
  if (result.kind === 'wait') return 'waiting';
  if (result.kind === 'stopped') return 'stopped';
  if (result.kind === 'settled') return 'went_on';
  const outcome = result.refused ? 'refused' : result.output.is_error ? 'failed' : 'ok';
  await settleTool(activity, call, result.output, outcome, startedAt);
  return 'went_on';
}
