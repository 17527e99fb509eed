/** A local HTTP server for fakes of secret stores: it parses, keeps what it received, and can be told to fail. */
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Asked {
  method: string;
  /** With its query. */
  path: string;
  headers: Record<string, string>;
  text: string;
}

export interface Reply {
  status: number;
  body?: unknown;
}

export interface StoreServer extends AsyncDisposable {
  url: string;
  asked: Asked[];
  /** Answers to give before anything else; `hang up` closes the connection. */
  faults: (Reply | 'hang up')[];
}

export async function startStoreServer(answer: (asked: Asked) => Reply): Promise<StoreServer> {
  const asked: Asked[] = [];
  const faults: StoreServer['faults'] = [];
  const server = createServer(async (incoming, response) => {
    const request = await toAsked(incoming);
    asked.push(request);
    const reply = faults.shift() ?? answer(request);
    if (reply === 'hang up') return void incoming.socket.destroy();
    response.writeHead(reply.status, { 'content-type': 'application/json' });
    response.end(typeof reply.body === 'string' ? reply.body : JSON.stringify(reply.body ?? {}));
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    faults,
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>(resolve => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}

async function toAsked(incoming: IncomingMessage): Promise<Asked> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk as Buffer);
  return {
    method: incoming.method ?? '',
    path: incoming.url ?? '',
    headers: incoming.headers as Record<string, string>,
    text: Buffer.concat(chunks).toString('utf8'),
  };
}
