/**
 * Facts: the event (what became true, for live views and reactions) and the audit record (who did what to what).
 * Both are appended in the transaction that made them true. Readers follow events by (xid, seq) below the oldest
 * open transaction, so none is ever skipped; waking them up is the business of platform/live.
 */
import { sql } from 'kysely';
import type { Json } from '../../base/json.ts';
import type { Tx } from '../db/db.ts';
import { redactor } from '../secrets/redactor.ts';

/** Who acts: `member:mem_…`, `agent:agt_…`, `system`. `requestId` follows the cause through queue and tools. */
export interface Actor {
  id: string;
  organizationId: string;
  requestId: string;
}

export interface Subject {
  task_id?: string | null;
  root_task_id?: string | null;
  run_id?: string | null;
}

export type Data = Record<string, Json | undefined>;

/** The system itself, acting in an organization. */
export function systemActor(organizationId: string, requestId: string): Actor {
  return { id: 'system', organizationId, requestId };
}

/** Appends an event. @param type `noun.verb_past`, e.g. `task.succeeded`. */
export async function appendEvent(
  tx: Tx,
  actor: Actor,
  now: Date,
  type: string,
  subject: Subject,
  data: Data = {},
): Promise<void> {
  await sql`insert into events (organization_id, type, task_id, root_task_id, run_id, actor, request_id, data, created_at)
    values (${actor.organizationId}, ${type}, ${subject.task_id ?? null}, ${subject.root_task_id ?? null},
      ${subject.run_id ?? null}, ${actor.id}, ${actor.requestId}, ${redactor.redactJson(JSON.stringify(data))}, ${now})`.execute(
    tx,
  );
}

/** Appends an audit record. @param action `noun.verb`, e.g. `task.create`; @param target id of what was acted on. */
export async function appendAudit(
  tx: Tx,
  actor: Actor,
  now: Date,
  action: string,
  target: string | null,
  outcome: 'ok' | 'refused' | 'failed',
  data: Data = {},
): Promise<void> {
  await sql`insert into audit_records (organization_id, actor, action, target, outcome, data, request_id, created_at)
    values (${actor.organizationId}, ${actor.id}, ${action}, ${target}, ${outcome}, ${redactor.redactJson(JSON.stringify(data))}, ${actor.requestId}, ${now})`.execute(
    tx,
  );
}
