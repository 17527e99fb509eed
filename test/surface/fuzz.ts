/**
 * Fuzzing from the schemas: every operation of the document gets requests that are right but for something, by
 * fast-check with a seed, so that what fails once fails again and shrinks to what matters.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { startTestApp, type TestApp } from '../harness/app.ts';
import { type Answer, checkAnswer } from './answers.ts';
import { addMember, addSession } from './callers.ts';
import { expectationOf } from './expectations.ts';
import { generousLimits } from './limits.ts';
import { type Operation, readOperations } from './operations.ts';
import { requestsTo, type Sent, send } from './requests.ts';
import { sample } from './values.ts';

export interface Target extends AsyncDisposable {
  guildhall: TestApp;
  url: string;
  operations: Operation[];
  /** With these headers a request is one of the owner. */
  headers: Record<string, string>;
  /** Sends as the owner, and checks what holds for every answer. */
  ask(operation: Operation, sent: Partial<Sent>): Promise<Answer>;
}

export async function openTarget(): Promise<Target> {
  const guildhall = await startTestApp({ roles: ['api'], env: generousLimits });
  const url = guildhall.app.url as string;
  const headers = { authorization: `Bearer ${guildhall.key}` };
  const { organizationId, ownerId } = guildhall.app.installation;
  const actor = { id: `member:${ownerId}`, organizationId, requestId: 'fuzz' };
  const person = await addMember(guildhall.database.db, actor, 'owner', new Date(), 'fuzz');
  const signIn = async () => {
    const { headers: cookie, csrfToken } = await addSession(guildhall.database.db, url, person, new Date());
    return { ...cookie, 'x-csrf-token': csrfToken };
  };
  let session = await signIn();
  return {
    guildhall,
    url,
    headers,
    operations: await readOperations(url, guildhall.key),
    ask: async (operation, sent) => {
      const full: Sent = {
        path: operation.path,
        body: undefined,
        ...sent,
        headers: { ...headers, ...sent.headers },
      };
      const ask = async () => {
        // What is a person's own, a key does not reach.
        if (isPersons(operation)) {
          const { authorization: _, ...others } = full.headers;
          full.headers = { ...others, ...session };
        }
        const answer = await send(url, operation, full);
        checkAnswer(answer, `${decoded(full.path)} ${full.body ?? ''}`, operation.name);
        return answer;
      };
      const answer = await ask();
      if (answer.status !== 401 || !isPersons(operation)) return answer;
      // Some of them end the session that they are sent with.
      session = await signIn();
      return ask();
    },
    [Symbol.asyncDispose]: () => guildhall[Symbol.asyncDispose](),
  };
}

const isPersons = (operation: Operation): boolean =>
  expectationOf(operation.name.replace(/\{(\w+)\}/g, ':$1'))?.expectation.who === 'person';

const decoded = (path: string): string => {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
};

/** Sends `numRuns` requests of the operation's schema. @returns how often each status came; 0: not let in. */
export async function fuzz(
  target: Target,
  operation: Operation,
  settings: { numRuns: number; seed: number },
): Promise<Map<number, number>> {
  const seen = new Map<number, number>();
  await fc.assert(
    fc.asyncProperty(requestsTo(operation, {}), async sent => {
      const answer = await target.ask(operation, sent);
      // Whoever is not known never reaches the route.
      const status = answer.text.includes('"sign_in_required"') ? 0 : answer.status;
      seen.set(status, (seen.get(status) ?? 0) + 1);
    }),
    { ...settings, endOnFailure: true, verbose: 0 },
  );
  const me = await fetch(`${target.url}/api/v1/me`, { headers: target.headers });
  assert.equal(
    me.status,
    200,
    `after ${operation.name} the key works no more: what comes next would prove nothing`,
  );
  return seen;
}

/** The path of an operation with this in place of every id; without one, ids of the right form that name nothing. */
export function pathWith(operation: Operation, id?: string): string {
  return operation.parameters
    .filter(p => p.in === 'path')
    .reduce((path, { name, schema }) => {
      const [made] = fc.sample(sample(schema, 0), { numRuns: 1, seed: 7 });
      return path.replace(`{${name}}`, id ?? encodeURIComponent(String(made)));
    }, operation.path);
}
