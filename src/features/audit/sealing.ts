/**
 * Sealing: a sweep that follows behind the writers, who do nothing for it. It takes records below the oldest open
 * transaction, where nothing can appear any more, in the order of their places; PostgreSQL hashes them where they
 * are; and for each organization and class among them one seal continues the chain. A batch is one transaction and
 * where it ends is read off the seals themselves, so a sealer that dies leaves nothing half done.
 */
import { sign } from 'node:crypto';
import { sql } from 'kysely';
import { type Db, type Reader, type Tx, transact } from '../../platform/db/db.ts';
import type { Sealer } from '../../platform/secrets/sealer.ts';
import { readSigningKey, requireSigningKey, type SigningKey } from './keys.ts';
import {
  type AuditClass,
  entryCount,
  noHash,
  type Place,
  parsePlace,
  type SealContent,
  sealText,
  sha256,
} from './seal-format.ts';

export interface SealingDeps {
  db: Db;
  sealer: Sealer;
  clock: { now(): number };
  /** A signing key that is older is replaced. */
  keyMaxAgeMs: number;
}

/** Any number that nobody else locks: there is one sealer at a time. */
const lockNumber = 7_204_812_118;
const batchRecords = 1_000;

/** Seals all that can be sealed now. @returns how many records; 0 also when another process is sealing. */
export async function sealRecords(
  deps: SealingDeps,
  limits = { records: batchRecords, batches: 100 },
): Promise<number> {
  let sealed = 0;
  for (let i = 0; i < limits.batches; i++) {
    const count = await transact(deps.db, tx => sealBatch(tx, deps, limits.records));
    sealed += count;
    if (count < limits.records) break;
  }
  return sealed;
}

async function sealBatch(tx: Tx, deps: SealingDeps, limit: number): Promise<number> {
  const lock = await sql<{
    locked: boolean;
  }>`select pg_try_advisory_xact_lock(${lockNumber}) as locked`.execute(tx);
  if (!lock.rows[0]?.locked) return 0;
  const from = await readSealedUpTo(tx);
  const to = await findEnd(tx, from, limit);
  if (!to) return 0;
  const now = new Date(deps.clock.now());
  const parts = await readParts(tx, from, to, limit);
  const key = await requireSigningKey(tx, deps.sealer, now, deps.keyMaxAgeMs);
  let head: Head | null = null;
  for (const part of parts) {
    if (head?.organizationId !== part.organization_id)
      head = await handOver(tx, deps.sealer, await readHead(tx, part.organization_id), key, now);
    const { class: kind, entries } = part;
    head = await append(tx, head, key, now, { class: kind, from, to, entries, introducesKey: null });
  }
  return parts.reduce((sum, part) => sum + part.record_count, 0);
}

/** The place up to which every record of every organization is sealed. */
export async function readSealedUpTo(db: Reader): Promise<Place> {
  const { rows } = await sql<{ place: string }>`
    select to_xid || '-' || to_seq as place from audit_seals order by to_xid desc, to_seq desc limit 1`.execute(
    db,
  );
  return parsePlace(rows[0]?.place ?? '0-0') as Place;
}

export const placeSql = (place: Place) =>
  sql`(${String(place.xid)}::text::xid8, ${String(place.seq)}::bigint)`;

/** The last of the next `limit` places, or null when there is nothing to seal. */
async function findEnd(tx: Tx, from: Place, limit: number): Promise<Place | null> {
  const next = (table: 'audit_records' | 'steps') => sql`(
    select xid, fact_seq from ${sql.table(table)}
    where (xid, fact_seq) > ${placeSql(from)} and xid < pg_snapshot_xmin(pg_current_snapshot())
    order by xid, fact_seq limit ${limit})`;
  const { rows } = await sql<{ place: string }>`
    select xid || '-' || fact_seq as place from (
      select xid, fact_seq from (${next('audit_records')} union all ${next('steps')}) as both_tables
      order by xid, fact_seq limit ${limit}) as batch
    order by xid desc, fact_seq desc limit 1`.execute(tx);
  return rows[0] ? parsePlace(rows[0].place) : null;
}

interface Part {
  organization_id: string;
  class: AuditClass;
  record_count: number;
  entries: Buffer;
}

/** The records between two places, at most `limit`, by organization and class, hashed. */
async function readParts(tx: Tx, from: Place, to: Place, limit: number): Promise<Part[]> {
  const { rows } = await sql<Part>`
    select organization_id, class, count(*)::integer as record_count,
      string_agg(xid8send(xid) || int8send(fact_seq) || sha256(convert_to(text, 'UTF8')), ''::bytea order by xid, fact_seq) as entries
    from (select * from audit_texts
      where (xid, fact_seq) > ${placeSql(from)} and (xid, fact_seq) <= ${placeSql(to)}
      order by audit_texts.xid, audit_texts.fact_seq limit ${limit}) as batch
    group by organization_id, class order by organization_id, class`.execute(tx);
  return rows;
}

/** The newest seal of a chain; of one that has none, what the first follows. */
interface Head {
  organizationId: string;
  number: number;
  hash: Buffer;
  to: Place;
  keyId: string | null;
}

async function readHead(tx: Tx, organizationId: string): Promise<Head> {
  const row = await tx
    .selectFrom('audit_seals')
    .select(['number', 'hash', 'to_xid', 'to_seq', 'key_id'])
    .where('organization_id', '=', organizationId)
    .orderBy('number', 'desc')
    .limit(1)
    .executeTakeFirst();
  if (!row) return { organizationId, number: 0, hash: noHash, to: { xid: 0n, seq: 0n }, keyId: null };
  const to = { xid: BigInt(row.to_xid), seq: BigInt(row.to_seq) };
  return { organizationId, number: row.number, hash: row.hash, to, keyId: row.key_id };
}

/** A chain whose last seal was signed by another key names the new one first, signed by the old. */
async function handOver(tx: Tx, sealer: Sealer, head: Head, key: SigningKey, now: Date): Promise<Head> {
  if (head.keyId === null || head.keyId === key.id) return head;
  const old = await readSigningKey(tx, sealer, head.keyId);
  return append(tx, head, old, now, {
    class: 'administrative',
    from: head.to,
    to: head.to,
    entries: Buffer.alloc(0),
    introducesKey: key.id,
  });
}

async function append(
  tx: Tx,
  head: Head,
  key: SigningKey,
  now: Date,
  part: Pick<SealContent, 'class' | 'from' | 'to' | 'entries' | 'introducesKey'>,
): Promise<Head> {
  const seal: SealContent = {
    ...part,
    organizationId: head.organizationId,
    number: head.number + 1,
    previousHash: head.hash,
    keyId: key.id,
    sealedAt: String(now.getTime()),
  };
  const text = Buffer.from(sealText(seal));
  const hash = sha256(text);
  await tx
    .insertInto('audit_seals')
    .values({
      organization_id: seal.organizationId,
      number: seal.number,
      class: seal.class,
      from_xid: String(seal.from.xid),
      from_seq: Number(seal.from.seq),
      to_xid: String(seal.to.xid),
      to_seq: Number(seal.to.seq),
      record_count: entryCount(seal),
      entries: seal.entries,
      previous_hash: seal.previousHash,
      hash,
      introduces_key: seal.introducesKey,
      key_id: seal.keyId,
      signature: sign(null, text, key.privateKey),
      sealed_at: now,
    })
    .execute();
  return { organizationId: seal.organizationId, number: seal.number, hash, to: seal.to, keyId: key.id };
}
