/** What a finished task tree left behind, and the proof that a killed one left the same. */
import assert from 'node:assert/strict';
import { git } from '../harness/app.ts';
import type { TestDatabase } from '../harness/database.ts';
import type { WireTeam } from '../harness/wire-team.ts';

type Steps = Awaited<ReturnType<typeof readSteps>>;

/** The journal of a task tree, whole rows. */
export function readSteps(database: TestDatabase, rootTaskId: string) {
  return database.db
    .selectFrom('steps as s')
    .innerJoin('tasks as t', 't.id', 's.task_id')
    .innerJoin('agents as a', 'a.id', 't.agent_id')
    .where('t.root_task_id', '=', rootTaskId)
    .selectAll('s')
    .select('a.name as agent')
    .orderBy('a.name')
    .orderBy('s.run_id')
    .orderBy('s.seq')
    .execute();
}

export interface Result {
  state: string;
  reason: string | null;
  /** `agent seq kind name outcome`, the whole tree. */
  steps: string[];
  /** The repaired file on the delivered branch, and how many commits the branch has over its base. */
  file: string;
  commits: number;
  /** `kind outcome` of the checks that the server ran. */
  checks: string[];
}

export async function readResult(
  database: TestDatabase,
  taskId: string,
  repository: string,
): Promise<Result> {
  const { db } = database;
  const task = await db.selectFrom('tasks').selectAll().where('id', '=', taskId).executeTakeFirstOrThrow();
  const checks = await db
    .selectFrom('checks as c')
    .innerJoin('tasks as t', 't.id', 'c.task_id')
    .where('t.root_task_id', '=', taskId)
    .select(['c.kind', 'c.outcome'])
    .orderBy('c.created_at')
    .orderBy('c.kind')
    .execute();
  const branch = `guildhall/${taskId}`;
  return {
    state: task.state,
    reason: task.state_reason,
    steps: (await readSteps(database, taskId)).map(
      s => `${s.agent} ${s.seq} ${s.kind} ${s.name} ${s.outcome}`,
    ),
    file: await git(repository, 'show', `${branch}:sum.js`),
    commits: Number(await git(repository, 'rev-list', '--count', `main..${branch}`)),
    checks: checks.map(check => `${check.kind} ${check.outcome}`),
  };
}

/** @param before the journal at the moment of the kill. */
export async function requireSameEnd(
  database: TestDatabase,
  team: WireTeam,
  taskId: string,
  repository: string,
  undisturbed: Result,
  before: Steps,
): Promise<void> {
  assert.deepEqual(await readResult(database, taskId, repository), undisturbed);
  const after = await readSteps(database, taskId);
  requireKept(before, after);
  requireGapless(after);
  requireOneKeyPerCall(after, team);
  await requireClearBooks(database, taskId, after);
}

function requireKept(before: Steps, after: Steps): void {
  const rows = new Map(after.map(step => [`${step.run_id}:${step.seq}`, step]));
  for (const step of before) {
    assert.deepEqual(
      rows.get(`${step.run_id}:${step.seq}`),
      step,
      'a journaled step was repeated or rewritten',
    );
  }
}

function requireGapless(steps: Steps): void {
  for (const runId of new Set(steps.map(step => step.run_id))) {
    const own = steps.filter(step => step.run_id === runId);
    assert.deepEqual(
      own.map(step => step.seq),
      own.map((_, i) => i),
    );
    const tokens = own.map(step => step.fencing_token);
    assert.deepEqual(
      tokens,
      [...tokens].sort((a, b) => a - b),
      'an older token wrote after a newer one',
    );
  }
}

/** An outside call is made again only under the same key, and then it is the same call. */
function requireOneKeyPerCall(steps: Steps, team: WireTeam): void {
  const runs = new Set(steps.map(step => step.run_id));
  const calls = team.calls.filter(call => runs.has(call.key.split(':')[0] ?? ''));
  const bodies = new Map<string, Set<string>>();
  for (const call of calls) bodies.set(call.key, (bodies.get(call.key) ?? new Set()).add(call.text));
  const journaled = steps.filter(step => step.kind === 'model').map(step => step.idempotency_key);
  assert.deepEqual([...bodies.keys()].sort(), journaled.sort());
  for (const [key, texts] of bodies) assert.equal(texts.size, 1, `different calls under ${key}`);
  const repeated = calls.length - bodies.size;
  assert.ok(repeated <= 1, `${repeated} calls were repeated after one kill`);
}

async function requireClearBooks({ db }: TestDatabase, taskId: string, steps: Steps): Promise<void> {
  const usage = await db.selectFrom('usage_records').selectAll().where('root_task_id', '=', taskId).execute();
  assert.deepEqual(
    usage.map(record => record.idempotency_key).sort(),
    steps
      .filter(step => step.kind === 'model')
      .map(step => step.idempotency_key)
      .sort(),
    'one usage record for each model step',
  );
  const runIds = [...new Set(steps.map(step => step.run_id))];
  const open = await db
    .selectFrom('reservations')
    .selectAll()
    .where('run_id', 'in', runIds)
    .where('state', '=', 'open')
    .execute();
  assert.deepEqual(open, []);
  const budget = await db
    .selectFrom('budgets')
    .selectAll()
    .where('scope_id', '=', taskId)
    .executeTakeFirstOrThrow();
  const spent = usage.reduce((sum, record) => sum + (record.cost_micros ?? Number.NaN), 0);
  assert.deepEqual([budget.spent_micros, budget.reserved_micros], [spent, 0]);
}
