/**
 * Server-sent events. A client is live, given what the tail reads; or it catches up from the table: after
 * `Last-Event-ID`, and when it reads more slowly than events happen. Little is kept for it in memory, it
 * misses nothing, and one that does not read at all is cut off.
 * Format: https://html.spec.whatwg.org/multipage/server-sent-events.html
 */
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { messageOf, Problem } from '../../base/problem.ts';
import type { Tenants } from '../db/db.ts';
import {
  type EventTail,
  isAfter,
  type LiveEvent,
  type Position,
  parsePosition,
  readEnd,
  readEvents,
} from './tail.ts';

const keepAliveMs = 15_000;
/** Bytes that may wait to be sent before a live client has to catch up at its own pace. */
const bufferLimitBytes = 1024 * 1024;
/** How long one that catches up may leave that much unread. */
const stallLimitMs = 10_000;
const pageSize = 200;

export interface SseOptions {
  organizationId: string;
  /** Only events of this tree of tasks. */
  rootTaskId: string | null;
  /** Start after this event rather than from now; from `Last-Event-ID` or the query. */
  lastEventId: string | null;
  /** Asked for every event: whether the client may hear of it. */
  mayHear(event: LiveEvent): boolean;
  /** Asked with every sign of life: whether the client may still listen (its key may have been revoked). */
  stillAllowed(): Promise<boolean>;
  /** Milliseconds between signs of life, and until a client that reads nothing is cut off. */
  keepAliveMs?: number;
  stallLimitMs?: number;
}

export async function streamEvents(
  tenants: Tenants,
  tail: EventTail,
  request: FastifyRequest,
  reply: FastifyReply,
  options: SseOptions,
): Promise<void> {
  const start = options.lastEventId === null ? null : parsePosition(options.lastEventId);
  if (options.lastEventId !== null && !start) {
    throw new Problem(
      'invalid',
      'last_event_id_invalid',
      'Last-Event-ID must be the id of an event that this stream gave.',
      { status: 400 },
    );
  }
  const out = reply.raw;
  const client = new Client(tenants, out, options, why => {
    if (!out.destroyed) request.log.info(`a live client is cut off: ${why}`);
    out.destroy();
  });
  const subscription = await tail.subscribe(events => client.take(events));
  const from = start && (await isPast(tenants, options, start)) ? start : subscription.from;
  if (out.destroyed) return subscription.stop();
  reply.hijack();
  out.writeHead(200, {
    ...(reply.getHeaders() as Record<string, string>),
    'content-type': 'text/event-stream',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
  });
  const keepAlive = setInterval(() => {
    out.write(': keep-alive\n\n');
    options.stillAllowed().then(
      allowed => allowed || client.cutOff('it may not listen any more'),
      error => request.log.warn({ reason: messageOf(error) }, 'a live client could not be checked'),
    );
  }, options.keepAliveMs ?? keepAliveMs);
  out.on('close', () => {
    clearInterval(keepAlive);
    subscription.stop();
  });
  out.write('retry: 1000\n\n');
  client.begin(from, subscription.from);
}

/** A position that this database has not come to yet is of another one: before a restore, or before it was made anew. */
const isPast = async (tenants: Tenants, of: SseOptions, position: Position): Promise<boolean> =>
  isAfter(await tenants.within(of, readEnd), position);

class Client {
  readonly #tenants: Tenants;
  readonly #out: ServerResponse;
  readonly #options: SseOptions;
  readonly cutOff: (why: string) => void;
  #live = false;
  /** Everything up to here was sent, as far as it is wanted. */
  #at: Position = { xid: '0', seq: '0' };
  /** The last that the tail has read: what there is to catch up with. */
  #newest: Position = this.#at;
  /** Whether the tail may still bring what was sent while catching up. */
  #overlap = false;

  constructor(tenants: Tenants, out: ServerResponse, options: SseOptions, cutOff: (why: string) => void) {
    this.#tenants = tenants;
    this.#out = out;
    this.#options = options;
    this.cutOff = cutOff;
  }

  begin(start: Position, end: Position): void {
    this.#at = start;
    if (isAfter(end, this.#newest)) this.#newest = end;
    void this.#catchUp();
  }

  /** What the tail has just read. */
  take(events: readonly LiveEvent[]): void {
    const last = parsePosition(events.at(-1)?.id ?? '');
    if (!last) return;
    this.#newest = last;
    if (!this.#live) return;
    for (const event of events) {
      if (this.#overlap && !isAfter(parsePosition(event.id) as Position, this.#at)) continue;
      this.#overlap = false;
      this.#send(event);
      if (this.#out.writableLength <= bufferLimitBytes) continue;
      this.#at = parsePosition(event.id) as Position;
      this.#live = false;
      void this.#catchUp();
      return;
    }
    if (!this.#overlap) this.#at = last;
  }

  /** Reads on from the table at the pace of the client, until there is nothing that the tail has read already. */
  async #catchUp(): Promise<void> {
    const out = this.#out;
    try {
      if (out.writableLength > bufferLimitBytes) await this.#drained();
      while (!out.destroyed) {
        const known = this.#newest;
        const { organizationId } = this.#options;
        const events = await this.#tenants.within({ organizationId }, tx =>
          readEvents(tx, this.#at, pageSize, organizationId),
        );
        for (const event of events) {
          this.#send(event);
          if (out.writableLength > bufferLimitBytes) await this.#drained();
        }
        this.#at = parsePosition(events.at(-1)?.id ?? '') ?? this.#at;
        if (events.length === pageSize) continue;
        // Nothing up to `known` is left: it was in the table before this read began.
        if (isAfter(known, this.#at)) this.#at = known;
        if (known !== this.#newest) continue;
        this.#overlap = true;
        this.#live = true;
        return;
      }
    } catch (error) {
      this.cutOff(`it could not catch up (${messageOf(error)})`);
    }
  }

  async #drained(): Promise<void> {
    const signal = AbortSignal.timeout(this.#options.stallLimitMs ?? stallLimitMs);
    await once(this.#out, 'drain', { signal });
  }

  #send(event: LiveEvent): void {
    const { organizationId, rootTaskId } = this.#options;
    if (event.organization_id !== organizationId) return;
    if (rootTaskId !== null && event.root_task_id !== rootTaskId) return;
    if (!this.#options.mayHear(event)) return;
    const { organization_id: _o, project_id: _p, ...shown } = event;
    this.#out.write(`id: ${event.id}\nevent: ${event.type}\ndata: ${JSON.stringify(shown)}\n\n`);
  }
}
