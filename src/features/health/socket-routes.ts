/**
 * Live events over a WebSocket. Who connects is known by the session's cookie (then the page must be one of ours), by
 * `Authorization`, or by a one-time ticket in the first frame; never by the address.
 */
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { idPattern } from '../../base/ids.ts';
import { Problem } from '../../base/problem.ts';
import type { Clock } from '../../base/time.ts';
import type { Db, Tenants } from '../../platform/db/db.ts';
import { addressOf } from '../../platform/http/address.ts';
import { requireTaken } from '../../platform/http/limits.ts';
import { problemResponses, time } from '../../platform/http/schemas.ts';
import type { Server } from '../../platform/http/server.ts';
import type { Limiter } from '../../platform/limits/limiter.ts';
import type { Connections } from '../../platform/live/connections.ts';
import { type SubscribeFrame, type Subscription, serveSocket } from '../../platform/live/socket.ts';
import type { EventTail } from '../../platform/live/tail.ts';
import { type Access, actorOf } from '../identity/access.ts';
import { mayHear } from '../identity/event-access.ts';
import type { Principal } from '../identity/principal.ts';
import { taskFor } from '../tasks/task-access.ts';
import { type CredentialHeaders, createTicket, redeemTicket } from './tickets.ts';

export interface SocketDeps {
  findReader: Access['findReader'];
  db: Db;
  tenants: Tenants;
  clock: Clock;
  tail: EventTail;
  limiter: Limiter;
  connections: Connections;
  /** 32 bytes that tickets are encrypted with, the same on all replicas. */
  ticketKey: Uint8Array;
  /** Origins of other pages that may connect with their cookie or a ticket. */
  corsOrigins: readonly string[];
}

/** Whom a live connection is counted for. */
export const listenerOf = ({ actor }: Principal): string => `${actor.organizationId} ${actor.id}`;

export function socketRoutes(server: Server, deps: SocketDeps): void {
  const now = () => new Date(deps.clock.now());

  server.post(
    '/api/v1/ws-tickets',
    {
      config: { permission: 'event.read' },
      schema: {
        tags: ['live'],
        summary: 'Make a one-time ticket for a WebSocket, good for 30 seconds',
        response: {
          200: z.object({
            ticket: z.string().describe('For the first frame: `{"type":"subscribe","ticket":"…"}`.'),
            expires_at: z.string(),
          }),
          ...problemResponses,
        },
      },
    },
    async request => {
      const actor = actorOf(request);
      const made = await deps.tenants.within(actor, tx =>
        createTicket(tx, actor, now(), deps.ticketKey, request.headers),
      );
      return { ticket: made.ticket, expires_at: time(made.expiresAt) };
    },
  );

  server.route({
    method: 'GET',
    url: '/api/v1/ws',
    exposeHeadRoute: false,
    // Who it is may come with the first frame.
    config: { public: true },
    schema: {
      tags: ['live'],
      summary: 'Live events over a WebSocket',
      description:
        'As /api/v1/events. First frame: `{"type":"subscribe"}`, with `task_id`, `last_event_id` and, when neither cookie nor `Authorization` came with the handshake, `ticket`. At most 30 frames a minute, of 16 KiB.',
      response: problemResponses,
    },
    preHandler: async request => requireOwnPage(request, deps.corsOrigins),
    handler: async () => {
      throw new Problem('invalid', 'upgrade_required', 'This address speaks WebSocket only.', {
        status: 426,
      });
    },
    wsHandler: (socket, request) => {
      // Until somebody is known, a connection is one of its address.
      const release = deps.connections.open(`address ${addressOf(request)}`);
      socket.on('close', release);
      serveSocket(socket, {
        ...{ tenants: deps.tenants, tail: deps.tail, clock: deps.clock, log: request.log },
        subscribe: async frame => {
          const subscription = await subscribe(request, frame, deps, now());
          release();
          return subscription;
        },
      });
    },
  });
}

/** A browser says which page connects: another one than ours would use the cookie of whoever looks at it. */
function requireOwnPage(request: FastifyRequest, corsOrigins: readonly string[]): void {
  const { origin } = request.headers;
  if (origin === undefined) {
    if (request.headers.cookie === undefined || request.headers.authorization !== undefined) return;
  } else if (URL.parse(origin)?.host === request.host || corsOrigins.includes(origin)) return;
  throw new Problem('forbidden', 'origin_not_allowed', 'Pages of this origin may not connect here.');
}

async function subscribe(
  request: FastifyRequest,
  frame: SubscribeFrame,
  deps: SocketDeps,
  now: Date,
): Promise<Subscription> {
  const { ticket, task_id: taskId, last_event_id: lastEventId } = frame;
  const bearer =
    ticket === undefined
      ? request
      : withCredential(request, await redeemTicket(deps.db, now, deps.ticketKey, ticket));
  const found = await deps.findReader(bearer);
  if (!found) {
    throw new Problem(
      'unauthenticated',
      'sign_in_required',
      'Connect with a session, with `Authorization: Bearer …`, or with a ticket of POST /api/v1/ws-tickets in the first frame.',
    );
  }
  let reader = found;
  requireTaken(await deps.limiter.take('stream', listenerOf(reader)));
  const { actor } = reader;
  const release = deps.connections.open(listenerOf(reader));
  try {
    return {
      organizationId: actor.organizationId,
      rootTaskId: taskId === undefined ? null : await rootOf(deps.tenants, reader, taskId),
      lastEventId: lastEventId ?? null,
      mayHear: event => mayHear(reader, event),
      stillAllowed: async () => {
        const now = await deps.findReader(bearer);
        // Roles and classifications may have changed since.
        if (now) reader = now;
        return now !== null;
      },
      ended: release,
    };
  } catch (error) {
    release();
    throw error;
  }
}

async function rootOf(tenants: Tenants, reader: Principal, taskId: string): Promise<string> {
  if (!idPattern('task').test(taskId)) throw new Problem('missing', 'task_missing', 'There is no such task.');
  const task = await tenants.within(reader.actor, tx => taskFor(tx, reader, 'event.read', taskId));
  return task.root_task_id;
}

/** The request as if it had come with these header fields, for as long as the connection lives. */
function withCredential(request: FastifyRequest, credential: CredentialHeaders): FastifyRequest {
  const { authorization: _a, cookie: _c, 'x-organization': _o, ...others } = request.headers;
  return Object.create(request, {
    headers: { value: { ...others, ...credential } },
    cookies: { value: credential.cookie ? request.server.parseCookie(credential.cookie) : {} },
  });
}
