/**
 * Approvals: questions that hold something back until people decide. An approval is bound to a hash of exactly
 * what it allows and is used once: the journaled step it leads to carries its id. Deciding wakes the run in the
 * same transaction.
 */
import { createHash } from 'node:crypto';
import type { RawBuilder } from 'kysely';
import { newId } from '../../base/ids.ts';
import { canonicalJson } from '../../base/json.ts';
import { Problem } from '../../base/problem.ts';
import type { Reader, Tx } from '../../platform/db/db.ts';
import type { Row } from '../../platform/db/schema.ts';
import { type Actor, appendAudit, appendEvent } from '../../platform/journal/facts.ts';
import { enqueue } from '../../platform/queue/queue.ts';

export type Approval = Row<'approvals'>;

export const payloadHash = (payload: unknown): string =>
  createHash('sha256').update(canonicalJson(payload)).digest('hex');

export interface ApprovalRequest {
  task: Pick<Row<'tasks'>, 'id' | 'root_task_id'>;
  runId: string;
  callId: string;
  kind: Approval['kind'];
  question: string;
  options: string[];
  /** What exactly is asked for; its hash binds the decision. */
  payload: unknown;
  expiresAt: Date;
}

/** Asks; asking again for the same call finds the same approval. */
export async function requestApproval(
  tx: Tx,
  actor: Actor,
  now: Date,
  request: ApprovalRequest,
): Promise<Approval> {
  const found = await findApproval(tx, request.runId, request.callId);
  if (found) return found;
  const row = await tx
    .insertInto('approvals')
    .values({
      id: newId('apr'),
      organization_id: actor.organizationId,
      task_id: request.task.id,
      run_id: request.runId,
      call_id: request.callId,
      kind: request.kind,
      question: request.question,
      options: request.options,
      payload_hash: payloadHash(request.payload),
      state: 'pending',
      created_at: now,
      expires_at: request.expiresAt,
    })
    .returningAll()
    .executeTakeFirstOrThrow();
  await appendEvent(
    tx,
    actor,
    now,
    'approval.requested',
    { task_id: request.task.id, root_task_id: request.task.root_task_id, run_id: request.runId },
    {
      id: row.id,
      kind: row.kind,
      question: row.question,
    },
  );
  await appendAudit(tx, actor, now, 'approval.request', row.id, 'ok', {
    kind: row.kind,
    payload_hash: row.payload_hash,
  });
  return row;
}

export async function findApproval(db: Reader, runId: string, callId: string): Promise<Approval | null> {
  const row = await db
    .selectFrom('approvals')
    .selectAll()
    .where('run_id', '=', runId)
    .where('call_id', '=', callId)
    .executeTakeFirst();
  return row ?? null;
}

export interface Decision {
  decision: 'approved' | 'rejected';
  /** The answer to a question; for a rejection the reason, which is required. */
  text: string;
}

/**
 * Decides a pending approval and wakes the run that waits for it.
 * @throws Problem `approval_missing`, `approval_decided`, `reason_required`, `answer_required`, `answer_not_offered`.
 */
export async function decideApproval(
  tx: Tx,
  actor: Actor,
  now: Date,
  id: string,
  decision: Decision,
): Promise<Approval> {
  const approval = await tx
    .selectFrom('approvals')
    .selectAll()
    .where('id', '=', id)
    .where('organization_id', '=', actor.organizationId)
    .forUpdate()
    .executeTakeFirst();
  if (!approval) throw new Problem('missing', 'approval_missing', 'There is no such approval.');
  if (approval.state !== 'pending') {
    throw new Problem('conflict', 'approval_decided', `This approval is ${approval.state} already.`, {
      detail: { state: approval.state },
    });
  }
  const text = decision.text.trim();
  if (decision.decision === 'rejected' && text === '') {
    throw new Problem('invalid', 'reason_required', 'A rejection needs a reason: the agent goes on from it.');
  }
  if (decision.decision === 'approved' && approval.kind === 'question') {
    if (text === '')
      throw new Problem('invalid', 'answer_required', 'The agent asked a question: give the answer.');
    if (approval.options.length > 0 && !approval.options.includes(text)) {
      throw new Problem(
        'invalid',
        'answer_not_offered',
        `The answer must be one of: ${approval.options.join(', ')}.`,
      );
    }
  }
  return close(tx, actor, now, approval, decision.decision, text);
}

async function close(
  tx: Tx,
  actor: Actor,
  now: Date,
  approval: Approval,
  state: Approval['state'],
  text: string,
): Promise<Approval> {
  const row = await tx
    .updateTable('approvals')
    .set({ state, answer: text, decided_by: actor.id, decided_at: now })
    .where('id', '=', approval.id)
    .returningAll()
    .executeTakeFirstOrThrow();
  const task = await tx
    .selectFrom('tasks')
    .select('root_task_id')
    .where('id', '=', row.task_id)
    .executeTakeFirstOrThrow();
  await appendEvent(
    tx,
    actor,
    now,
    `approval.${state}`,
    { task_id: row.task_id, root_task_id: task.root_task_id, run_id: row.run_id },
    { id: row.id },
  );
  await appendAudit(tx, actor, now, 'approval.decide', row.id, 'ok', {
    state,
    payload_hash: row.payload_hash,
  });
  await enqueue(tx, 'run.advance', { run_id: row.run_id });
  return row;
}

/** Closes what nobody decided in time. @returns how many. */
export async function expireApprovals(tx: Tx, now: Date): Promise<number> {
  const due = await tx
    .selectFrom('approvals')
    .selectAll()
    .where('state', '=', 'pending')
    .where('expires_at', '<=', now)
    .orderBy('expires_at')
    .limit(100)
    .forUpdate()
    .skipLocked()
    .execute();
  for (const approval of due) {
    const actor = { id: 'system', organizationId: approval.organization_id, requestId: approval.id };
    await close(tx, actor, now, approval, 'expired', 'Nobody decided in time.');
  }
  return due.length;
}

/** Closes what a run still asks: it has ended. */
export async function cancelApprovals(tx: Tx, actor: Actor, now: Date, runId: string): Promise<void> {
  await tx
    .updateTable('approvals')
    .set({ state: 'cancelled', decided_at: now, decided_by: actor.id })
    .where('run_id', '=', runId)
    .where('state', '=', 'pending')
    .execute();
}

/** Newest first, at most `limit`, older than the approval `before`. */
export function listApprovals(
  db: Reader,
  actor: Actor,
  filter: { state?: Approval['state']; before?: string; limit: number; visible?: RawBuilder<boolean> },
): Promise<Approval[]> {
  let query = db.selectFrom('approvals').selectAll().where('organization_id', '=', actor.organizationId);
  if (filter.visible) query = query.where(filter.visible);
  if (filter.state) query = query.where('state', '=', filter.state);
  if (filter.before) query = query.where('id', '<', filter.before);
  return query.orderBy('id', 'desc').limit(filter.limit).execute();
}
