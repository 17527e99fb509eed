/**
 * A chain as it lies in the database: keys, then range by range the seals and the records up to the end of each,
 * then the records that are not sealed yet. A few seals at a time, each page a short transaction.
 */
import { sql } from 'kysely';
import type { Db, Reader } from '../../platform/db/db.ts';
import { listPublicKeys } from './keys.ts';
import { isSameRange, type Place, parsePlace, type Seal } from './seal-format.ts';
import { placeSql } from './sealing.ts';

export interface RecordText {
  kind: 'record';
  place: Place;
  /** Exactly what is hashed. */
  text: string;
}

export type StoredItem =
  | { kind: 'key'; id: string; publicKey: Buffer }
  | { kind: 'seal'; seal: Seal }
  | RecordText;

/** Runs a piece of reading: in the organization's own transaction, or with the system's connection. */
export type Reading = <T>(work: (db: Reader) => Promise<T>) => Promise<T>;
export const readingWith =
  (db: Db): Reading =>
  work =>
    work(db);

const sealsAtATime = 20;
const recordsAtATime = 500;

export async function* readChain(reading: Reading, organizationId: string): AsyncGenerator<StoredItem> {
  for (const key of await reading(listPublicKeys))
    yield { kind: 'key', id: key.id, publicKey: key.public_key };
  let number = 0;
  let done: Place = { xid: 0n, seq: 0n };
  let range: Seal[] = [];
  for (;;) {
    const seals = await reading(db => readSeals(db, organizationId, number, sealsAtATime));
    for (const seal of seals) {
      const [first] = range;
      if (first && !isSameRange(first, seal)) {
        yield* rangeOf(range);
        yield* readRecords(reading, organizationId, done, first.to);
        done = first.to;
        range = [];
      }
      range.push(seal);
      number = Math.max(number + 1, seal.number);
    }
    if (seals.length < sealsAtATime) break;
  }
  yield* rangeOf(range);
  yield* readRecords(reading, organizationId, done, null);
}

const rangeOf = (seals: Seal[]): StoredItem[] => seals.map(seal => ({ kind: 'seal', seal }));

/** Seals of a chain after a number, in order. */
export async function readSeals(
  db: Reader,
  organizationId: string,
  after: number,
  limit: number,
): Promise<Seal[]> {
  const rows = await db
    .selectFrom('audit_seals')
    .selectAll()
    .select(sql<string>`trim_scale(extract(epoch from sealed_at) * 1000)::text`.as('sealed_ms'))
    .where('organization_id', '=', organizationId)
    .where('number', '>', after)
    .orderBy('number')
    .limit(limit)
    .execute();
  return rows.map(row => ({
    organizationId: row.organization_id,
    number: row.number,
    class: row.class,
    from: { xid: BigInt(row.from_xid), seq: BigInt(row.from_seq) },
    to: { xid: BigInt(row.to_xid), seq: BigInt(row.to_seq) },
    entries: row.entries,
    previousHash: row.previous_hash,
    introducesKey: row.introduces_key,
    keyId: row.key_id,
    sealedAt: row.sealed_ms,
    hash: row.hash,
    signature: row.signature,
    pruned: row.pruned_at !== null,
  }));
}

/** Records after one place, and not after another; null: all there are. */
async function* readRecords(
  reading: Reading,
  organizationId: string,
  from: Place,
  to: Place | null,
): AsyncGenerator<RecordText> {
  let after = from;
  for (;;) {
    const { rows } = await reading(db =>
      sql<{ place: string; text: string }>`
        select xid || '-' || fact_seq as place, text from audit_texts
        where organization_id = ${organizationId} and (xid, fact_seq) > ${placeSql(after)}
          ${to ? sql`and (xid, fact_seq) <= ${placeSql(to)}` : sql``}
        order by audit_texts.xid, audit_texts.fact_seq limit ${recordsAtATime}`.execute(db),
    );
    for (const { place, text } of rows) {
      after = parsePlace(place) as Place;
      yield { kind: 'record', place: after, text };
    }
    if (rows.length < recordsAtATime) return;
  }
}
