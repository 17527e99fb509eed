/** A client of the live WebSocket. */
import { until } from './processes.ts';

export interface SocketClient {
  /** Frames of the server, in order. */
  frames: { type: string; code?: string; event?: { id: string; type: string; task_id: string | null } }[];
  send(frame: unknown): void;
  /** Sends text as it is. */
  sendText(text: string | Uint8Array<ArrayBuffer>): void;
  /** Waits until there is a frame of this type, or so many. */
  until(type: string, count?: number): Promise<void>;
  /** Resolves with the code that the connection was closed with. */
  closed: Promise<number>;
  close(): void;
}

/** Connects. Fails when the handshake is refused. @param url http address of the socket. */
export async function openSocket(url: string, headers: Record<string, string> = {}): Promise<SocketClient> {
  // Node's own client takes header fields, beyond what browsers have.
  const options = { headers } as unknown as string[];
  const socket = new WebSocket(url.replace(/^http/, 'ws'), options);
  const frames: SocketClient['frames'] = [];
  socket.addEventListener('message', ({ data }) => frames.push(JSON.parse(String(data))));
  const closed = new Promise<number>(resolve =>
    socket.addEventListener('close', ({ code }) => resolve(code)),
  );
  await new Promise<void>((resolve, reject) => {
    socket.addEventListener('open', () => resolve());
    socket.addEventListener('error', () => reject(new Error('the handshake was refused')));
  });
  return {
    frames,
    closed,
    send: frame => socket.send(JSON.stringify(frame)),
    sendText: text => socket.send(text),
    close: () => socket.close(),
    until: async (type, count = 1) =>
      void (await until(
        `${count} frames ${type}`,
        15_000,
        () => frames.filter(f => f.type === type).length >= count,
      )),
  };
}
