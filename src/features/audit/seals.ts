/** What is told of the seals of an organization: the list, and how much is not sealed yet. */
import { sql } from 'kysely';
import type { Reader, Tx } from '../../platform/db/db.ts';
import type { Row } from '../../platform/db/schema.ts';
import type { Place } from './seal-format.ts';
import { placeSql } from './sealing.ts';

export type SealRow = Omit<Row<'audit_seals'>, 'entries' | 'signature'>;

export function listSeals(
  tx: Tx,
  organizationId: string,
  page: { before?: number; limit: number },
): Promise<SealRow[]> {
  return tx
    .selectFrom('audit_seals')
    .select([
      'organization_id',
      'number',
      'class',
      'from_xid',
      'from_seq',
      'to_xid',
      'to_seq',
      'record_count',
    ])
    .select(['previous_hash', 'hash', 'introduces_key', 'key_id', 'sealed_at', 'pruned_at'])
    .where('organization_id', '=', organizationId)
    .$if(page.before !== undefined, query => query.where('number', '<', page.before as number))
    .orderBy('number', 'desc')
    .limit(page.limit)
    .execute();
}

/** More are not counted. */
export const unsealedLimit = 10_000;

/** Records after the place up to which sealing has come. */
export async function countUnsealed(db: Reader, organizationId: string, sealedUpTo: Place): Promise<number> {
  const next = (table: 'audit_records' | 'steps') => sql`(
    select 1 from ${sql.table(table)} where organization_id = ${organizationId} and (xid, fact_seq) > ${placeSql(sealedUpTo)}
    order by xid, fact_seq limit ${unsealedLimit})`;
  const { rows } = await sql<{ n: number }>`
    select count(*) as n from (${next('audit_records')} union all ${next('steps')}) as unsealed`.execute(db);
  return Math.min(Number(rows[0]?.n ?? 0), unsealedLimit);
}
