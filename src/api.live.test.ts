import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { startTestApp } from '../test/harness/app.ts';
import { addOrganization } from '../test/harness/organization.ts';
import { until } from '../test/harness/processes.ts';
import { openSocket, type SocketClient } from '../test/harness/socket.ts';
import { newId } from './base/ids.ts';
import { transact } from './platform/db/db.ts';
import { appendEvent } from './platform/journal/facts.ts';
import { createLog } from './platform/telemetry/log.ts';

const logs = await mkdtemp(join(tmpdir(), 'guildhall-live-'));
const log = createLog({ level: 'debug', service: 'test', directory: logs });
const origin = 'https://page.example';
const guildhall = await startTestApp({
  roles: ['api'],
  log,
  env: {
    GUILDHALL_CORS_ORIGINS: origin,
    GUILDHALL_LIVE_CONNECTIONS: '5',
    GUILDHALL_LIMITS: 'stream=1000',
  },
});
const clients: SocketClient[] = [];
after(async () => {
  for (const client of clients) client.close();
  await guildhall[Symbol.asyncDispose]();
  await rm(logs, { recursive: true });
});
const url = `${guildhall.app.url}/api/v1/ws`;
const authorization = `Bearer ${guildhall.key}`;
const { organizationId } = guildhall.app.installation;

async function connect(headers: Record<string, string> = {}): Promise<SocketClient> {
  const client = await openSocket(url, headers);
  clients.push(client);
  return client;
}

async function subscribed(headers: Record<string, string>, more: object = {}): Promise<SocketClient> {
  const client = await connect(headers);
  client.send({ type: 'subscribe', ...more });
  await client.until('subscribed');
  return client;
}

const append = (organization: string, type: string): Promise<void> =>
  transact(guildhall.database.db, tx =>
    appendEvent(
      tx,
      { id: 'system', organizationId: organization, requestId: 'req_live' },
      new Date(),
      type,
      {},
      {},
    ),
  );
const typesOf = (client: SocketClient): string[] => client.frames.flatMap(frame => frame.event?.type ?? []);
const ticket = async (): Promise<string> =>
  (await guildhall.api<{ ticket: string }>('POST', '/api/v1/ws-tickets')).body.ticket;

/** Closes it and waits until the server has given back its place. */
async function leave(...leaving: SocketClient[]): Promise<void> {
  for (const client of leaving) client.close();
  await Promise.all(leaving.map(client => client.closed));
}

/** The cookie of a fresh session, and what signs it out. */
async function signIn(): Promise<{ cookie: string; signOut(): Promise<void> }> {
  const { body } = await guildhall.api<{ path: string }>('POST', '/api/v1/sign-in-links');
  const response = await fetch(`${guildhall.app.url}/api/v1/sign-in`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ token: body.path.split('#')[1] }),
  });
  const cookie = (response.headers.get('set-cookie') as string).split(';')[0] as string;
  const me = await fetch(`${guildhall.app.url}/api/v1/me`, { headers: { cookie } });
  const { csrf_token: token } = (await me.json()) as { csrf_token: string };
  const signOut = async () => {
    const headers = { cookie, 'x-csrf-token': token };
    const out = await fetch(`${guildhall.app.url}/api/v1/sign-out`, { method: 'POST', headers });
    assert.equal(out.status, 200);
  };
  return { cookie, signOut };
}

/** Status and code of a handshake that is refused. */
function refusal(path: string, headers: Record<string, string>): Promise<[number, string]> {
  return new Promise((resolve, reject) => {
    const upgrade = {
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': Buffer.alloc(16).toString('base64'),
    };
    const asking = request(`${guildhall.app.url}${path}`, { headers: { ...upgrade, ...headers } });
    asking.on('response', async response => {
      const text = (await response.toArray()).join('');
      resolve([response.statusCode ?? 0, JSON.parse(text).code]);
    });
    asking.on('upgrade', (_response, socket) => {
      socket.destroy();
      resolve([101, 'upgraded']);
    });
    asking.on('error', reject);
    asking.end();
  });
}

test('IAM-08 events come over a WebSocket with a key, as over SSE, and of no other organization', async () => {
  const client = await subscribed({ authorization });
  const other = await addOrganization(guildhall.database.db, 'other', new Date());
  await append(other.organizationId, 'organization.foreign');
  await append(organizationId, 'organization.mine');
  await client.until('event');
  assert.deepEqual(typesOf(client), ['organization.mine']);
  const event = client.frames.find(frame => frame.event)?.event;
  assert.match(event?.id ?? '', /^\d+-\d+$/);
  assert.equal('organization_id' in (event ?? {}), false);
  await leave(client);
});

test('IAM-08 who comes back with the last id is given what was missed', async () => {
  const client = await subscribed({ authorization });
  await append(organizationId, 'organization.one');
  await append(organizationId, 'organization.two');
  await client.until('event', 2);
  const last = client.frames.find(frame => frame.event)?.event?.id;
  await leave(client);
  await append(organizationId, 'organization.three');
  const again = await subscribed({ authorization }, { last_event_id: last });
  await again.until('event', 2);
  assert.deepEqual(typesOf(again), ['organization.two', 'organization.three']);
  await leave(again);
});

test('IAM-08 a ticket in the first frame opens it once; its credential is never in an address, nor in the log', async () => {
  const made = await ticket();
  const client = await subscribed({ origin }, { ticket: made });
  await append(organizationId, 'organization.by_ticket');
  await client.until('event');
  const second = await connect();
  second.send({ type: 'subscribe', ticket: made });
  assert.equal(await second.closed, 1008);
  assert.deepEqual(
    second.frames.map(frame => [frame.type, frame.code]),
    [['error', 'ticket_invalid']],
  );
  for (const query of ['token', 'ticket', 'access_token', 'key', 'x']) {
    const [status] = await refusal(`/api/v1/ws?${query}=${guildhall.key}`, { authorization });
    assert.ok([400, 422].includes(status), `${query}: ${status}`);
  }
  const logged = await readFile(join(logs, 'guildhall.log'), 'utf8');
  assert.ok(logged.includes('/api/v1/ws'));
  for (const secret of [guildhall.key, made])
    assert.ok(!logged.includes(secret), 'the log holds a credential');
  const { rows } = await guildhall.database.pool.query('select * from ws_tickets');
  assert.ok(!JSON.stringify(rows).includes(made));
  await leave(client);
});

test('IAM-08 a ticket that has expired, is altered, or is none is refused', async () => {
  const made = await ticket();
  await guildhall.database.pool.query("update ws_tickets set expires_at = now() - interval '1 second'");
  const wrong = [
    made,
    `${(await ticket()).slice(0, -4)}AAAA`,
    'x',
    guildhall.key,
    `eyJhbGciOiJub25lIn0..${made}`,
  ];
  for (const text of wrong) {
    const client = await connect();
    client.send({ type: 'subscribe', ticket: text });
    assert.equal(await client.closed, 1008);
    assert.equal(client.frames[0]?.code, 'ticket_invalid');
  }
});

test('IAM-08 with the session of a browser it opens for our own page, and for nobody else', async () => {
  const { cookie } = await signIn();
  const own = new URL(guildhall.app.url as string).origin;
  const client = await subscribed({ cookie, origin: own });
  await leave(client);
  for (const foreign of ['https://evil.example', 'null', `${own}.evil.example`, 'http://127.0.0.1:1']) {
    assert.deepEqual(
      await refusal('/api/v1/ws', { cookie, origin: foreign }),
      [403, 'origin_not_allowed'],
      foreign,
    );
  }
  assert.deepEqual(await refusal('/api/v1/ws', { cookie }), [403, 'origin_not_allowed']);
});

test('IAM-08 nobody is told anything without a credential, and a plain request is not served', async () => {
  const client = await connect();
  client.send({ type: 'subscribe' });
  assert.equal(await client.closed, 1008);
  assert.deepEqual(
    client.frames.map(frame => frame.code),
    ['sign_in_required'],
  );
  const wrong = await connect({ authorization: 'Bearer ghk_0000000000000000000000000' });
  wrong.send({ type: 'subscribe' });
  assert.equal(await wrong.closed, 1008);
  const plain = await fetch(url, { headers: { authorization } });
  assert.deepEqual(
    [plain.status, ((await plain.json()) as { code: string }).code],
    [426, 'upgrade_required'],
  );
});

test('IAM-08 a task of nobody one may see is not there', async () => {
  for (const id of [newId('task', 0), 'task_x', "x' or 1=1"]) {
    const client = await connect({ authorization });
    client.send({ type: 'subscribe', task_id: id });
    assert.equal(await client.closed, 1008);
    assert.equal(client.frames[0]?.code, 'task_missing', id);
  }
});

test('RL-04 the 31st frame in a minute is answered with an error and ends the connection with 1008', async () => {
  const client = await subscribed({ authorization });
  for (let i = 0; i < 29; i++) client.send({ type: 'ping' });
  await client.until('pong', 29);
  client.send({ type: 'ping' });
  assert.equal(await client.closed, 1008);
  assert.deepEqual(client.frames.at(-1)?.code, 'rate_limited');
  assert.equal(client.frames.filter(frame => frame.type === 'pong').length, 29);
});

test('VAL-06 a frame of one byte more than 16 KiB ends the connection with 1009; one of 16 KiB is read', async () => {
  const text = (bytes: number) => JSON.stringify({ type: 'subscribe', x: 'x'.repeat(bytes) });
  const overhead = text(0).length;
  const at = await connect({ authorization });
  at.sendText(text(16 * 1024 - overhead));
  assert.equal(await at.closed, 1008);
  assert.equal(at.frames[0]?.code, 'frame_invalid');
  const over = await connect({ authorization });
  over.sendText(text(16 * 1024 - overhead + 1));
  assert.equal(await over.closed, 1009);
});

test('VAL-01 frames that are no known frame end the connection and say why', async () => {
  for (const text of [
    '',
    '{',
    '[]',
    'null',
    '{"type":"publish"}',
    '{"type":"subscribe","admin":true}',
    '{"type":1}',
  ]) {
    const client = await connect({ authorization });
    client.sendText(text);
    assert.equal(await client.closed, 1008, text);
    assert.equal(client.frames[0]?.code, 'frame_invalid', text);
  }
  const binary = await connect({ authorization });
  binary.sendText(new Uint8Array([1, 2, 3]));
  assert.equal(await binary.closed, 1003);
  const twice = await subscribed({ authorization });
  twice.send({ type: 'subscribe' });
  assert.equal(await twice.closed, 1008);
  assert.equal(twice.frames.at(-1)?.code, 'already_subscribed');
});

test('RL-04 one user holds so many live connections at a time, over WebSocket and SSE together', async () => {
  const streams = await Promise.all(
    [0, 1].map(() => fetch(`${guildhall.app.url}/api/v1/events`, { headers: { authorization } })),
  );
  assert.deepEqual(
    streams.map(stream => stream.status),
    [200, 200],
  );
  const sockets = [];
  for (let i = 0; i < 3; i++) sockets.push(await subscribed({ authorization }));
  const sixth = await connect({ authorization });
  sixth.send({ type: 'subscribe' });
  assert.equal(await sixth.closed, 1008);
  assert.equal(sixth.frames[0]?.code, 'too_many_connections');
  const refused = await fetch(`${guildhall.app.url}/api/v1/events`, { headers: { authorization } });
  assert.deepEqual(
    [refused.status, ((await refused.json()) as { code: string }).code],
    [429, 'too_many_connections'],
  );
  await streams[0]?.body?.cancel();
  await until('a place is free again', 10_000, async () => {
    const next = await connect({ authorization });
    next.send({ type: 'subscribe' });
    return Promise.race([next.until('subscribed').then(() => true), next.closed.then(() => false)]);
  });
  await streams[1]?.body?.cancel();
  await leave(...sockets);
});

test('IAM-08 when the session is revoked its connections end, those of its tickets too', async () => {
  for (const client of clients) client.close();
  const { cookie, signOut } = await signIn();
  const own = new URL(guildhall.app.url as string).origin;
  const me = await fetch(`${guildhall.app.url}/api/v1/me`, { headers: { cookie } });
  const { csrf_token: token } = (await me.json()) as { csrf_token: string };
  const asked = await fetch(`${guildhall.app.url}/api/v1/ws-tickets`, {
    method: 'POST',
    headers: { cookie, 'x-csrf-token': token },
  });
  const { ticket: made } = (await asked.json()) as { ticket: string };
  const byCookie = await subscribed({ cookie, origin: own });
  const byTicket = await subscribed({}, { ticket: made });
  await signOut();
  assert.deepEqual(await Promise.all([byCookie.closed, byTicket.closed]), [1008, 1008]);
  for (const client of [byCookie, byTicket]) assert.equal(client.frames.at(-1)?.code, 'not_allowed_any_more');
});
