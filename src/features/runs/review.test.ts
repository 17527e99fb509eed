/** Reviews: what checks decide, how often work goes back, and that an interrupted or overtaken review decides nothing. */
import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { brokenAdd, makeRepository } from '../../../test/harness/app.ts';
import { type Crew, giveUp, handIn, startCrew } from '../../../test/harness/crew.ts';
import { call, type Turn } from '../../../test/harness/model.ts';
import { processesWith, until } from '../../../test/harness/processes.ts';
import { systemClock } from '../../base/time.ts';
import { reviewTask } from '../checks/review.ts';

let crew: Crew;
let repository: string;
before(async () => {
  crew = await startCrew();
  repository = await makeRepository(brokenAdd);
});
after(async () => {
  await crew[Symbol.asyncDispose]();
  await rm(repository, { recursive: true, force: true });
});

const write = (content: string): Turn => ({
  calls: [call('write_file', { path: 'answer', content }), call('git_commit', { message: content })],
});
const checksOf = (taskId: string) =>
  crew.guildhall.database.db
    .selectFrom('checks')
    .select(['round', 'kind', 'outcome', 'passed'])
    .where('task_id', '=', taskId)
    .orderBy('id')
    .execute();

/** A task as it is when its review begins. */
async function putInReview(taskId: string, check: string): Promise<void> {
  await crew.guildhall.database.db
    .updateTable('tasks')
    .set({ state: 'in_review', decision: 'done', checks: [check], ended_at: null })
    .where('id', '=', taskId)
    .execute();
}

/** Nothing else on this machine sleeps exactly so long. */
const long = `41.${process.pid}`;
const sleepers = () => processesWith('sleep', long);

test('checks that fail send the work back with their report, three rounds at most, then it has failed', async () => {
  const reports: string[] = [];
  const id = await crew.give(
    (request, turn) => {
      const brief = request.messages[0]?.content[0];
      if (turn === 0 && brief?.type === 'text') reports.push(brief.text.split('## Report')[1] ?? 'none');
      return turn === 0 ? write(`round ${reports.length}`) : handIn;
    },
    { repository: { location: repository }, checks: ['cat answer; false', 'true'] },
  );
  const task = await crew.guildhall.untilTask(id, ['failed', 'succeeded']);
  assert.equal(task.state, 'failed');
  assert.match(task.state_reason, /Checks failed in all 3 rounds: `cat answer; false`/);
  assert.deepEqual(
    (await checksOf(id)).map(check => [check.round, check.passed]),
    [1, 2, 3].flatMap(round => [
      [round, false],
      [round, true],
    ]),
  );
  assert.equal(reports[0], 'none');
  assert.match(reports[1] ?? '', /`cat answer; false` failed \(exit code 1\)[\s\S]*round 1/);
  assert.match(reports[2] ?? '', /round 2/);
});

test('work that passes in its second round succeeds', async () => {
  let round = 0;
  const id = await crew.give(
    (_request, turn) => {
      if (turn === 0) round += 1;
      return turn === 0 ? write(`round ${round}`) : handIn;
    },
    { repository: { location: repository }, checks: ['grep "round 2" answer'] },
  );
  const task = await crew.guildhall.untilTask(id, ['failed', 'succeeded']);
  assert.equal(task.state, 'succeeded', task.state_reason);
  assert.equal(task.round, 2);
});

test('VAL-03 a commit about which nothing was shown is not a success', async () => {
  const id = await crew.give([write('trust me'), handIn], { repository: { location: repository } });
  const task = await crew.guildhall.untilTask(id, ['failed', 'succeeded']);
  assert.equal(task.state, 'failed');
  assert.match(task.state_reason, /Nothing was shown about the delivered commit/);
});

test('X-04 cancelling kills a check that runs, and its failure does not bring the task back', async t => {
  const id = await crew.give([write('slow'), handIn], {
    repository: { location: repository },
    checks: [`sleep ${long}`],
  });
  await until('the check runs', 20_000, () => sleepers().length > 0);
  const started = performance.now();
  assert.equal((await crew.guildhall.api('POST', `/api/v1/tasks/${id}/cancel`)).status, 200);
  await until('its processes are gone', 10_000, () => sleepers().length === 0);
  const took = performance.now() - started;
  t.diagnostic(`the check was gone after ${took.toFixed(0)} ms`);
  assert.ok(took < 2_000);
  await new Promise(resolve => setTimeout(resolve, 500));
  const task = await crew.guildhall.untilTask(id, ['cancelled'], 1);
  assert.equal(task.round, 1);
  assert.deepEqual(await checksOf(id), []);
});

test('a review that comes too late changes nothing: the task was cancelled while its check failed', async () => {
  const { database, app } = crew.guildhall;
  const id = await crew.give([giveUp]);
  await crew.guildhall.untilTask(id, ['failed']);
  // As it was when a reviewer that is now frozen began.
  await putInReview(id, 'sleep 0.3; false');
  const deps = { db: database.db, clock: systemClock, log: app.log, workshop: app.workshop };
  const review = reviewTask(deps, id, new AbortController().signal);
  await until('the check runs', 10_000, () => processesWith('sleep', '0.3').length > 0);
  await database.db.updateTable('tasks').set({ state: 'cancelled' }).where('id', '=', id).execute();
  await review;
  const task = await crew.guildhall.untilTask(id, ['cancelled'], 1);
  assert.equal(task.round, 1);
  const open = await database.db
    .selectFrom('runs')
    .selectAll()
    .where('task_id', '=', id)
    .where('ended_at', 'is', null)
    .execute();
  assert.deepEqual(open, []);
});

test('a check that the server stops itself is no verdict', async () => {
  const { database, app } = crew.guildhall;
  const id = await crew.give([giveUp]);
  await crew.guildhall.untilTask(id, ['failed']);
  await putInReview(id, `sleep ${long}`);
  const stop = new AbortController();
  const deps = { db: database.db, clock: systemClock, log: app.log, workshop: app.workshop };
  const review = reviewTask(deps, id, stop.signal);
  await until('the check runs', 10_000, () => sleepers().length > 0);
  stop.abort(new Error('the worker stops'));
  await assert.rejects(review, /the worker stops/);
  const task = await crew.guildhall.untilTask(id, ['in_review'], 1);
  assert.equal(task.round, 1);
  await crew.guildhall.api('POST', `/api/v1/tasks/${id}/cancel`);
});
