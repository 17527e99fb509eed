/**
 * Tokens of runs: an agent is a principal too, but only while its run is under way, and only for the task of that run
 * and the tasks that it gave to others. The token is random, of it only the hash is kept, and it is asked for with
 * every request whether the run still lives: what an agent holds is worth nothing outside of its run.
 */
import { sql } from 'kysely';
import { minutes } from '../../base/time.ts';
import type { Tx } from '../../platform/db/db.ts';
import { type Actor, appendAudit } from '../../platform/journal/facts.ts';
import { hashOf, newToken } from './credentials.ts';
import type { Finding } from './find-principal.ts';
import { noReach, type Principal } from './principal.ts';

export const runTokenLifeMs = minutes(15);

/** Tasks below its own that an agent sees at most. */
const tasksMost = 1_000;

/** @returns a token that is good for 15 minutes, for this run, while it is running or waiting. */
export async function issueRunToken(tx: Tx, actor: Actor, now: Date, runId: string): Promise<string> {
  const token = newToken('ghr');
  await tx.deleteFrom('run_tokens').where('run_id', '=', runId).where('expires_at', '<=', now).execute();
  await tx
    .insertInto('run_tokens')
    .values({
      token_hash: hashOf(token),
      organization_id: actor.organizationId,
      run_id: runId,
      created_at: now,
      expires_at: new Date(now.getTime() + runTokenLifeMs),
    })
    .execute();
  await appendAudit(tx, actor, now, 'run_token.issue', runId, 'ok');
  return token;
}

/** The agent behind a run's token; null when it has expired or the run is over. */
export async function findRunOfToken(finding: Finding, token: string): Promise<Principal | null> {
  const { db, now, requestId } = finding;
  const run = await db
    .selectFrom('run_tokens as k')
    .innerJoin('runs as r', 'r.id', 'k.run_id')
    .innerJoin('agents as a', 'a.id', 'r.agent_id')
    .where('k.token_hash', '=', hashOf(token))
    .where('k.expires_at', '>', now)
    .where('r.state', 'in', ['running', 'waiting'])
    .select(['r.id', 'r.task_id', 'r.organization_id', 'r.agent_id', 'a.name'])
    .executeTakeFirst();
  if (!run) return null;
  const { rows } = await sql<{ id: string }>`
    with recursive below as (
      select id from tasks where id = ${run.task_id}
      union all
      select t.id from tasks t join below on t.parent_task_id = below.id
    ) select id from below limit ${tasksMost}`.execute(db);
  return {
    actor: { id: `agent:${run.agent_id}`, organizationId: run.organization_id, requestId },
    subject: { kind: 'agent', id: run.agent_id, name: run.name, role: 'none' },
    member: null,
    clearance: 'public',
    reach: noReach,
    narrowing: null,
    scopes: [],
    atInstallation: false,
    run: { runId: run.id, taskId: run.task_id, taskIds: new Set(rows.map(row => row.id)) },
    session: null,
    via: 'run',
    csrfToken: null,
    apiKeyId: null,
  };
}
