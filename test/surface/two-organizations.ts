/**
 * Two organizations with the same shapes of everything, each with a word of its own in every text, and one who goes
 * through all routes of the API with the other's ids. What is a leak: an answer that holds the other's word or an id
 * of it that the request did not name, and a row of the other that is not as it was.
 */
import { createHash } from 'node:crypto';
import { sql } from 'kysely';
import { newId } from '../../src/base/ids.ts';
import { type Db, transact } from '../../src/platform/db/db.ts';
import type { TestApp } from '../harness/app.ts';
import { addOrganization, type Organization } from '../harness/organization.ts';
import type { RecordedRoute } from '../harness/routes.ts';
import { expectationOf, ofThePage } from './expectations.ts';
import { readOperations } from './operations.ts';
import { send } from './requests.ts';
import { addThings, type Things } from './things.ts';

export interface Side extends Organization {
  /** In every text of the organization and nowhere else. */
  word: string;
  /** Micro-dollars that its one call has cost. */
  cost: number;
  things: Things;
}

export async function addSide(guildhall: TestApp, word: string, cost: number): Promise<Side> {
  const { db } = guildhall.database;
  const now = new Date();
  const made = await addOrganization(db, word, now);
  const team = await db
    .selectFrom('teams')
    .select('id')
    .where('organization_id', '=', made.organizationId)
    .executeTakeFirstOrThrow();
  const home = { ...made, teamId: team.id };
  const things = await addThings(db, guildhall.app.sealer, home, word, now);
  const side = { ...made, word, cost, things };
  await addTexts(db, side, now);
  return side;
}

/** What a task leaves behind, with the word in it: steps, checks, the delivered change, messages, usage, events. */
async function addTexts(db: Db, of: Side, now: Date): Promise<void> {
  const { organizationId, things, word } = of;
  const [task, run] = [things.task, things.run];
  const row = { organization_id: organizationId, created_at: now };
  await transact(db, async tx => {
    await tx.updateTable('tasks').set({ title: word, summary: word }).where('id', '=', task).execute();
    await tx.updateTable('approvals').set({ question: word }).where('id', '=', things.approval).execute();
    await tx.updateTable('dead_letters').set({ reason: word }).where('id', '=', things.dead_letter).execute();
    await tx.updateTable('agents').set({ name: word }).where('id', '=', things.agent).execute();
    await tx.updateTable('teams').set({ name: word }).where('id', '=', things.team).execute();
    await sql`insert into steps (run_id, seq, organization_id, task_id, root_task_id, kind, name, outcome, data, idempotency_key,
        fencing_token, actor, request_id, started_at, ended_at)
      values (${run}, 0, ${organizationId}, ${task}, ${task}, 'notice', 'opening', 'ok', ${JSON.stringify({ text: word })},
        ${`${run}:0`}, 1, ${`agent:${things.agent}`}, ${word}, ${now}, ${now})`.execute(tx);
    const check = {
      task_id: task,
      round: 1,
      kind: 'command',
      commit: null,
      exit_code: 0,
      outcome: 'passed',
    } as const;
    await tx
      .insertInto('checks')
      .values({
        ...row,
        ...check,
        id: newId('chk'),
        command: word,
        passed: true,
        output: word,
        duration_ms: 1,
      })
      .execute();
    const diff = { name: 'change.diff', media_type: 'text/x-diff', content: Buffer.from(word) };
    await tx
      .insertInto('artifacts')
      .values({
        ...row,
        ...diff,
        id: newId('art'),
        task_id: task,
        sha256: createHash('sha256').update(word).digest('hex'),
      })
      .execute();
    const message = { sender: `agent:${things.agent}`, recipient_agent_id: things.agent, read_at: null };
    await tx
      .insertInto('messages')
      .values({ ...row, ...message, id: newId('msg'), task_id: task, subject: word, body: word })
      .execute();
    await sql`insert into events (organization_id, type, task_id, root_task_id, run_id, actor, request_id, data, created_at)
      values (${organizationId}, 'task.noted', ${task}, ${task}, ${run}, 'system', ${word}, ${JSON.stringify({ word })}, ${now})`.execute(
      tx,
    );
    await sql`insert into usage_records (idempotency_key, organization_id, project_id, task_id, root_task_id, run_id, agent_id, provider,
        model, input_tokens, cached_read_tokens, cached_write_tokens, output_tokens, reasoning_tokens, exact, cost_micros, created_at)
      values (${`${run}:u`}, ${organizationId}, ${things.project}, ${task}, ${task}, ${run}, ${things.agent}, 'p', ${word},
        4711, 0, 0, 0, 0, true, ${of.cost}, ${now})`.execute(tx);
  });
}

/** A digest of every row of an organization, a table each: what nobody else may change. */
export async function rowsOf(db: Db, organizationId: string): Promise<Map<string, string>> {
  const { rows: tables } = await sql<{ name: string }>`
    select c.relname as name from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'organization_id'
    where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' order by 1`.execute(db);
  const digests = new Map<string, string>();
  for (const { name } of tables) {
    const { rows } = await sql<{ digest: string | null }>`
      select md5(string_agg(t::text, '|' order by t::text)) as digest from ${sql.table(name)} t
      where organization_id = ${organizationId}`.execute(db);
    digests.set(name, rows[0]?.digest ?? '');
  }
  return digests;
}

/** Whatever tells that something is of a side: its word, its ids, what its one call has cost. */
const marksOf = (side: Side): string[] => [
  side.word,
  ...Object.entries(side.things).flatMap(([kind, id]) => (kind === 'passkey' ? [] : [id])),
  side.agentId,
  side.organizationId,
  String(side.cost),
];

export interface Visit {
  asked: number;
  /** One line each. */
  leaks: string[];
  /** Answers that are no refusal and no success. */
  broken: string[];
}

/** Goes through every route as `one`, with the ids of `other` in address, query and body, and then through its own lists. */
export async function visit(
  guildhall: TestApp,
  routes: RecordedRoute[],
  one: Side,
  other: Side,
): Promise<Visit> {
  const url = guildhall.app.url as string;
  const seen: Visit = { asked: 0, leaks: [], broken: [] };
  const marks = marksOf(other);
  const ask = async (method: string, path: string, body: unknown, more: Record<string, string> = {}) => {
    const text = body === undefined ? undefined : JSON.stringify(body);
    const headers = {
      authorization: `Bearer ${one.key}`,
      ...(text === undefined ? {} : { 'content-type': 'application/json' }),
      ...more,
    };
    const streams = /\/(?:events|ws)(?:\?|$)/.test(path);
    const answer = await send(url, { method, streams }, { path, headers, body: text });
    seen.asked += 1;
    const sent = `${path} ${text ?? ''}`;
    const found = marks.filter(mark => answer.text.includes(mark) && !sent.includes(mark));
    if (found.length > 0) seen.leaks.push(`${method} ${path}: ${answer.status} with ${found[0]}`);
    if (answer.status >= 500) seen.broken.push(`${method} ${path}: ${answer.status}`);
    return answer;
  };
  for (const { method, url: pattern } of routes) {
    const name = `${method} ${pattern}`;
    const known = expectationOf(name)?.expectation;
    if (method === 'HEAD' || !known || ofThePage.some(page => page.test(name)) || pattern.startsWith('/docs'))
      continue;
    const path = (side: Side): string => {
      const ids = [...known.ids];
      return pattern.replace(/:\w+/g, () => encodeURIComponent(side.things[ids.shift() ?? 'task']));
    };
    // Reading first: what is changed on one's own side could not be compared with anything.
    await ask(method, path(other), known.body?.(other.things));
    if (known.ids.length > 0 && known.names) await ask(method, path(one), known.body?.(other.things));
    if (known.query)
      await ask(method, `${path(one)}?${new URLSearchParams(known.query(other.things))}`, undefined);
  }
  for (const operation of await readOperations(url, one.key)) {
    if (operation.method !== 'GET' || operation.streams || operation.parameters.some(p => p.in === 'path'))
      continue;
    await ask('GET', operation.path, undefined);
    for (const { name, schema } of operation.parameters.filter(p => p.in === 'query')) {
      if (schema.type !== 'string' || schema.enum) continue;
      for (const id of new Set(marks))
        await ask('GET', `${operation.path}?${name}=${encodeURIComponent(id)}`, undefined);
    }
  }
  return seen;
}
