/**
 * Retention by class. The application cannot remove anything itself: it asks the database to, seal by seal, and the
 * function audit_prune decides by its own clock and its own least retention.
 */
import { sql } from 'kysely';
import type { Db } from '../../platform/db/db.ts';
import { sqlState } from '../../platform/db/db.ts';

export interface Retention {
  /** Days that signing in and being refused are kept. Administrative records are kept for ever. */
  accessDays: number;
  /** Days that calls of models and tools, which are the transcripts of runs, are kept. */
  callDays: number;
}

const dayMs = 86_400_000;
/** SQLSTATE of a refusal of audit_prune. */
const refused = '55000';

/** Asks for the oldest seals whose time has come. @returns how many records went, and why others did not. */
export async function pruneRecords(
  db: Db,
  now: Date,
  retention: Retention,
  seals = 50,
): Promise<{ removed: number; refusals: string[] }> {
  const result = { removed: 0, refusals: [] as string[] };
  const due = await db
    .selectFrom('audit_seals')
    .select(['organization_id', 'number'])
    .where('pruned_at', 'is', null)
    .where(eb =>
      eb.or([
        eb.and([eb('class', '=', 'access'), eb('sealed_at', '<', daysBefore(now, retention.accessDays))]),
        eb.and([eb('class', '=', 'call'), eb('sealed_at', '<', daysBefore(now, retention.callDays))]),
      ]),
    )
    .orderBy('sealed_at')
    .limit(seals)
    .execute();
  for (const seal of due) {
    try {
      const { rows } = await sql<{ removed: number }>`
        select audit_prune(${seal.organization_id}, ${seal.number}) as removed`.execute(db);
      result.removed += rows[0]?.removed ?? 0;
    } catch (error) {
      if (sqlState(error) !== refused) throw error;
      result.refusals.push((error as Error).message);
    }
  }
  return result;
}

const daysBefore = (now: Date, days: number): Date => new Date(now.getTime() - days * dayMs);
