import assert from 'node:assert/strict';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import { after, test } from 'node:test';
import pino from 'pino';
import { openTestDatabase } from '../../../test/harness/database.ts';
import { type EventClient, openEvents, untilSettled } from '../../../test/harness/events.ts';
import { transact } from '../db/db.ts';
import { createServer } from '../http/server.ts';
import { appendEvent, type Subject } from '../journal/facts.ts';
import { streamEvents } from './sse.ts';
import { EventTail } from './tail.ts';

const database = await openTestDatabase();
const { db, tenants } = database;
const tail = new EventTail(db, () => {}, 10);
const server = await createServer({ log: pino({ level: 'silent' }), version: '0.0.0', https: false });
let allowed = true;
server.get('/events', async (request, reply) => {
  const { after: lastEventId, root } = request.query as { after?: string; root?: string };
  await streamEvents(tenants, tail, request, reply, {
    organizationId: 'org_a',
    rootTaskId: root ?? null,
    lastEventId: (request.headers['last-event-id'] as string | undefined) ?? lastEventId ?? null,
    mayHear: () => true,
    stillAllowed: async () => allowed,
    keepAliveMs: 50,
    stallLimitMs: 2_000,
  });
});
const url = `${await server.listen({ host: '127.0.0.1', port: 0 })}/events`;
/** Ports of the clients that the server is connected with. */
const connected = new Set<number>();
server.server.on('connection', (socket: Socket) => {
  const port = socket.remotePort as number;
  connected.add(port);
  socket.on('close', () => connected.delete(port));
});
/** Requests that the server has not finished with. */
let answering = 0;
server.server.on('request', (_request: IncomingMessage, response: ServerResponse) => {
  answering += 1;
  response.once('close', () => {
    answering -= 1;
  });
});
const clients: EventClient[] = [];
const sockets: Socket[] = [];
after(async () => {
  for (const client of clients) client.close();
  for (const socket of sockets) socket.destroy();
  await tail[Symbol.asyncDispose]();
  await server.close();
  await database[Symbol.asyncDispose]();
});

async function open(query = '', headers: Record<string, string> = {}): Promise<EventClient> {
  await untilSettled(db);
  const client = await openEvents(`${url}${query}`, headers);
  clients.push(client);
  return client;
}

/** Asks for events and reads none. @returns its port. */
function stall(query: string): Promise<number> {
  const { port, hostname } = new URL(url);
  return new Promise(resolve => {
    const socket = connect({ host: hostname, port: Number(port) }, () => {
      socket.pause();
      socket.write(`GET /events${query} HTTP/1.1\r\nHost: x\r\n\r\n`, () =>
        resolve(socket.localPort as number),
      );
    });
    socket.on('error', () => {});
    sockets.push(socket);
  });
}

const append = (organizationId: string, types: string[], subject: Subject = {}, data = {}): Promise<void> =>
  transact(db, async tx => {
    const actor = { id: 'system', organizationId, requestId: 'req_sse' };
    for (const type of types) await appendEvent(tx, actor, new Date(), type, subject, data);
  });
const typesOf = (client: EventClient): string[] => client.seen.map(event => event.type);

test('events come in order, live, with id, type and content', async () => {
  const client = await open();
  await append('org_a', ['a.one', 'a.two'], { task_id: 'task_1' }, { text: 'line\nbreak' });
  await append('org_a', ['a.three']);
  await client.until(3);
  assert.deepEqual(typesOf(client), ['a.one', 'a.two', 'a.three']);
  const first = client.seen[0];
  assert.match(first?.id ?? '', /^\d+-\d+$/);
  assert.equal(first?.data.task_id, 'task_1');
  assert.deepEqual(first?.data.data, { text: 'line\nbreak' });
  assert.equal('organization_id' in (first?.data ?? {}), false);
});

test('who comes back with the last id is given exactly what was missed, then what is new', async () => {
  const client = await open();
  await append('org_a', ['b.one', 'b.two']);
  await client.until(2);
  const last = client.seen[0]?.id as string;
  client.close();
  await append('org_a', ['b.three']);
  for (const again of [await open('', { 'last-event-id': last }), await open(`?after=${last}`)]) {
    await again.until(2);
    await append('org_a', ['b.new']);
    await again.until(event => event.type === 'b.new');
    assert.deepEqual(typesOf(again).slice(0, 3), ['b.two', 'b.three', 'b.new']);
    assert.equal(new Set(again.seen.map(e => e.id)).size, again.seen.length);
    again.close();
    await again.ended;
  }
});

test('many who come back while events are written miss none and see none twice', async () => {
  let writing = true;
  const writer = (async () => {
    for (let i = 0; writing; i++) await append('org_a', [`c.${i}`]);
  })();
  const all = await Promise.all(Array.from({ length: 6 }, () => open('?after=0-0')));
  await new Promise(resolve => setTimeout(resolve, 200));
  writing = false;
  await writer;
  await append('org_a', ['c.end']);
  for (const client of all) await client.until(event => event.type === 'c.end');
  const expected = (
    await db
      .selectFrom('events')
      .select('type')
      .where('organization_id', '=', 'org_a')
      .orderBy('xid')
      .orderBy('seq')
      .execute()
  ).map(e => e.type);
  for (const client of all) assert.deepEqual(typesOf(client), expected);
  for (const client of all) client.close();
});

test('a replay longer than a page is whole', async () => {
  const start = await open();
  await append('org_a', ['d.start']);
  await start.until(1);
  const types = Array.from({ length: 1_100 }, (_, i) => `d.${i}`);
  await append('org_a', types, {}, { filler: 'x'.repeat(900) });
  const client = await open(`?after=${start.seen[0]?.id}`);
  await client.until(types.length);
  assert.deepEqual(typesOf(client), types);
  client.close();
  start.close();
});

test('events of another organization, or of another tree when one is asked for, never appear', async () => {
  const [everything, tree] = [await open('?after=0-0'), await open('?root=task_r')];
  await append('org_b', ['e.foreign', 'e.foreign'], { root_task_id: 'task_r' });
  await append('org_a', ['e.elsewhere'], { root_task_id: 'task_q' });
  await append('org_a', ['e.mine'], { root_task_id: 'task_r' });
  await everything.until(event => event.type === 'e.mine');
  await tree.until(1);
  assert.deepEqual(typesOf(tree), ['e.mine']);
  assert.ok(!typesOf(everything).includes('e.foreign'));
  const replayed = await open('?after=0-0&root=task_r');
  await replayed.until(1);
  assert.deepEqual(typesOf(replayed), ['e.mine']);
  for (const client of [everything, tree, replayed]) client.close();
});

test('a client that does not read is cut off, live or in a replay; the others see everything', async () => {
  const stalled = await Promise.all(['', '?after=0-0'].map(stall));
  const reader = await open();
  const count = 400;
  // 50 MB, more than the buffers of the system and our own hold together.
  for (let i = 0; i < count; i += 20) {
    const types = Array.from({ length: 20 }, (_, n) => `f.${i + n}`);
    await append('org_a', types, {}, { filler: 'x'.repeat(128_000) });
  }
  await reader.until(count);
  assert.deepEqual(
    typesOf(reader),
    Array.from({ length: count }, (_, n) => `f.${n}`),
  );
  for (let i = 0; i < 600 && stalled.some(port => connected.has(port)); i++) {
    await new Promise(resolve => setTimeout(resolve, 20));
  }
  assert.deepEqual(
    stalled.map(port => connected.has(port)),
    [false, false],
  );
  reader.close();
});

test('a client whose credential is no longer good is cut off', async () => {
  const client = await open();
  allowed = false;
  await client.ended;
  allowed = true;
  await append('org_a', ['g.secret']);
  assert.deepEqual(typesOf(client), []);
});

test('an id that this stream never gave is refused before the stream begins', async () => {
  for (const wrong of ['x', '1', '-1--1', '99999999999999999999-1', "1-1'; drop table events"]) {
    const response = await fetch(url, { headers: { 'last-event-id': wrong } });
    assert.equal(response.status, 400, wrong);
    assert.equal(((await response.json()) as { code: string }).code, 'last_event_id_invalid');
  }
});

test('an id from before the database was made anew gives what happens from now on', async () => {
  const client = await open('?after=18446744073709551615-9223372036854775807');
  await append('org_a', ['h.now']);
  await client.until(1);
  assert.deepEqual(typesOf(client), ['h.now']);
  client.close();
});

test('a closed stream leaves nothing behind', async () => {
  for (const client of clients) client.close();
  for (let i = 0; i < 20; i++) {
    const client = await open();
    client.close();
    await client.ended;
  }
  for (let i = 0; i < 200 && answering > 0; i++) await new Promise(resolve => setTimeout(resolve, 20));
  // Connections that fetch keeps for later requests are no streams.
  assert.equal(answering, 0);
});
