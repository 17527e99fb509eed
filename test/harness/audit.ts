/** For tests of the audit: a sealer with a key of its own, records of every kind, and a chain sealed to its end. */
import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { setTimeout as wait } from 'node:timers/promises';
import { sql } from 'kysely';
import { readChain, readingWith } from '../../src/features/audit/chain.ts';
import { exportLines, verifyExport } from '../../src/features/audit/export-format.ts';
import { readSealedUpTo, type SealingDeps, sealRecords } from '../../src/features/audit/sealing.ts';
import type { Verification, VerifyOptions } from '../../src/features/audit/verify.ts';
import { verifyStored } from '../../src/features/audit/verifying.ts';
import { type Db, transact } from '../../src/platform/db/db.ts';
import { type Actor, appendAudit } from '../../src/platform/journal/facts.ts';
import { newMasterKey } from '../../src/platform/secrets/master-key.ts';
import { createSealer, type Sealer } from '../../src/platform/secrets/sealer.ts';
import { untilSettled } from './events.ts';
import { addOrganization, addTask, type Organization } from './organization.ts';

export function newSealer(): Sealer {
  return createSealer({ current: newMasterKey(), others: [] }, randomBytes(32));
}

/** An organization with a task, whose run can have steps. */
export async function addAuditedOrganization(
  db: Db,
  name: string,
  now: Date,
): Promise<Organization & { runId: string }> {
  const organization = await addOrganization(db, name, now);
  const task = await addTask(db, organization, now);
  const run = await db
    .selectFrom('runs')
    .select('id')
    .where('task_id', '=', task.id)
    .executeTakeFirstOrThrow();
  return { ...organization, runId: run.id };
}

export async function record(
  db: Db,
  actor: Actor,
  now: Date,
  action: string,
  data: Record<string, string> = {},
): Promise<void> {
  await transact(db, tx => appendAudit(tx, actor, now, action, 'target_1', 'ok', data));
}

let stepCount = 0;

/** Appends a step as the journal does, in a transaction of its own. */
export async function addStep(
  db: Db,
  organization: { organizationId: string; runId: string },
  now: Date,
  data: object,
): Promise<void> {
  await sql`insert into steps (run_id, seq, organization_id, task_id, root_task_id, kind, name, call_id, outcome, data,
      idempotency_key, fencing_token, actor, request_id, started_at, ended_at)
    select id, ${stepCount++}, organization_id, task_id, task_id, 'tool', 'read_file',
      'call_1', 'ok', ${JSON.stringify(data)}, 'key', 1, 'agent:agt_1', 'req_1', ${now}, ${now}
    from runs where id = ${organization.runId}`.execute(db);
}

/** Seals until nothing is left: transactions elsewhere on the server may hold it back for a moment. */
export async function sealAll(
  deps: SealingDeps,
  limits?: { records: number; batches: number },
): Promise<void> {
  // With no seal yet, the question below finds nothing left.
  await untilSettled(deps.db);
  for (;;) {
    await sealRecords(deps, limits);
    const { rows } = await sql<{ left: boolean }>`
      select exists (select 1 from audit_texts where (xid, fact_seq) >
        (select to_xid, to_seq from audit_seals order by to_xid desc, to_seq desc limit 1)) as left`.execute(
      deps.db,
    );
    if (!rows[0]?.left) return;
    await wait(5);
  }
}

export function verifyAll(
  deps: SealingDeps,
  organizationId: string,
  options?: Pick<VerifyOptions, 'key' | 'head'>,
): Promise<Verification> {
  return verifyStored(deps, readingWith(deps.db), organizationId, options);
}

/** The lines of an exported file, without their ends. */
export async function exportText(deps: SealingDeps, organizationId: string): Promise<string[]> {
  const header = {
    organizationId,
    exportedAt: new Date(deps.clock.now()).toISOString(),
    sealedUpTo: await readSealedUpTo(deps.db),
  };
  const lines: string[] = [];
  for await (const line of exportLines(readChain(readingWith(deps.db), organizationId), header))
    lines.push(line.trimEnd());
  return lines;
}

export function verifyText(lines: string[], options: VerifyOptions = {}): Promise<Verification> {
  return verifyExport(Readable.from(lines), options);
}
