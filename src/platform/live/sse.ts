/**
 * Server-sent events: a feed over a response that does not end.
 * Format: https://html.spec.whatwg.org/multipage/server-sent-events.html
 */
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { messageOf } from '../../base/problem.ts';
import type { Tenants } from '../db/db.ts';
import { type FeedOptions, openFeed, type Sink } from './feed.ts';
import type { EventTail } from './tail.ts';

const keepAliveMs = 15_000;

export interface SseOptions extends FeedOptions {
  /** Asked with every sign of life: whether the client may still listen (its key may have been revoked). */
  stillAllowed(): Promise<boolean>;
  /** Milliseconds between signs of life. */
  keepAliveMs?: number;
}

export async function streamEvents(
  tenants: Tenants,
  tail: EventTail,
  request: FastifyRequest,
  reply: FastifyReply,
  options: SseOptions,
): Promise<void> {
  const out = reply.raw;
  const sink = sinkOf(out, why => request.log.info(`a live client is cut off: ${why}`));
  const feed = await openFeed(tenants, tail, sink, options);
  if (out.destroyed) return feed.stop();
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
      allowed => allowed || sink.cutOff('it may not listen any more'),
      error => request.log.warn({ reason: messageOf(error) }, 'a live client could not be checked'),
    );
  }, options.keepAliveMs ?? keepAliveMs);
  out.on('close', () => {
    clearInterval(keepAlive);
    feed.stop();
  });
  out.write('retry: 1000\n\n');
  feed.begin();
}

const sinkOf = (out: ServerResponse, tell: (why: string) => void): Sink => ({
  write: event => void out.write(`id: ${event.id}\nevent: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`),
  get buffered() {
    return out.writableLength;
  },
  get closed() {
    return out.destroyed;
  },
  drained: async signal => void (await once(out, 'drain', { signal })),
  cutOff(why) {
    if (!out.destroyed) tell(why);
    out.destroy();
  },
});
