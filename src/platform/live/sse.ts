/**
 * Server-sent events: replay from `Last-Event-ID`, then live. A client that reads too slowly is cut off rather
 * than buffered without bound; it comes back with its last id and misses nothing.
 * Format: https://html.spec.whatwg.org/multipage/server-sent-events.html
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Problem } from '../../base/problem.ts';
import type { Db } from '../db/db.ts';
import { type EventTail, type LiveEvent, type Position, parsePosition, readEvents } from './tail.ts';

const keepAliveMs = 15_000;
const bufferLimitBytes = 1024 * 1024;

export interface SseOptions {
  organizationId: string;
  /** Only events of this tree of tasks. */
  rootTaskId: string | null;
  /** Start from here rather than from now; from `Last-Event-ID` or the query. */
  lastEventId: string | null;
}

export async function streamEvents(
  db: Db,
  tail: EventTail,
  request: FastifyRequest,
  reply: FastifyReply,
  options: SseOptions,
): Promise<void> {
  const wanted = (e: LiveEvent): boolean =>
    e.organization_id === options.organizationId &&
    (options.rootTaskId === null || e.root_task_id === options.rootTaskId);
  const start = options.lastEventId === null ? null : parsePosition(options.lastEventId);
  if (options.lastEventId !== null && !start) {
    throw new Problem(
      'invalid',
      'last_event_id_invalid',
      'Last-Event-ID must be the id of an event that this stream gave.',
      { status: 400 },
    );
  }
  const pending: LiveEvent[] = [];
  let replaying = true;
  const subscription = await tail.subscribe(events => {
    const mine = events.filter(wanted);
    if (replaying) pending.push(...mine);
    else for (const event of mine) send(event);
  });
  reply.hijack();
  const out = reply.raw;
  out.writeHead(200, {
    ...(reply.getHeaders() as Record<string, string>),
    'content-type': 'text/event-stream',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
  });
  const keepAlive = setInterval(() => out.write(': keep-alive\n\n'), keepAliveMs);
  out.on('close', () => {
    clearInterval(keepAlive);
    subscription.stop();
  });
  function send(event: LiveEvent): void {
    const { organization_id: _, ...shown } = event;
    out.write(`id: ${event.id}\nevent: ${event.type}\ndata: ${JSON.stringify(shown)}\n\n`);
    if (out.writableLength > bufferLimitBytes) {
      request.log.info('a live client reads too slowly and is cut off');
      out.destroy();
    }
  }
  out.write('retry: 1000\n\n');
  if (start)
    await replay(db, options.organizationId, start, subscription.from, event => wanted(event) && send(event));
  replaying = false;
  for (const event of pending) send(event);
}

/** Everything after `start` up to where the live part begins. */
async function replay(
  db: Db,
  organizationId: string,
  start: Position,
  end: Position,
  send: (event: LiveEvent) => void,
): Promise<void> {
  let at = start;
  for (;;) {
    const events = await readEvents(db, at, 500, organizationId);
    for (const event of events) {
      const position = parsePosition(event.id) as Position;
      if (
        BigInt(position.xid) > BigInt(end.xid) ||
        (position.xid === end.xid && BigInt(position.seq) > BigInt(end.seq))
      )
        return;
      send(event);
    }
    const last = events.at(-1);
    if (!last || events.length < 500) return;
    at = parsePosition(last.id) as Position;
  }
}
