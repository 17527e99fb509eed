import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { openTestDatabase } from '../../../test/harness/database.ts';
import { addOrganization, addTask } from '../../../test/harness/organization.ts';
import { hours } from '../../base/time.ts';
import { transact } from '../../platform/db/db.ts';
import {
  type Approval,
  type ApprovalRequest,
  cancelApprovals,
  decideApproval,
  expireApprovals,
  findApproval,
  listApprovals,
  payloadHash,
  requestApproval,
} from './approvals.ts';

const database = await openTestDatabase();
after(() => database[Symbol.asyncDispose]());
const { db, pool } = database;
const now = new Date(Date.UTC(2030, 0, 1));
const org = await addOrganization(db, 'approvals', now);
const foreign = await addOrganization(db, 'foreign', now);
const { actor } = org;
let serial = 0;

/** Something asked by the run of a task of its own. */
async function ask(more: Partial<ApprovalRequest> = {}): Promise<Approval> {
  const task = await addTask(db, org, now);
  const run = await db
    .selectFrom('runs')
    .select('id')
    .where('task_id', '=', task.id)
    .executeTakeFirstOrThrow();
  await pool.query('select graphile_worker.remove_job($1)', [`run.advance:${run.id}`]);
  return transact(db, tx =>
    requestApproval(tx, actor, now, {
      task,
      runId: run.id,
      callId: `call_${serial++}`,
      kind: 'question',
      question: 'Which?',
      options: [],
      payload: { question: 'Which?' },
      expiresAt: new Date(now.getTime() + hours(1)),
      ...more,
    }),
  );
}
const decide = (id: string, decision: 'approved' | 'rejected', text: string, as = actor) =>
  transact(db, tx => decideApproval(tx, as, now, id, { decision, text }));
const isWoken = async (approval: Approval) =>
  (await pool.query('select 1 from graphile_worker.jobs where key = $1', [`run.advance:${approval.run_id}`]))
    .rows.length === 1;
const read = async (a: Approval) => (await findApproval(db, a.run_id, a.call_id)) as Approval;

test('an answer is kept with who gave it, and wakes the run that waits', async () => {
  const asked = await ask();
  assert.equal(asked.state, 'pending');
  assert.equal(await isWoken(asked), false);
  const decided = await decide(asked.id, 'approved', '  the left one ');
  assert.deepEqual(
    [decided.state, decided.answer, decided.decided_by],
    ['approved', 'the left one', actor.id],
  );
  assert.equal(await isWoken(asked), true);
  const events = await db
    .selectFrom('events')
    .select('type')
    .where('run_id', '=', asked.run_id)
    .orderBy('seq')
    .execute();
  assert.deepEqual(events.map(e => e.type).slice(-2), ['approval.requested', 'approval.approved']);
  const audit = await db
    .selectFrom('audit_records')
    .select(['action', 'actor', 'data'])
    .where('target', '=', asked.id)
    .orderBy('id')
    .execute();
  assert.deepEqual(
    audit.map(a => a.action),
    ['approval.request', 'approval.decide'],
  );
  assert.equal(audit[1]?.data.payload_hash, asked.payload_hash);
});

test('asking again for the same call finds the same question', async () => {
  const asked = await ask();
  const task = await db
    .selectFrom('tasks')
    .selectAll()
    .where('id', '=', asked.task_id)
    .executeTakeFirstOrThrow();
  const again = await transact(db, tx =>
    requestApproval(tx, actor, now, {
      task,
      runId: asked.run_id,
      callId: asked.call_id,
      kind: 'question',
      question: 'Other?',
      options: [],
      payload: 1,
      expiresAt: now,
    }),
  );
  assert.deepEqual(again, asked);
});

test('a decision is bound to exactly what was asked: anything else has another hash', () => {
  const asked = { tool: 'run_command', arguments: { command: 'npm test', timeout_seconds: 60 } };
  const hash = payloadHash(asked);
  assert.equal(
    payloadHash({ arguments: { timeout_seconds: 60, command: 'npm test' }, tool: 'run_command' }),
    hash,
  );
  for (const other of [
    { ...asked, tool: 'write_file' },
    { ...asked, arguments: { ...asked.arguments, command: 'npm test ' } },
    { ...asked, arguments: { ...asked.arguments, timeout_seconds: 61 } },
    { ...asked, arguments: { ...asked.arguments, cwd: '/' } },
    { ...asked, arguments: [asked.arguments] },
  ]) {
    assert.notEqual(payloadHash(other), hash);
  }
});

test('of two people who decide at the same moment one decides, the other hears so', async () => {
  const asked = await ask();
  const answers = await Promise.allSettled(
    Array.from({ length: 10 }, (_, i) => decide(asked.id, i % 2 ? 'approved' : 'rejected', `answer ${i}`)),
  );
  assert.equal(answers.filter(a => a.status === 'fulfilled').length, 1);
  for (const lost of answers.flatMap(a => (a.status === 'rejected' ? [a.reason] : []))) {
    assert.deepEqual([lost.code, lost.status], ['approval_decided', 409]);
  }
});

test('a rejection needs a reason, a question an answer, and one of those that were offered', async () => {
  const open = await ask();
  await assert.rejects(decide(open.id, 'rejected', '  '), { code: 'reason_required', status: 422 });
  await assert.rejects(decide(open.id, 'approved', ''), { code: 'answer_required' });
  const choice = await ask({ options: ['left', 'right'] });
  await assert.rejects(decide(choice.id, 'approved', 'up'), {
    code: 'answer_not_offered',
    message: /left, right/,
  });
  assert.equal((await decide(choice.id, 'approved', 'right')).answer, 'right');
  const call = await ask({ kind: 'tool_call' });
  assert.equal((await decide(call.id, 'approved', '')).state, 'approved', 'a tool call needs none');
  assert.equal((await read(open)).state, 'pending');
  assert.equal(await isWoken(open), false);
});

test('what nobody decides in time expires, wakes the run, and can be decided no more', async () => {
  const [due, later] = [await ask(), await ask({ expiresAt: new Date(now.getTime() + hours(2)) })];
  const sweep = (at: Date) => transact(db, tx => expireApprovals(tx, at));
  await sweep(new Date(now.getTime() + hours(1) - 1));
  assert.equal((await read(due)).state, 'pending');
  await sweep(new Date(now.getTime() + hours(1)));
  assert.equal((await read(due)).state, 'expired');
  assert.equal((await read(later)).state, 'pending');
  assert.equal(await isWoken(due), true);
  assert.equal((await read(due)).decided_by, 'system');
  await assert.rejects(decide(due.id, 'approved', 'late'), { code: 'approval_decided' });
});

test('a run that ends takes its questions with it', async () => {
  const asked = await ask();
  await transact(db, tx => cancelApprovals(tx, actor, now, asked.run_id));
  assert.equal((await read(asked)).state, 'cancelled');
  await assert.rejects(decide(asked.id, 'approved', 'x'), { code: 'approval_decided' });
});

test('people of another organization neither see nor decide it', async () => {
  const asked = await ask();
  await assert.rejects(decide(asked.id, 'approved', 'x', foreign.actor), {
    code: 'approval_missing',
    status: 404,
  });
  assert.deepEqual(await listApprovals(db, foreign.actor, { limit: 100 }), []);
  assert.ok((await listApprovals(db, actor, { state: 'pending', limit: 100 })).some(a => a.id === asked.id));
});

test('a decision in a transaction that fails decides nothing and wakes nobody', async () => {
  const asked = await ask();
  await assert.rejects(
    transact(db, async tx => {
      await decideApproval(tx, actor, now, asked.id, { decision: 'approved', text: 'x' });
      throw new Error('no');
    }),
  );
  assert.equal((await read(asked)).state, 'pending');
  assert.equal(await isWoken(asked), false);
});
