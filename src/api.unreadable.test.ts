import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, test } from 'node:test';
import { startTestApp } from '../test/harness/app.ts';

const guildhall = await startTestApp({ roles: ['api'] });
after(() => guildhall[Symbol.asyncDispose]());
const { hostname, port, host } = new URL(guildhall.app.url as string);

/** Sends bytes as they are. @returns everything that comes back until the connection is closed. */
function send(...parts: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    const socket = connect(Number(port), hostname, () => {
      for (const part of parts) socket.write(part);
    });
    socket.setTimeout(10_000, () => socket.destroy(new Error('the connection was not closed')));
    socket.on('data', chunk => (text += chunk));
    socket.on('error', reject);
    socket.on('close', () => resolve(text));
  });
}

const closing = (path: string, ...more: string[]): string =>
  [`GET ${path} HTTP/1.1`, `Host: ${host}`, 'Connection: close', ...more, '', ''].join('\r\n');

const statusOf = (answer: string): number => Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1]);
const codeOf = (answer: string): string => JSON.parse(answer.slice(answer.indexOf('{'))).code;

test('NET-06 what is no request is refused as a problem, and its connection is closed', async () => {
  const garbage = [
    'HELLO\r\n\r\n',
    `GET /livez HTTP/9.9\r\nHost: ${host}\r\n\r\n`,
    `GET /livez HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n`,
    `POST /livez HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    `GET /livez HTTP/1.1\r\nHost: ${host}\r\nBad Header: x\r\n\r\n`,
    `GET /livez HTTP/1.1\r\nHost: ${host}\r\nX: a\u0000b\r\n\r\n`,
  ];
  for (const bytes of garbage) {
    const answer = await send(bytes);
    assert.equal(statusOf(answer), 400, answer);
    assert.equal(codeOf(answer), 'request_malformed');
    assert.match(answer, /content-type: application\/problem\+json/i);
    assert.doesNotMatch(answer, /HPE_|Parse|node:|\.ts/);
  }
});

test('VAL-06 a header or an address larger than 16 KiB is 431', async () => {
  for (const request of [
    closing('/livez', `X-Long: ${'x'.repeat(17_000)}`),
    closing(`/${'x'.repeat(17_000)}`),
  ]) {
    const answer = await send(request);
    assert.deepEqual([statusOf(answer), codeOf(answer)], [431, 'header_too_large']);
  }
});

test('NET-06 an address that cannot be read is a problem as well', async () => {
  const answer = await send(closing('/%E0%A4%A'));
  assert.deepEqual([statusOf(answer), codeOf(answer)], [400, 'address_malformed']);
});

test('a request for another host is refused: a foreign name that was made to point here opens nothing', async () => {
  const asHost = async (name: string, path = '/api/v1/me') =>
    send([`GET ${path} HTTP/1.1`, `Host: ${name}`, 'Connection: close', '', ''].join('\r\n'));
  for (const name of [
    'evil.example',
    `evil.example:${port}`,
    'localhost',
    'localhost:1',
    '127.0.0.1',
    '127.0.0.1:1',
    `127.0.0.1.evil.example:${port}`,
    `localhost.evil.example:${port}`,
    `10.0.0.1:${port}`,
    `user@127.0.0.1:${port}`,
    `127.0.0.1:${port}:80`,
    '[::1',
  ]) {
    const answer = await asHost(name);
    assert.equal(statusOf(answer), 421, `${name}\n${answer}`);
    assert.equal(codeOf(answer), 'host_not_allowed');
    assert.match(answer, /GUILDHALL_ALLOWED_HOSTS/);
  }
  for (const name of [host, `localhost:${port}`, `LOCALHOST:${port}`]) {
    assert.equal(statusOf(await asHost(name)), 401, name);
  }
  // A probe comes by whatever address the machine has, but never by a foreign name.
  assert.equal(statusOf(await asHost('10.1.2.3:4000', '/livez')), 200);
  assert.equal(statusOf(await asHost(`evil.example:${port}`, '/livez')), 421);
});

test('a client that sends its header byte by byte is cut off, and holds up nobody', async () => {
  const answer = await new Promise<string>((resolve, reject) => {
    let text = '';
    const socket = connect(Number(port), hostname, () =>
      socket.write(`GET /livez HTTP/1.1\r\nHost: ${host}\r\nX: `),
    );
    const drip = setInterval(() => socket.write('x'), 500);
    socket.on('data', chunk => (text += chunk));
    socket.on('error', () => {});
    socket.on('close', () => {
      clearInterval(drip);
      resolve(text);
    });
    socket.setTimeout(50_000, () => reject(new Error('it was not cut off')));
  });
  assert.deepEqual([statusOf(answer), codeOf(answer)], [408, 'request_too_slow']);
});
