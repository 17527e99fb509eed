import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { after, test } from 'node:test';
import pino from 'pino';
import { openTestDatabase } from '../../../test/harness/database.ts';
import { until } from '../../../test/harness/processes.ts';
import { openSocket } from '../../../test/harness/socket.ts';
import { systemClock } from '../../base/time.ts';
import { transact } from '../db/db.ts';
import { createServer } from '../http/server.ts';
import { appendEvent } from '../journal/facts.ts';
import { serveSocket } from './socket.ts';
import { EventTail } from './tail.ts';

const database = await openTestDatabase();
const { db, tenants } = database;
const tail = new EventTail(db, () => {}, 10);
const server = await createServer({ log: pino({ level: 'silent' }), version: '0.0.0', https: false });
let held = 0;
server.route({
  method: 'GET',
  url: '/ws',
  handler: async () => ({}),
  wsHandler: (socket, request) =>
    serveSocket(socket, {
      ...{ tenants, tail, clock: systemClock, log: request.log },
      keepAliveMs: 300,
      firstFrameMs: 300,
      subscribe: async frame => {
        held += 1;
        return {
          organizationId: 'org_a',
          rootTaskId: null,
          lastEventId: frame.last_event_id ?? null,
          mayHear: () => true,
          stillAllowed: async () => true,
          stallLimitMs: 1_000,
          ended: () => {
            held -= 1;
          },
        };
      },
    }),
});
const url = `${await server.listen({ host: '127.0.0.1', port: 0 })}/ws`;
const sockets: Socket[] = [];
after(async () => {
  for (const socket of sockets) socket.destroy();
  await tail[Symbol.asyncDispose]();
  await server.close();
  await database[Symbol.asyncDispose]();
});

/** A client that speaks by hand: it subscribes, and answers no ping. @param reads whether it reads what comes. */
function connectByHand(reads: boolean): Promise<{ port: number; gone: Promise<void> }> {
  const { hostname, port, host } = new URL(url);
  const text = Buffer.from('{"type":"subscribe"}');
  // A text frame, masked with zeros.
  const frame = Buffer.concat([Buffer.from([0x81, 0x80 | text.length, 0, 0, 0, 0]), text]);
  const key = Buffer.alloc(16).toString('base64');
  return new Promise(resolve => {
    const socket = connect({ host: hostname, port: Number(port) }, () => {
      socket.write(
        `GET /ws HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n\r\n`,
      );
    });
    sockets.push(socket);
    socket.on('error', () => {});
    const gone = new Promise<void>(ended => socket.once('close', () => ended()));
    socket.once('data', () => {
      socket.write(frame);
      if (reads) socket.resume();
      else socket.pause();
      resolve({ port: socket.localPort as number, gone });
    });
  });
}

const append = (types: string[], data = {}): Promise<void> =>
  transact(db, async tx => {
    const actor = { id: 'system', organizationId: 'org_a', requestId: 'req_ws' };
    for (const type of types) await appendEvent(tx, actor, new Date(), type, {}, data);
  });

test('RL-04 a client that says nothing is let go', async () => {
  const client = await openSocket(url);
  assert.equal(await client.closed, 1008);
  assert.equal(client.frames[0]?.code, 'subscribe_first');
});

test('RL-04 a client that answers no ping is let go, and holds nothing afterwards', async () => {
  const { gone } = await connectByHand(true);
  await until('it is subscribed', 5_000, () => held === 1);
  await gone;
  await until('its place is free', 5_000, () => held === 0);
});

test('RL-04 one that does not read is dropped and delays nobody; the others hear everything, in order', async () => {
  const [reader] = [await openSocket(url), await connectByHand(false)];
  reader.send({ type: 'subscribe' });
  await reader.until('subscribed');
  const count = 300;
  for (let i = 0; i < count; i += 20) {
    await append(
      Array.from({ length: 20 }, (_, n) => `w.${i + n}`),
      { filler: 'x'.repeat(128_000) },
    );
  }
  await reader.until('event', count);
  assert.deepEqual(
    reader.frames.flatMap(frame => frame.event?.type ?? []),
    Array.from({ length: count }, (_, n) => `w.${n}`),
  );
  await until('the one that does not read is gone', 10_000, () => held === 1);
  reader.close();
  await until('nothing is left', 5_000, () => held === 0);
});

test('a server that stops says goodbye to its clients', async () => {
  const client = await openSocket(url);
  client.send({ type: 'subscribe' });
  await client.until('subscribed');
  await server.close();
  assert.equal(await client.closed, 1001);
});
