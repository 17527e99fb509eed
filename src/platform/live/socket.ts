/**
 * Live events over a WebSocket. The first frame of the client says who it is, unless the handshake did, and what it
 * wants to hear; afterwards it has nothing to say but `ping`. Every frame is counted: more than thirty a minute end
 * the connection, as do frames that are too large, not text or not known.
 *
 *   → {"type":"subscribe","ticket":"…","task_id":"…","last_event_id":"…"}    the last three where they are wanted
 *   ← {"type":"subscribed"}   {"type":"event","event":{…}} …                  {"type":"error","code":"…","title":"…"}
 *   → {"type":"ping"}   ← {"type":"pong"}
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { WebSocket } from '@fastify/websocket';
import { z } from 'zod';
import { messageOf, Problem, toProblem } from '../../base/problem.ts';
import { type Clock, minutes } from '../../base/time.ts';
import type { Tenants } from '../db/db.ts';
import { type Feed, type FeedOptions, openFeed, type Sink } from './feed.ts';
import type { EventTail } from './tail.ts';

/** Larger frames are 1009: no message of ours comes near it. */
export const frameLimitBytes = 16 * 1024;
const framesPerMinute = 30;
/** A client that connects and says nothing is let go after this. */
const firstFrameMs = 10_000;
const keepAliveMs = 15_000;
const drainLookMs = 20;

/** https://www.rfc-editor.org/rfc/rfc6455#section-7.4.1 */
const closeCodes = { unsupported: 1003, policy: 1008, bug: 1011 } as const;

const subscribeFrame = z.strictObject({
  type: z.literal('subscribe'),
  ticket: z.string().min(1).max(4_000).optional(),
  task_id: z.string().max(100).optional(),
  last_event_id: z.string().max(60).optional(),
});
const frames = z.discriminatedUnion('type', [subscribeFrame, z.strictObject({ type: z.literal('ping') })]);
export type SubscribeFrame = z.output<typeof subscribeFrame>;

export interface Subscription extends FeedOptions {
  /** Asked with every sign of life: whether the client may still listen. */
  stillAllowed(): Promise<boolean>;
  /** Called once, when the connection is over. */
  ended(): void;
}

export interface SocketOptions {
  tenants: Tenants;
  tail: EventTail;
  clock: Clock;
  log: { info(text: string): void; warn(facts: object, text: string): void };
  /** Who it is and what it may hear. @throws Problem that the client is told before it is let go. */
  subscribe(frame: SubscribeFrame): Promise<Subscription>;
  keepAliveMs?: number;
  firstFrameMs?: number;
}

/** Serves one connection until it ends. */
export function serveSocket(socket: WebSocket, options: SocketOptions): void {
  new Connection(socket, options).begin();
}

class Connection {
  readonly #socket: WebSocket;
  readonly #options: SocketOptions;
  #subscription: Subscription | null = null;
  #feed: Feed | null = null;
  #subscribing = false;
  #answered = true;
  #timers: NodeJS.Timeout[] = [];
  #count = { frames: 0, since: 0 };

  constructor(socket: WebSocket, options: SocketOptions) {
    this.#socket = socket;
    this.#options = options;
  }

  begin(): void {
    const socket = this.#socket;
    socket.on('message', (data: Buffer, isBinary: boolean) => void this.#hear(data, isBinary));
    socket.on('pong', () => {
      this.#answered = true;
    });
    // A frame that is too large, or none: the library has closed the connection with its code.
    socket.on('error', error => this.#options.log.info(`a live socket is closed: ${error.message}`));
    socket.on('close', () => this.#end());
    this.#timers.push(
      setTimeout(() => {
        if (!this.#subscribing)
          this.#refuse(new Problem('invalid', 'subscribe_first', 'Send a subscribe frame first.'));
      }, this.#options.firstFrameMs ?? firstFrameMs),
      setInterval(() => void this.#keepAlive(), this.#options.keepAliveMs ?? keepAliveMs),
    );
  }

  async #hear(data: Buffer, isBinary: boolean): Promise<void> {
    if (this.#socket.readyState !== this.#socket.OPEN) return;
    try {
      this.#countFrame();
      if (isBinary) return this.#socket.close(closeCodes.unsupported, 'text only');
      const frame = readFrame(data);
      if (frame.type === 'ping') return this.#tell({ type: 'pong' });
      if (this.#subscribing)
        throw new Problem('conflict', 'already_subscribed', 'There is one subscription a connection.');
      this.#subscribing = true;
      await this.#subscribe(frame);
    } catch (error) {
      this.#refuse(error);
    }
  }

  async #subscribe(frame: SubscribeFrame): Promise<void> {
    const { tenants, tail } = this.#options;
    const subscription = await this.#options.subscribe(frame);
    this.#subscription = subscription;
    // It may have gone meanwhile: then nothing else gives back what it holds.
    if (this.#isOver) return this.#end();
    const feed = await openFeed(tenants, tail, this.#sink(), subscription);
    this.#feed = feed;
    if (this.#isOver) return this.#end();
    this.#tell({ type: 'subscribed' });
    feed.begin();
  }

  get #isOver(): boolean {
    return this.#socket.readyState !== this.#socket.OPEN;
  }

  /** @throws Problem `rate_limited` for the frame that is one too many. */
  #countFrame(): void {
    const now = this.#options.clock.now();
    if (now - this.#count.since >= minutes(1)) this.#count = { frames: 0, since: now };
    this.#count.frames += 1;
    if (this.#count.frames <= framesPerMinute) return;
    throw new Problem('exhausted', 'rate_limited', `More than ${framesPerMinute} frames in a minute.`);
  }

  #tell(frame: object): void {
    this.#socket.send(JSON.stringify(frame));
  }

  #refuse(error: unknown): void {
    if (this.#isOver) return;
    const problem = toProblem(error);
    const isBug = problem.kind === 'bug';
    if (isBug) this.#options.log.warn({ err: problem.cause ?? error }, 'a live socket failed');
    this.#tell({ type: 'error', code: problem.code, title: problem.message });
    this.#socket.close(isBug ? closeCodes.bug : closeCodes.policy, problem.code);
  }

  async #keepAlive(): Promise<void> {
    if (!this.#answered) return this.#socket.terminate();
    this.#answered = false;
    this.#socket.ping();
    try {
      if ((await this.#subscription?.stillAllowed()) === false)
        this.#refuse(new Problem('unauthenticated', 'not_allowed_any_more', 'Sign in again.'));
    } catch (error) {
      this.#options.log.warn({ reason: messageOf(error) }, 'a live client could not be checked');
    }
  }

  #sink(): Sink {
    const socket = this.#socket;
    const { log } = this.#options;
    return {
      write: event => this.#tell({ type: 'event', event }),
      get buffered() {
        return socket.bufferedAmount;
      },
      get closed() {
        return socket.readyState !== socket.OPEN;
      },
      // The library does not say when its buffer is empty.
      async drained(signal) {
        while (socket.bufferedAmount > 0 && socket.readyState === socket.OPEN)
          await sleep(drainLookMs, null, { signal });
      },
      cutOff(why) {
        if (socket.readyState === socket.OPEN) log.info(`a live socket is cut off: ${why}`);
        socket.terminate();
      },
    };
  }

  #end(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers = [];
    this.#feed?.stop();
    this.#subscription?.ended();
    this.#feed = null;
    this.#subscription = null;
  }
}

/** @throws Problem `frame_invalid`. */
function readFrame(data: Buffer): z.output<typeof frames> {
  let value: unknown;
  try {
    value = JSON.parse(data.toString('utf8'));
  } catch {
    throw new Problem('invalid', 'frame_invalid', 'A frame is one object in JSON.');
  }
  const parsed = frames.safeParse(value);
  if (parsed.success) return parsed.data;
  const fault = parsed.error.issues
    .map(issue => `${issue.path.join('.') || 'frame'}: ${issue.message}`)
    .join('; ');
  throw new Problem('invalid', 'frame_invalid', `The frame is not valid: ${fault}.`);
}
