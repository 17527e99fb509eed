/**
 * Searching what was recorded, newest first: audit records, and model and tool calls from their steps. What has an
 * index (organization, and in it actor, target or request) is found by it; other conditions are tried on a bounded
 * number of rows a page. So a page never costs more than that many rows, may hold fewer items than asked for, even
 * none, and `next_cursor` tells that there is more to search.
 */
import { type RawBuilder, sql } from 'kysely';
import type { JsonObject } from '../../base/json.ts';
import { Problem } from '../../base/problem.ts';
import type { Reader } from '../../platform/db/db.ts';

export interface AuditFilter {
  actor?: string;
  action?: string;
  target?: string;
  outcome?: 'ok' | 'refused' | 'failed';
  requestId?: string;
  /** From this time on, and before that one. */
  from?: Date;
  to?: Date;
  /** Part of the actor, action, target or data, in upper or lower case. */
  text?: string;
}

export interface AuditItem {
  /** Its place, `<xid>-<seq>`, as verifying names it. */
  id: string;
  actor: string;
  action: string;
  target: string | null;
  outcome: 'ok' | 'refused' | 'failed';
  data: JsonObject;
  request_id: string | null;
  created_at: Date;
}

/** Rows of each table that one page may try. */
export const rowsPerPage = 20_000;

interface Position {
  /** Microseconds since the epoch. */
  at: bigint;
  seq: bigint;
}
type Found = AuditItem & { at: bigint; seq: bigint };

export async function searchAudit(
  db: Reader,
  organizationId: string,
  filter: AuditFilter,
  page: { cursor?: string; limit: number },
  maxRows: number = rowsPerPage,
): Promise<{ items: AuditItem[]; next_cursor: string | null }> {
  const before = page.cursor === undefined ? null : parseCursor(page.cursor);
  const sources = [recordSource(filter), stepSource(organizationId, filter)].filter(
    source => source !== null,
  );
  const searched = [];
  for (const source of sources)
    searched.push(await searchSource(db, source, organizationId, filter, before, page.limit, maxRows));
  const floors = searched.map(s => s.floor).filter(floor => floor !== null);
  const floor = floors.reduce<Position | null>((a, b) => (a && isBefore(b, a) ? a : b), null);
  // Below the highest floor one of the tables has not been searched yet.
  const found = searched
    .flatMap(s => s.found)
    .filter(item => !floor || !isBefore(item, floor))
    .sort((a, b) => (isBefore(a, b) ? 1 : -1));
  const items = found.slice(0, page.limit);
  const next = found.length > page.limit ? items.at(-1) : floor;
  return {
    items: items.map(({ at, seq, ...item }) => item),
    next_cursor: next ? `${next.at}-${next.seq}` : null,
  };
}

interface Source {
  table: 'audit_records' | 'steps';
  time: RawBuilder<unknown>;
  columns: RawBuilder<unknown>;
  /** Conditions that an index answers, with the organization before them. */
  indexed: RawBuilder<unknown>[];
  /** Conditions that rows are tried on. */
  tried: RawBuilder<unknown>[];
  /** The rows of a request: few, and found by another index than the one that has the order. */
  few: boolean;
}

const callKinds: Record<string, string> = { 'model.call': 'model', 'tool.call': 'tool' };

function recordSource(filter: AuditFilter): Source | null {
  const { actor, action, target, outcome, requestId, text } = filter;
  if (action !== undefined && Object.hasOwn(callKinds, action)) return null;
  return {
    table: 'audit_records',
    time: sql`created_at`,
    columns: sql`actor, action, target, outcome, data, request_id`,
    indexed: given([
      [actor, v => sql`actor = ${v}`],
      [target, v => sql`target = ${v}`],
      [requestId, v => sql`request_id = ${v}`],
    ]),
    tried: given([
      [action, v => sql`action = ${v}`],
      [outcome, v => sql`outcome = ${v}`],
      [text, v => contains(sql`concat_ws(' ', actor, action, target, data::text)`, v)],
    ]),
    few: requestId !== undefined,
  };
}

function stepSource(organizationId: string, filter: AuditFilter): Source | null {
  const { actor, action, target, outcome, requestId, text } = filter;
  if (action !== undefined && !Object.hasOwn(callKinds, action)) return null;
  if (actor !== undefined && !actor.startsWith('agent:')) return null;
  return {
    table: 'steps',
    time: sql`ended_at`,
    columns: sql`actor, kind || '.call' as action, name as target, outcome,
      jsonb_build_object('run_id', run_id, 'seq', steps.seq, 'task_id', task_id) as data, request_id`,
    indexed: given([
      [
        requestId,
        v =>
          sql`run_id = any (array(select id from runs where organization_id = ${organizationId} and request_id = ${v}))`,
      ],
    ]),
    tried: [
      action === undefined ? sql`kind <> 'notice'` : sql`kind = ${callKinds[action]}`,
      ...given([
        [actor, v => sql`actor = ${v}`],
        [target, v => sql`name = ${v}`],
        [outcome, v => sql`outcome = ${v}`],
        [text, v => contains(sql`concat_ws(' ', actor, kind || '.call', name, run_id, task_id)`, v)],
      ]),
    ],
    few: requestId !== undefined,
  };
}

function given(
  conditions: [string | undefined, (value: string) => RawBuilder<unknown>][],
): RawBuilder<unknown>[] {
  return conditions.flatMap(([value, condition]) => (value === undefined ? [] : [condition(value)]));
}

const contains = (words: RawBuilder<unknown>, part: string) =>
  sql`strpos(lower(${words}), lower(${part})) > 0`;

const timeOf = (at: bigint) => sql`(timestamptz 'epoch' + ${String(at)}::bigint * interval '1 microsecond')`;
const positionOf = (p: Position) => sql`(${timeOf(p.at)}, ${String(p.seq)}::bigint)`;

/** One table's part of a page. `floor`: where it stopped, when not at the end. */
async function searchSource(
  db: Reader,
  source: Source,
  organizationId: string,
  filter: AuditFilter,
  before: Position | null,
  limit: number,
  maxRows: number,
): Promise<{ found: Found[]; floor: Position | null }> {
  const { table, time } = source;
  const conditions = [
    sql`organization_id = ${organizationId}`,
    ...source.indexed,
    ...(filter.from ? [sql`${time} >= ${filter.from}`] : []),
    ...(filter.to ? [sql`${time} < ${filter.to}`] : []),
    ...(before ? [sql`(${time}, fact_seq) < ${positionOf(before)}`] : []),
  ];
  const within = sql.join(conditions, sql` and `);
  // Gathered first: in the order of time they might lie far apart.
  const rows = source.few
    ? sql`with rows as materialized (select * from ${sql.table(table)} where ${within})`
    : sql``;
  const from = source.few ? sql`rows as ${sql.table(table)}` : sql.table(table);
  const where = source.few ? [] : conditions;
  const backward = sql`order by ${time} desc, fact_seq desc`;
  let floor: Position | null = null;
  if (source.tried.length > 0) {
    const end = await sql<{ at: string; seq: string }>`
      ${rows} select (extract(epoch from ${time}) * 1000000)::bigint::text as at, fact_seq::text as seq from ${from}
      ${whereAll(where)} ${backward} offset ${maxRows - 1} limit 1`.execute(db);
    const last = end.rows[0];
    if (last) floor = { at: BigInt(last.at), seq: BigInt(last.seq) };
  }
  const reached = floor ? [sql`(${time}, fact_seq) >= ${positionOf(floor)}`] : [];
  const { rows: found } = await sql<Omit<Found, 'at' | 'seq'> & { at: string; place_seq: string }>`
    ${rows} select xid || '-' || fact_seq as id, ${source.columns}, ${time} as created_at,
      (extract(epoch from ${time}) * 1000000)::bigint::text as at, fact_seq::text as place_seq
    from ${from} ${whereAll([...where, ...source.tried, ...reached])} ${backward} limit ${limit + 1}`.execute(
    db,
  );
  return {
    found: found.map(({ at, place_seq, ...item }) => ({ ...item, at: BigInt(at), seq: BigInt(place_seq) })),
    floor,
  };
}

const whereAll = (conditions: RawBuilder<unknown>[]) =>
  conditions.length === 0 ? sql`` : sql`where ${sql.join(conditions, sql` and `)}`;

const isBefore = (a: Position, b: Position): boolean => (a.at === b.at ? a.seq < b.seq : a.at < b.at);

function parseCursor(text: string): Position {
  const match = /^(-?\d{1,18})-(\d{1,18})$/.exec(text);
  if (match) return { at: BigInt(match[1] as string), seq: BigInt(match[2] as string) };
  throw new Problem(
    'invalid',
    'cursor_invalid',
    'The cursor is none of ours: take `next_cursor` of the page before as it is.',
  );
}
