/**
 * Live events: one reader per process follows the event table, of all organizations, and hands each subscriber what is
 * new in its own; a listener is never given anything else. It reads
 * only rows of transactions below the oldest that is still open, so the order (xid, seq) never changes behind a
 * reader and nothing is skipped; a client resumes with the id of the last event that it saw.
 */
import { sql } from 'kysely';
import type { JsonObject } from '../../base/json.ts';
import type { Db, Reader } from '../db/db.ts';

export interface LiveEvent {
  /** `<xid>-<seq>`: what `Last-Event-ID` carries. */
  id: string;
  organization_id: string;
  type: string;
  task_id: string | null;
  root_task_id: string | null;
  run_id: string | null;
  /** The project of the task that it is about: decides who may hear of it. */
  project_id: string | null;
  actor: string;
  request_id: string | null;
  data: JsonObject;
  created_at: string;
}

export interface Position {
  xid: string;
  seq: string;
}

/** Largest values of the database's types xid8 and bigint. */
const maxXid = 2n ** 64n - 1n;
const maxSeq = 2n ** 63n - 1n;

/** Reads `Last-Event-ID`; null when it is not one of ours. */
export function parsePosition(id: string): Position | null {
  const match = /^(\d{1,20})-(\d{1,19})$/.exec(id);
  if (!match) return null;
  const [xid, seq] = [match[1] as string, match[2] as string];
  return BigInt(xid) <= maxXid && BigInt(seq) <= maxSeq ? { xid, seq } : null;
}

/** Whether a position lies after another. */
export const isAfter = (a: Position, b: Position): boolean =>
  a.xid === b.xid ? BigInt(a.seq) > BigInt(b.seq) : BigInt(a.xid) > BigInt(b.xid);

interface EventRow {
  xid: string;
  seq: string;
  organization_id: string;
  type: string;
  task_id: string | null;
  root_task_id: string | null;
  run_id: string | null;
  project_id: string | null;
  actor: string;
  request_id: string | null;
  data: JsonObject;
  created_at: Date;
}

/** Up to `limit` events after a position, in order. */
export async function readEvents(
  db: Reader,
  after: Position,
  limit: number,
  organizationId?: string,
): Promise<LiveEvent[]> {
  const { rows } = await sql<EventRow>`
    select xid::text as xid, seq::text as seq, organization_id, type, task_id, root_task_id, run_id, actor, request_id, data, created_at,
      (select t.project_id from tasks t where t.id = coalesce(facts.task_id, facts.root_task_id)) as project_id
    from facts
    where (xid, seq) > (${after.xid}::text::xid8, ${after.seq}::bigint) and xid < pg_snapshot_xmin(pg_current_snapshot())
      ${organizationId ? sql`and organization_id = ${organizationId}` : sql``}
    order by facts.xid, facts.seq limit ${limit}`.execute(db);
  return rows.map(({ xid, seq, created_at, ...row }) => ({
    id: `${xid}-${seq}`,
    ...row,
    created_at: created_at.toISOString(),
  }));
}

/** Where the table ends now: a new subscriber starts here. */
export async function readEnd(db: Reader): Promise<Position> {
  const { rows } =
    await sql<Position>`select pg_snapshot_xmin(pg_current_snapshot())::text as xid, '0' as seq`.execute(db);
  return rows[0] as Position;
}

type Listener = (events: readonly LiveEvent[]) => void;

const pageSize = 500;

export class EventTail implements AsyncDisposable {
  readonly #db: Db;
  readonly #intervalMs: number;
  readonly #onError: (error: unknown) => void;
  /** By organization. */
  readonly #listeners = new Map<string, Set<Listener>>();
  #position: Position | null = null;
  #timer: NodeJS.Timeout | null = null;
  #reading: Promise<void> | null = null;

  /** @param intervalMs how often the table is looked at while anybody listens. */
  constructor(db: Db, onError: (error: unknown) => void, intervalMs = 100) {
    this.#db = db;
    this.#onError = onError;
    this.#intervalMs = intervalMs;
  }

  /**
   * Starts to hand over everything of the organization after the present end; resolves with that position once it is certain. Reads are
   * shared and never overlap, so the position only moves forward, also when many subscribe at the same moment.
   */
  async subscribe(organizationId: string, listener: Listener): Promise<{ from: Position; stop: () => void }> {
    await this.#read();
    const from = this.#position as Position;
    const listeners = this.#listeners.get(organizationId) ?? new Set();
    this.#listeners.set(organizationId, listeners.add(listener));
    this.#schedule();
    const stop = () => {
      listeners.delete(listener);
      if (listeners.size === 0 && this.#listeners.get(organizationId) === listeners)
        this.#listeners.delete(organizationId);
    };
    return { from, stop };
  }

  #schedule(): void {
    if (this.#timer || this.#listeners.size === 0) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      void this.#read()
        .catch(this.#onError)
        .finally(() => this.#schedule());
    }, this.#intervalMs);
  }

  #read(): Promise<void> {
    this.#reading ??= this.#readOnce().finally(() => {
      this.#reading = null;
    });
    return this.#reading;
  }

  async #readOnce(): Promise<void> {
    if (this.#listeners.size === 0) {
      this.#position = await readEnd(this.#db);
      return;
    }
    for (;;) {
      const events = await readEvents(this.#db, this.#position as Position, pageSize);
      const last = events.at(-1);
      if (!last) return;
      this.#position = parsePosition(last.id);
      this.#hand(events);
      if (events.length < pageSize) return;
    }
  }

  #hand(events: readonly LiveEvent[]): void {
    const byOrganization = Map.groupBy(events, event => event.organization_id);
    for (const [organizationId, own] of byOrganization)
      for (const listener of this.#listeners.get(organizationId) ?? []) listener(own);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listeners.clear();
    if (this.#timer) clearTimeout(this.#timer);
    await this.#reading?.catch(() => {});
  }
}
