import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { openTestDatabase } from '../../../test/harness/database.ts';
import { addOrganization, addTask } from '../../../test/harness/organization.ts';
import { transact } from '../../platform/db/db.ts';
import type { TaskState } from '../../platform/db/schema.ts';
import {
  endedStates,
  isEnded,
  mayMove,
  movesInto,
  openStates,
  taskActions,
  taskMoves,
} from './task-states.ts';
import { cancelTask, moveTask, pauseTask, resumeTask, retryTask, type Task } from './tasks.ts';

const database = await openTestDatabase();
after(() => database[Symbol.asyncDispose]());
const { db } = database;
const now = new Date(Date.UTC(2030, 0, 1));
const org = await addOrganization(db, 'states', now);
const states = Object.keys(taskMoves) as TaskState[];

const read = (id: string): Promise<Task> =>
  db.selectFrom('tasks').selectAll().where('id', '=', id).executeTakeFirstOrThrow();
const force = (id: string, state: TaskState) =>
  db
    .updateTable('tasks')
    .set({ state, ended_at: isEnded(state) ? now : null })
    .where('id', '=', id)
    .execute();
const move = (task: Task, to: TaskState) => transact(db, tx => moveTask(tx, org.actor, now, task, to, {}));

test('X-04 every state can be reached from the first, every open one can end, ends are left only by a new try', () => {
  assert.deepEqual(new Set(states), new Set([...endedStates, ...openStates]));
  const reached = new Set<TaskState>(['queued', 'draft']);
  for (const state of reached) for (const next of taskMoves[state]) reached.add(next);
  assert.deepEqual(reached, new Set(states));
  for (const state of openStates) {
    const seen = new Set<TaskState>([state]);
    for (const at of seen) for (const next of taskMoves[at]) seen.add(next);
    assert.ok(seen.has('succeeded') && seen.has('cancelled'), state);
    assert.ok(taskMoves[state].includes('cancelled'), `${state} can be cancelled at once`);
  }
  assert.deepEqual(taskMoves.succeeded, []);
  for (const state of endedStates)
    for (const next of taskMoves[state]) assert.ok(['queued', 'cancelled'].includes(next));
  assert.deepEqual(
    movesInto('succeeded'),
    ['in_review'],
    'success comes from a review, and from nowhere else',
  );
  for (const state of states) assert.ok(!taskMoves[state].includes(state), `${state} → ${state}`);
});

test('X-04 what a person may do is what the states allow', () => {
  const targets = { cancel: 'cancelled', pause: 'paused', resume: 'queued', retry: 'queued' } as const;
  for (const [action, from] of Object.entries(taskActions)) {
    for (const state of from)
      assert.ok(mayMove(state, targets[action as keyof typeof targets]), `${action} from ${state}`);
  }
});

for (const from of states) {
  test(`DAT-18 from ${from} a task moves only where the table says, in the database too`, async () => {
    const task = await addTask(db, org, now);
    for (const to of states) {
      await force(task.id, from);
      const before = await read(task.id);
      if (mayMove(from, to)) {
        const moved = await move(before, to);
        assert.deepEqual([moved.state, moved.version], [to, before.version + 1]);
      } else {
        await assert.rejects(
          move(before, to),
          { code: 'task_state_conflict', status: 409 },
          `${from} → ${to}`,
        );
        assert.deepEqual(await read(task.id), before);
      }
    }
  });
}

test('DAT-18 of 50 who move the same task one wins, and one event tells of it', async () => {
  const task = await addTask(db, org, now);
  const moves = await Promise.allSettled(Array.from({ length: 50 }, () => move(task, 'running')));
  assert.equal(moves.filter(m => m.status === 'fulfilled').length, 1);
  for (const lost of moves.flatMap(m => (m.status === 'rejected' ? [m.reason] : [])))
    assert.equal(lost.code, 'task_state_conflict');
  const events = await db
    .selectFrom('events')
    .select('type')
    .where('task_id', '=', task.id)
    .where('type', '=', 'task.running')
    .execute();
  assert.equal(events.length, 1);
});

test('X-04 cancel, pause, resume and retry are refused from every state that does not allow them', async () => {
  const task = await addTask(db, org, now);
  const actions = {
    cancel: () => transact(db, tx => cancelTask(tx, org.actor, now, task.id, null)),
    pause: () => transact(db, tx => pauseTask(tx, org.actor, now, task.id, null)),
    resume: () => transact(db, tx => resumeTask(tx, org.actor, now, task.id)),
    retry: () => transact(db, tx => retryTask(tx, org.actor, now, task.id)),
  };
  for (const [name, act] of Object.entries(actions)) {
    const allowed: readonly TaskState[] = taskActions[name as keyof typeof taskActions];
    for (const state of states.filter(s => !allowed.includes(s))) {
      await force(task.id, state);
      await assert.rejects(act(), (error: { code: string; detail: { allowed_from: string[] } }) => {
        assert.equal(error.code, 'task_state_conflict', `${name} from ${state}`);
        assert.deepEqual(error.detail.allowed_from, allowed);
        return true;
      });
      assert.equal((await read(task.id)).state, state);
    }
  }
});

test('a state that is none is refused by the database itself', async () => {
  const task = await addTask(db, org, now);
  await assert.rejects(force(task.id, 'done' as TaskState), { code: '23514' });
});
