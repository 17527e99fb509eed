/** The two ways to live events, visited by everybody who could come: as walk.test.ts does with every other route. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { roles } from '../../src/features/identity/permissions.ts';
import { startTestApp } from '../harness/app.ts';
import { addOrganization } from '../harness/organization.ts';
import { openSocket, type SocketClient } from '../harness/socket.ts';
import { addMembers, addSession, badCredentials, type Headers } from './callers.ts';
import { malformedJson } from './corpora.ts';
import { generousLimits } from './limits.ts';
import { send } from './requests.ts';
import { addThings } from './things.ts';
import { junk } from './values.ts';

const guildhall = await startTestApp({
  roles: ['api'],
  env: { ...generousLimits, GUILDHALL_LIVE_CONNECTIONS: '1000' },
});
after(() => guildhall[Symbol.asyncDispose]());
const url = guildhall.app.url as string;
const { db } = guildhall.database;
const now = new Date();
const one = await addOrganization(db, 'one', now);
const two = await addOrganization(db, 'two', now);
const teamOf = async (organizationId: string) =>
  (
    await db
      .selectFrom('teams')
      .select('id')
      .where('organization_id', '=', organizationId)
      .executeTakeFirstOrThrow()
  ).id;
const own = await addThings(
  db,
  guildhall.app.sealer,
  { ...one, teamId: await teamOf(one.organizationId) },
  'own',
  now,
);
const foreign = await addThings(
  db,
  guildhall.app.sealer,
  { ...two, teamId: await teamOf(two.organizationId) },
  'foreign',
  now,
);
const members = await addMembers(db, one.actor, now);

/** What a subscription is answered with: `subscribed`, or the code of what stands in the way. */
async function overSocket(headers: Headers, frame: object = {}): Promise<string> {
  let socket: SocketClient;
  try {
    socket = await openSocket(`${url}/api/v1/ws`, headers);
  } catch {
    return 'handshake_refused';
  }
  socket.send({ type: 'subscribe', ...frame });
  const until = Date.now() + 10_000;
  while (socket.frames.length === 0 && Date.now() < until)
    await new Promise(resolve => setImmediate(resolve));
  const [first] = socket.frames;
  socket.close();
  await socket.closed;
  return first?.type === 'error' ? (first.code ?? 'error') : (first?.type ?? 'silence');
}

/** The code that the connection was closed with; 0 when the subscription came about. */
async function outcomeOf(socket: SocketClient): Promise<number> {
  let code: number | null = null;
  void socket.closed.then(closedWith => {
    code = closedWith;
  });
  const until = Date.now() + 10_000;
  while (code === null && !socket.frames.some(frame => frame.type === 'subscribed')) {
    if (Date.now() > until) throw new Error('a frame was neither answered nor refused within 10 s');
    await new Promise(resolve => setImmediate(resolve));
  }
  return code ?? 0;
}

async function overSse(headers: Headers, query = ''): Promise<string> {
  const sent = { path: `/api/v1/events${query}`, headers, body: undefined };
  const { status, text } = await send(url, { method: 'GET', streams: true }, sent);
  return status === 200 ? 'subscribed' : (JSON.parse(text).code as string);
}

test('IAM-01 TST-05 nobody without a credential that holds hears anything, by SSE or WebSocket', async () => {
  const bad = await badCredentials(db, one.actor, now, own.runToken);
  for (const [what, headers] of [['none', {}] as const, ...bad]) {
    assert.equal(await overSse(headers), 'sign_in_required', `SSE with ${what}`);
    assert.ok(
      ['sign_in_required', 'handshake_refused'].includes(await overSocket(headers)),
      `WebSocket with ${what}`,
    );
    assert.ok(
      ['sign_in_required', 'handshake_refused', 'ticket_invalid'].includes(
        await overSocket(headers, { ticket: own.runToken }),
      ),
      `ticket after ${what}`,
    );
  }
});

for (const role of roles) {
  test(`IAM-04 the role ${role} hears events ${role === 'none' ? 'in no way' : 'in both ways'}`, async () => {
    const { headers } = members.get(role)!;
    const expected = role === 'none' ? ['no_access', 'sign_in_required'] : ['subscribed'];
    for (const heard of [await overSse(headers), await overSocket(headers)])
      assert.ok(expected.includes(heard), heard);
  });
}

test('IAM-04 a task of another organization is not there for listeners', async () => {
  const { headers } = members.get('owner')!;
  for (const id of [foreign.task, own.task.replace(/....$/, 'zzzz')]) {
    assert.equal(await overSse(headers, `?task_id=${id}`), 'task_missing');
    assert.equal(await overSocket(headers, { task_id: id }), 'task_missing');
  }
  assert.equal(await overSse(headers, `?task_id=${own.task}`), 'subscribed');
  assert.equal(await overSocket(headers, { task_id: own.task }), 'subscribed');
});

test('X-14 a page of another site cannot listen with the session of whoever looks at it', async () => {
  const { headers } = await addSession(db, url, members.get('owner')!, now);
  assert.equal(await overSocket({ ...headers, origin: 'https://evil.example' }), 'handshake_refused');
  assert.equal(await overSocket({ ...headers, origin: url }), 'subscribed');
});

test('IAM-04 the token of a run hears nothing: an agent reads its task, not the organization', async () => {
  const headers = { authorization: `Bearer ${own.runToken}` };
  assert.equal(await overSse(headers), 'agent_not_admitted');
  assert.notEqual(await overSocket(headers), 'subscribed');
});

test('VAL-01 TST-08 whatever comes as a frame is answered or ends the connection with a reason; the server goes on', async () => {
  const { headers } = members.get('owner')!;
  const frame = fc.oneof(
    junk.map(value => JSON.stringify(value) ?? ''),
    fc
      .record({ type: fc.oneof(fc.constant('subscribe'), junk), task_id: junk })
      .map(value => JSON.stringify(value)),
    fc
      .record(
        { type: fc.constant('subscribe'), last_event_id: junk, ticket: junk, more: junk },
        { requiredKeys: ['type'] },
      )
      .map(value => JSON.stringify(value)),
    fc.constantFrom(...malformedJson.filter(body => body.length < 16_000)),
    fc.uint8Array({ maxLength: 200 }),
  );
  await fc.assert(
    fc.asyncProperty(frame, async sent => {
      const socket = await openSocket(`${url}/api/v1/ws`, headers);
      socket.sendText(typeof sent === 'string' ? sent : Uint8Array.from(sent));
      const first = await outcomeOf(socket);
      socket.close();
      // 1000 and 1001 are ours; 1002 … 1009 tell the client what it did; 1011 would be an error of the server.
      assert.ok([0, 1000, 1002, 1003, 1007, 1008, 1009].includes(first), `closed with ${first}`);
      const text = JSON.stringify(socket.frames);
      assert.doesNotMatch(
        text,
        /internal_error|TypeError|SyntaxError|\bat \w+ \(|node_modules|syntax error at/,
      );
    }),
    { numRuns: 60, seed: 20_260_401, endOnFailure: true },
  );
  assert.equal((await fetch(`${url}/livez`)).status, 200);
  assert.equal(await overSocket(headers), 'subscribed');
});
