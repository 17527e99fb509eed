/**
 * A turn's model call: reserve → call → settle. The reservation is made with the step before, or here when there
 * is none; it bounds what the call may generate. A call that does not fit is not made: the run waits for money.
 */

import { backoffMs } from '../../base/backoff.ts';
import type { Json, JsonObject } from '../../base/json.ts';
import { Problem } from '../../base/problem.ts';
import { transact } from '../../platform/db/db.ts';
import { appendEvent } from '../../platform/journal/facts.ts';
import { enqueue } from '../../platform/queue/queue.ts';
import { redactor } from '../../platform/secrets/redactor.ts';
import { charge, closeReservations, type Hold, reserve } from '../budgets/budgets.ts';
import { costOf, dearestInputCost, findPrice, lockPrices, type Price } from '../budgets/prices.ts';
import { bookUsage } from '../budgets/usage.ts';
import type { ContentPart, ModelFailed, ModelRequest, ModelSuccess } from '../models/port.ts';
import { callWithKey } from '../models/provider-keys.ts';
import { type Activity, nextSeq, nowOf, record } from './context.ts';
import { fail } from './ending.ts';
import { type StepUsage, stepKey } from './journal.ts';
import { LeaseLost, requireLease, subjectOf, suspendRun } from './lease.ts';
import { surroundingsOf } from './surroundings.ts';
import { offerTo } from './tool-list.ts';
import type { Step } from './transcript.ts';

/** Retries of a failing call before it becomes a dead letter. */
export const maxModelRetries = 3;
const retryBackoff = { baseMs: 2_000, capMs: 60_000 };
/** Fewer tokens than this to answer with are not worth a call. */
const leastOutputTokens = 256;
/**
 * Bytes per token, on the safe side: prose and code have 3 to 4 bytes a token, so a prompt is taken for up to
 * twice of what it really counts, and the difference is released when the call settles.
 */
const bytesPerToken = 2;

interface Estimate {
  inputTokens: number;
  price: Price | null;
  budgetIds: string[];
}

async function estimate(activity: Activity, addedBytes = 0): Promise<Estimate> {
  const tools = offerTo(activity).bytes;
  const { budgetIds } = await surroundingsOf(activity);
  const inputTokens = Math.ceil((activity.transcript.bytes + addedBytes + tools) / bytesPerToken);
  return { inputTokens, price: activity.price, budgetIds };
}

/** Calls that one reservation is made for where the budgets have plenty left. */
const callsPerReservation = 8;

function holdFor(activity: Activity, seq: number, e: Estimate): Hold {
  const input = e.price ? dearestInputCost(e.price, e.inputTokens) : 0;
  const output = (tokens: number) => (e.price ? Math.ceil((tokens * e.price.output_micros) / 1_000_000) : 0);
  const limit = activity.agent.max_output_tokens;
  const wanted = input + output(limit);
  return {
    key: stepKey(activity.lease.runId, seq),
    runId: activity.lease.runId,
    taskId: activity.task.id,
    budgetIds: e.budgetIds,
    chunkMicros: wanted * callsPerReservation,
    wantedMicros: wanted,
    minimumMicros: input + output(Math.min(limit, leastOutputTokens)),
  };
}

/**
 * The reservation that a step makes for the model call after it; undefined when what is held already pays for that
 * call, or no budget is over the task. @param addedBytes what the step adds to the prompt.
 */
export async function holdAfter(activity: Activity, addedBytes: number): Promise<Hold | undefined> {
  const e = await estimate(activity, addedBytes);
  if (e.budgetIds.length === 0 || !e.price) return undefined;
  const hold = holdFor(activity, nextSeq(activity) + 1, e);
  return pays(activity, hold) ? undefined : hold;
}

/** @returns `went_on` when the turn is journaled, `stopped` when the run waits or has ended. */
export async function callModel(activity: Activity): Promise<'went_on' | 'stopped'> {
  const { deps, lease, model } = activity;
  const seq = nextSeq(activity);
  const e = await estimate(activity);
  const hold = holdFor(activity, seq, e);
  if (e.budgetIds.length > 0) {
    const refusal = e.price
      ? await ensureHeld(activity, hold)
      : `The model ${model.provider}/${model.model} has no price, so no call can be made under a budget. Add its price first.`;
    if (refusal) return waitForBudget(activity, hold, refusal);
  }
  const request = requestFor(activity, e);
  const startedAt = nowOf(deps);
  deps.log.debug(
    { run_id: lease.runId, seq, model: request.model, request_id: lease.actor.requestId },
    'model call',
  );
  const outcome = await callWithKey(deps.models, lease.actor.organizationId, model, request, {
    signal: activity.signal,
    timeouts: deps.models.timeouts,
    idempotency_key: stepKey(lease.runId, seq),
    request_id: lease.actor.requestId,
  });
  if (!outcome.ok) return handleFailure(activity, outcome);
  await settleCall(activity, e, seq, startedAt, outcome);
  return 'went_on';
}

/** Whether what is held pays for a call, on all the budgets that are over the task by now. */
function pays({ held }: Activity, hold: Hold): boolean {
  return held !== null && held.left >= hold.wantedMicros && held.budgetIds.join() === hold.budgetIds.join();
}

/** Sees to it that the call is paid for. @returns why it is not, or null. */
async function ensureHeld(activity: Activity, hold: Hold): Promise<string | null> {
  const { deps, lease } = activity;
  const earlier = activity.held;
  if (pays(activity, hold)) return null;
  if (earlier?.key === hold.key) return null; // Made for this very call, by the step before: it holds what there was.
  activity.held = null;
  if (earlier) await closeReservations(deps.db, nowOf(deps), lease.runId);
  const held = await reserve(deps.db, lease.actor, nowOf(deps), hold);
  if (held === null) return 'The next model call does not fit the budget.';
  activity.held = { key: hold.key, budgetIds: hold.budgetIds, left: held };
  return null;
}

function requestFor(activity: Activity, e: Estimate): ModelRequest {
  const { agent, model, transcript } = activity;
  let maxOutput = agent.max_output_tokens;
  if (e.price && e.price.output_micros > 0 && activity.held) {
    const left = activity.held.left - dearestInputCost(e.price, e.inputTokens);
    maxOutput = Math.min(maxOutput, Math.floor((left * 1_000_000) / e.price.output_micros));
  }
  const { tools } = offerTo(activity);
  const deciding = tools.length === 1 && tools[0]?.name === 'decide_assignment';
  return {
    model: model.model,
    system: transcript.system,
    messages: transcript.messages,
    tools,
    tool_choice: deciding ? { name: 'decide_assignment' } : 'auto',
    max_output_tokens: maxOutput,
  };
}

/** PostgreSQL's text cannot hold NUL, and nothing that a model says needs it. */
function withoutNul<T>(value: T): T {
  const text = JSON.stringify(value);
  return text.includes('\\u0000')
    ? JSON.parse(text, (_, v) => (typeof v === 'string' ? v.replaceAll('\0', '\ufffd') : v))
    : value;
}

/**
 * A child and an approval are found again by the id of their call, so no two calls of a run may share one. Some
 * servers number the calls of every answer from the start.
 */
function withOwnIds(content: ContentPart[], steps: readonly Step[], seq: number): ContentPart[] {
  const used = new Set(steps.flatMap(step => (step.kind === 'model' ? callIds(step) : [])));
  return content.map((part, i) => {
    if (part.type !== 'tool_call') return part;
    const id = used.has(part.id) ? `${part.id}_${seq}_${i}` : part.id;
    used.add(id);
    return { ...part, id };
  });
}

const callIds = (step: Step): string[] =>
  (step.data.content as unknown as ContentPart[]).flatMap(part =>
    part.type === 'tool_call' ? [part.id] : [],
  );

async function settleCall(
  activity: Activity,
  e: Estimate,
  seq: number,
  startedAt: Date,
  outcome: ModelSuccess,
): Promise<void> {
  const { deps, lease, model, agent, task } = activity;
  const cost = e.price ? costOf(e.price, outcome.usage) : null;
  const data: JsonObject = redactor.redactDeep({
    content: withOwnIds(withoutNul(outcome.content), activity.steps, seq) as unknown as Json,
    stop: outcome.stop,
    usage: { ...outcome.usage },
    cost_micros: cost,
    model: `${model.provider}/${outcome.model}`,
    provider_request_id: outcome.provider_request_id,
    first_token_ms: Math.round(outcome.first_token_ms),
    total_ms: Math.round(outcome.total_ms),
  });
  const step = {
    seq,
    kind: 'model' as const,
    name: model.model,
    call_id: null,
    outcome: 'ok' as const,
    data,
  };
  const usage = {
    provider: model.provider,
    model: model.model,
    tokens: outcome.usage,
    exact: outcome.usage_exact,
    priceId: e.price?.id ?? null,
    costMicros: cost,
    projectId: task.project_id,
    agentId: agent.id,
    reservationKey: activity.held?.key ?? null,
  };
  if (activity.held) activity.held.left -= cost ?? 0;
  const key = stepKey(lease.runId, seq);
  try {
    await deps.journal.append(lease, nowOf(deps), { ...step, idempotencyKey: key, startedAt }, usage);
  } catch (error) {
    if (error instanceof LeaseLost) await bookLate(activity, e, key, usage);
    throw error;
  }
  record(activity, step);
  activity.turnCount += 1;
}

/**
 * The run was cancelled or taken over while the model answered: the answer counts for nothing, its cost does. It is
 * booked under a key of its own, since the new holder may make the call again under the old one.
 */
async function bookLate(activity: Activity, e: Estimate, key: string, usage: StepUsage): Promise<void> {
  const { deps, lease, task } = activity;
  const now = nowOf(deps);
  const late = `${key}:late-${lease.fencingToken}`;
  await transact(deps.db, async tx => {
    await bookUsage(tx, now, { ...usage, key: late, task, runId: lease.runId, price: e.price });
    await charge(tx, e.budgetIds, usage.costMicros ?? 0);
  });
}

async function waitForBudget(activity: Activity, hold: Hold, reason: string): Promise<'went_on' | 'stopped'> {
  const { deps, lease, model } = activity;
  return transact(deps.db, async tx => {
    await requireLease(tx, lease);
    // Asked again under locks: a price added or a budget raised in between would not wake a run that is not waiting yet.
    if (!activity.price) {
      await lockPrices(tx, 'wait');
      activity.price = await findPrice(tx, lease.actor, model.provider, model.model, nowOf(deps));
      if (activity.price) return 'went_on';
    }
    const { price } = activity;
    const held = price ? await reserve(tx, lease.actor, nowOf(deps), hold) : null;
    if (held !== null) {
      activity.held = { key: hold.key, budgetIds: hold.budgetIds, left: held };
      return 'went_on';
    }
    await appendEvent(tx, lease.actor, nowOf(deps), 'budget.exhausted', subjectOf(lease), { reason });
    const minimum = price ? hold.minimumMicros : null;
    const wait = { kind: 'budget' as const, budget_ids: hold.budgetIds, minimum_micros: minimum };
    await suspendRun(tx, lease, nowOf(deps), wait, reason, null);
    return 'stopped';
  });
}

/** A failed call is tried again later by the queue, holding no worker; what does not pass ends as a dead letter. */
async function handleFailure(activity: Activity, outcome: ModelFailed): Promise<'stopped'> {
  const { deps, lease } = activity;
  const now = nowOf(deps);
  const failure = redactor.redactDeep(outcome.failure);
  if (failure.kind === 'aborted') {
    activity.signal.throwIfAborted();
    throw new Problem('unavailable', 'model_aborted', failure.message);
  }
  deps.log.warn(
    { run_id: lease.runId, kind: failure.kind, status: failure.status, request_id: lease.actor.requestId },
    'model call failed',
  );
  await transact(deps.db, async tx => {
    await requireLease(tx, lease);
    const { failure_count: failures } = await tx
      .updateTable('runs')
      .set(eb => ({ failure_count: eb('failure_count', '+', 1) }))
      .where('id', '=', lease.runId)
      .returning('failure_count')
      .executeTakeFirstOrThrow();
    await appendEvent(tx, lease.actor, now, 'model.failed', subjectOf(lease), {
      kind: failure.kind,
      message: failure.message,
      attempt: failures,
    });
    if (failure.retryable && failures <= maxModelRetries) {
      const delay = Math.max(backoffMs(failures, retryBackoff, deps.random()), failure.retry_after_ms ?? 0);
      const wakeAt = new Date(now.getTime() + delay);
      await suspendRun(
        tx,
        lease,
        now,
        { kind: 'time' },
        `The model did not answer (${failure.message}); next try in ${Math.ceil(delay / 1000)} s.`,
        wakeAt,
      );
      return enqueue(tx, 'run.advance', { run_id: lease.runId }, { runAt: wakeAt });
    }
    await fail(tx, lease, now, activity.task, {
      state: 'dead_letter',
      code: `model_${failure.kind}`,
      reason: `The model call failed: ${failure.message}`,
    });
  });
  return 'stopped';
}
