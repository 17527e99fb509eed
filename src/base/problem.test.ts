import assert from 'node:assert/strict';
import { test } from 'node:test';
import { messageOf, Problem, type ProblemKind, problemKinds, toProblem } from './problem.ts';

test('every kind has a status of its class and says whether a retry is any use', () => {
  for (const [kind, { status, retryable }] of Object.entries(problemKinds)) {
    const problem = new Problem(kind as ProblemKind, 'some_code', 'Some sentence.');
    assert.equal(problem.status, status);
    assert.equal(problem.retryable, retryable);
    assert.ok(status >= 400 && status < 600);
    // What may pass by itself is too much or not there just now, never something wrong with the request.
    assert.equal(retryable, status === 429 || status === 503, kind);
  }
});

test('NET-06 what is not a problem becomes a bug whose message stays inside', () => {
  const cause = new Error('relation "tasks" does not exist at /srv/secret.ts:1');
  const problem = toProblem(cause);
  assert.equal(problem.kind, 'bug');
  assert.equal(problem.status, 500);
  assert.equal(problem.cause, cause);
  assert.doesNotMatch(problem.message, /tasks|secret/);
  assert.equal(problem.detail, undefined);
});

test('a problem stays what it is, with a status of its own where it has one', () => {
  const problem = new Problem('invalid', 'body_too_large', 'Too large.', {
    status: 413,
    retryAfterSeconds: 3,
  });
  assert.equal(toProblem(problem), problem);
  assert.equal(problem.status, 413);
  assert.equal(problem.retryAfterSeconds, 3);
});

test('anything that was thrown has a message', () => {
  assert.deepEqual([new Error('a'), 'b', 3, null].map(messageOf), ['a', 'b', '3', 'null']);
});
