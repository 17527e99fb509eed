import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApiError } from '../../../sdk/errors.ts';
import { emptyForm, findFaults, placeProblem, toNewTask } from './new-task.ts';

const refusal = (title: string, status: number, code: string, detail?: Record<string, unknown>) =>
  new ApiError({ title, status, code, detail, request_id: null });

test('empty fields become null, empty checks disappear', () => {
  const body = toNewTask({
    ...emptyForm,
    request: ' Fix it ',
    location: ' /srv/shop ',
    checks: [
      { id: 0, command: ' npm test ' },
      { id: 1, command: ' ' },
    ],
    budget: '1.5',
  });
  assert.deepEqual(body, {
    request: 'Fix it',
    team: 'software-team',
    repository: { location: '/srv/shop', branch: null, setup: null, allow_dirty: false },
    checks: ['npm test'],
    budget_usd: 1.5,
    deadline_minutes: 240,
  });
  assert.equal(toNewTask(emptyForm).repository, null);
});

test('what the server refuses stands at the field that it is about', () => {
  const fields = [
    { path: 'body.repository.branch', message: 'too long' },
    { path: 'body.checks.0', message: 'empty' },
  ];
  assert.deepEqual(placeProblem(refusal('x', 422, 'request_invalid', { fields })), {
    branch: 'too long',
    checks: 'empty',
  });
  assert.deepEqual(placeProblem(refusal('Dirty.', 409, 'repository_dirty')), {
    location: 'Dirty.',
  });
  assert.deepEqual(placeProblem(refusal('No sandbox.', 503, 'sandbox_unavailable')), {});
});

test('only what would surely be refused is held back', () => {
  assert.deepEqual(Object.keys(findFaults(emptyForm)), ['request']);
  assert.deepEqual(findFaults({ ...emptyForm, request: 'x' }), {});
  assert.deepEqual(Object.keys(findFaults({ ...emptyForm, request: 'x', budget: 'much' })), ['budget']);
});
