/** For tests: the whole command line in process, and a small HTTP server that answers what a test says. */
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { Io } from './call.ts';
import { run } from './run.ts';

export interface Ran {
  code: number;
  out: string;
  err: string;
}

export interface Shell extends AsyncDisposable {
  /** Holds the data directory and the configuration of this shell alone. */
  directory: string;
  dataDir: string;
  run(...argv: string[]): Promise<Ran>;
}

/** A shell with a home of its own. @param input what standard input gives. */
export async function openShell(input = '', settings: Io['env'] = {}): Promise<Shell> {
  const directory = await mkdtemp(join(tmpdir(), 'guildhall-cli-'));
  const dataDir = join(directory, 'data');
  const env = {
    GUILDHALL_DATA: dataDir,
    XDG_CONFIG_HOME: join(directory, 'config'),
    ...settings,
  };
  return {
    directory,
    dataDir,
    run: async (...argv) => {
      let out = '';
      let err = '';
      const io: Io = {
        out: chunk => {
          out += chunk;
        },
        err: chunk => {
          err += chunk;
        },
        styleOut: (_format, chunk) => chunk,
        styleErr: (_format, chunk) => chunk,
        columns: null,
        interactive: false,
        readInput: async () => input,
        env,
        cwd: directory,
        onStop: () => () => {},
      };
      return { code: await run(argv, io), out, err };
    },
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }),
  };
}

export interface Received {
  method: string;
  path: string;
  headers: IncomingMessage['headers'];
  body: unknown;
}

export interface Answer {
  status?: number;
  body: unknown;
}

export interface Peer extends AsyncDisposable {
  url: string;
  received: Received[];
}

/** A server at which every request is answered by `answer`; `null` breaks the connection off. */
export async function openPeer(answer: (request: Received) => Answer | null): Promise<Peer> {
  const received: Received[] = [];
  const server = createServer(async (request, response) => {
    const body = await text(request);
    const seen = {
      method: request.method ?? '',
      path: request.url ?? '',
      headers: request.headers,
      body: body === '' ? null : JSON.parse(body),
    };
    received.push(seen);
    const given = answer(seen);
    if (given === null) return void request.socket.destroy();
    response.writeHead(given.status ?? 200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(given.body));
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    received,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise(resolve => server.close(resolve));
    },
  };
}

/** A problem document as the server sends it. */
export function problem(
  status: number,
  code: string,
  title: string,
  detail?: Record<string, unknown>,
): Answer {
  return {
    status,
    body: { type: `urn:guildhall:problem:${code}`, title, status, code, request_id: 'req_test', detail },
  };
}
