/** Routes of health: alive, ready and why not, version, what `doctor` shows, and the stream of live events. */
import { z } from 'zod';
import { idPattern } from '../../base/ids.ts';
import type { Clock } from '../../base/time.ts';
import type { Db, Tenants } from '../../platform/db/db.ts';
import { problemResponses } from '../../platform/http/schemas.ts';
import type { Server } from '../../platform/http/server.ts';
import type { Connections } from '../../platform/live/connections.ts';
import { streamEvents } from '../../platform/live/sse.ts';
import type { EventTail } from '../../platform/live/tail.ts';
import { type Access, principalOf } from '../identity/access.ts';
import { mayHear } from '../identity/event-access.ts';
import { taskFor } from '../tasks/task-access.ts';
import { listenerOf } from './socket-routes.ts';

/** One thing that Guildhall depends on. `required: false`: the server is ready without it, some work is not. */
export const componentSchema = z
  .object({
    name: z.string(),
    state: z.enum(['ok', 'failed']),
    required: z.boolean(),
    summary: z.string(),
    fix: z.string().nullable().describe('The command or setting that mends it.'),
  })
  .meta({ id: 'Component' });
export type Component = z.output<typeof componentSchema>;

const health = z.object({ ready: z.boolean(), components: z.array(componentSchema) }).meta({ id: 'Health' });
const version = z.object({
  name: z.literal('guildhall'),
  version: z.string(),
  git_sha: z.string().nullable(),
  node: z.string(),
});

export interface HealthDeps {
  findReader: Access['findReader'];
  /** Whether whoever listens may still do so. */
  db: Db;
  tenants: Tenants;
  clock: Clock;
  tail: EventTail;
  connections: Connections;
  version: string;
  gitSha: string | null;
  components(): Promise<Component[]>;
}

export function healthRoutes(server: Server, deps: HealthDeps): void {
  const open = { public: true };

  server.get(
    '/livez',
    {
      // Probes of the process count as nothing: it costs nothing to answer them.
      config: { ...open, limit: 'none', probe: true },
      schema: {
        tags: ['health'],
        summary: 'The process answers',
        response: { 200: z.object({ live: z.literal(true) }) },
      },
    },
    async () => ({ live: true as const }),
  );

  server.get(
    '/readyz',
    {
      config: { ...open, probe: true },
      schema: {
        tags: ['health'],
        summary: 'All that is required works; names what does not',
        response: { 200: health, 503: health },
      },
    },
    async (_request, reply) => {
      const components = await deps.components();
      const ready = components.every(c => c.state === 'ok' || !c.required);
      reply.status(ready ? 200 : 503);
      return { ready, components };
    },
  );

  server.get(
    '/version',
    { config: open, schema: { tags: ['health'], summary: 'What runs here', response: { 200: version } } },
    async () => ({
      name: 'guildhall' as const,
      version: deps.version,
      git_sha: deps.gitSha,
      node: process.version,
    }),
  );

  server.get(
    '/api/v1/openapi.json',
    { config: { signedIn: true }, schema: { hide: true } },
    async (_request, reply) => {
      reply.type('application/json').serializer((value: unknown) => JSON.stringify(value));
      return server.swagger();
    },
  );

  server.get(
    '/api/v1/events',
    {
      exposeHeadRoute: false,
      config: { permission: 'event.read', limit: 'stream' },
      schema: {
        tags: ['live'],
        summary: 'Server-sent events, as they become true',
        description: 'Resumes after `Last-Event-ID`. With task_id: only events of the tree of that task.',
        querystring: z.strictObject({
          task_id: z.string().regex(idPattern('task')).optional(),
          last_event_id: z
            .string()
            .max(60)
            .optional()
            .describe('As the header, for clients that cannot set it. `0-0` replays all.'),
        }),
        response: problemResponses,
      },
    },
    async (request, reply) => {
      let reader = principalOf(request);
      const { actor } = reader;
      const { task_id: taskId, last_event_id: fromQuery } = request.query;
      const rootTaskId = taskId
        ? (await deps.tenants.within(actor, tx => taskFor(tx, reader, 'event.read', taskId))).root_task_id
        : null;
      const header = request.headers['last-event-id'];
      const lastEventId = (typeof header === 'string' ? header : fromQuery) ?? null;
      reply.raw.once('close', deps.connections.open(listenerOf(reader)));
      await streamEvents(deps.tenants, deps.tail, request, reply, {
        organizationId: actor.organizationId,
        rootTaskId,
        lastEventId,
        mayHear: event => mayHear(reader, event),
        stillAllowed: async () => {
          const found = await deps.findReader(request);
          // Roles and classifications may have changed since.
          if (found) reader = found;
          return found !== null;
        },
      });
    },
  );
}
