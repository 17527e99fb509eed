/** What every answer of the server keeps, whatever it was asked. */
import assert from 'node:assert/strict';

export interface Answer {
  status: number;
  headers: Headers;
  /** Empty for streams, which are closed when their head has come. */
  text: string;
}

/** Insides of the server that no answer shows. */
const leaks: [RegExp, string][] = [
  [/\bat (?:async )?[\w.<>]+ \((?:file:|\/|node:)/, 'a stack trace'],
  [/file:\/\/\/|\/node_modules\/|\/src\/(?:features|platform|base|drivers)\//, 'a path of the program'],
  [
    /syntax error at or near|relation "|column "|violates (?:unique|check|foreign|not-null|row-level)|duplicate key/i,
    'an error of the database',
  ],
  [/\bselect .{1,80} from \b|\binsert into "?\w+"? \(/i, 'a query'],
  [/postgres(?:ql)?:\/\/|BEGIN [A-Z ]*PRIVATE KEY|\$argon2/, 'a secret'],
  [
    /TypeError|ReferenceError|RangeError|SyntaxError|ZodError|PostgresError|ECONNREFUSED|Cannot read propert/,
    'an error of the program',
  ],
];

/**
 * 2xx or 4xx; a refusal is a problem document with a code and the request's id; nothing of the inside is shown.
 * @param echoed what the caller sent, which a list may well show again. @param asked for the message.
 */
export function checkAnswer(answer: Answer, echoed = '', asked = ''): void {
  const { status, headers, text } = answer;
  const shown = `${asked} ${status} ${text.slice(0, 500)}`;
  const within = [200, 204, 304].includes(status) || (status >= 400 && status < 500);
  // People are sent on within this server, and nowhere else.
  const sentOn = status === 303 && /^\/(?![/\\])/.test(headers.get('location') ?? '');
  assert.ok(within || sentOn, `${shown} ${headers.get('location') ?? ''}`);
  const id = headers.get('x-request-id');
  assert.match(id ?? '', /^[A-Za-z0-9_.-]{1,100}$/, 'the request has an id');
  assert.equal(headers.get('x-content-type-options'), 'nosniff');
  assert.equal(
    headers.get('set-cookie')?.includes('a=b') ?? false,
    false,
    'no header of the caller comes back',
  );
  if (status >= 400) checkProblem(answer, id);
  for (const [pattern, what] of leaks) {
    const found = pattern.exec(text)?.[0];
    if (found && !echoed.includes(found)) assert.fail(`the answer shows ${what}: ${shown}`);
  }
}

function checkProblem({ status, headers, text }: Answer, id: string | null): void {
  assert.match(headers.get('content-type') ?? '', /^application\/problem\+json/, text.slice(0, 300));
  const problem = JSON.parse(text) as Record<string, unknown>;
  assert.equal(problem.status, status);
  assert.match(String(problem.code), /^[a-z][a-z0-9_]+$/);
  assert.equal(problem.type, `urn:guildhall:problem:${problem.code}`);
  assert.equal(problem.request_id, id);
  assert.notEqual(problem.code, 'internal_error');
  assert.ok(text.length < 64 * 1024, 'a refusal is short');
}
