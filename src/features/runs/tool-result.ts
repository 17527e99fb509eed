/** What a finished tool call leaves in the journal. */
import type { Json } from '../../base/json.ts';
import { redactor } from '../../platform/secrets/redactor.ts';
import type { ToolOutput } from '../tools/sandbox-tools.ts';
import { type Activity, nextSeq, nowOf, record } from './context.ts';
import { commitStep, type NewStep, stepKey } from './journal.ts';
import { holdAfter } from './model-step.ts';
import type { Step, ToolCall } from './transcript.ts';

/** Commits the step of a finished call. */
export async function settleTool(
  activity: Activity,
  call: ToolCall,
  output: ToolOutput,
  outcome: NewStep['outcome'],
  startedAt: Date,
): Promise<void> {
  const step = toolStep(activity, call, output, outcome);
  await settleStep(activity, step, startedAt, Buffer.byteLength(output.content) + 200);
}

/**
 * Commits a step of the run's own. When a model call comes next that is not paid for yet, its reservation is made
 * with the step. @param bytes what the step adds to the prompt.
 */
export async function settleStep(
  activity: Activity,
  step: Step,
  startedAt: Date,
  bytes: number,
): Promise<void> {
  const { deps, lease, transcript } = activity;
  const last = step.kind === 'notice' || transcript.pending.length === 1;
  const hold = last ? await holdAfter(activity, bytes) : undefined;
  const full = { ...step, idempotencyKey: stepKey(lease.runId, step.seq), startedAt };
  if (hold) {
    const closing = activity.held?.key ?? null;
    const held = await commitStep(deps.db, lease, nowOf(deps), full, { hold: { hold, closing } });
    activity.held = held === null ? null : { key: hold.key, budgetIds: hold.budgetIds, left: held };
  } else await deps.journal.append(lease, nowOf(deps), full);
  record(activity, step);
}

export function toolStep(
  activity: Activity,
  call: ToolCall,
  output: ToolOutput,
  outcome: NewStep['outcome'],
) {
  return {
    seq: nextSeq(activity),
    kind: 'tool' as const,
    name: call.name,
    call_id: call.id,
    outcome,
    data: {
      arguments: call.arguments as Json,
      content: redactor.redactValues(output.content.replaceAll('\0', '\ufffd')),
      is_error: output.is_error,
    },
  };
}
