/** What a finished tool call leaves in the journal. */
import type { Json } from '../../base/json.ts';
import { redactor } from '../../platform/secrets/redactor.ts';
import type { ToolOutput } from '../tools/sandbox-tools.ts';
import { type Activity, nextSeq, nowOf, record } from './context.ts';
import { commitStep, type NewStep, stepKey } from './journal.ts';
import { holdAfter } from './model-step.ts';
import type { ToolCall } from './transcript.ts';

/** The step of a finished call. When it is the last of its turn, the next model call is reserved with it. */
export async function settleTool(
  activity: Activity,
  call: ToolCall,
  output: ToolOutput,
  outcome: NewStep['outcome'],
  startedAt: Date,
): Promise<void> {
  const { deps, lease } = activity;
  const last = activity.transcript.pending.length === 1;
  const hold = last ? await holdAfter(activity, Buffer.byteLength(output.content) + 200) : undefined;
  const closing = activity.held?.key ?? null;
  const step = toolStep(activity, call, output, outcome);
  const held = await commitStep(
    deps.db,
    lease,
    nowOf(deps),
    { ...step, idempotencyKey: stepKey(lease.runId, step.seq), startedAt },
    hold ? { hold: { hold, closing } } : {},
  );
  if (hold) activity.held = held === null ? null : { key: hold.key, budgetIds: hold.budgetIds, left: held };
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
