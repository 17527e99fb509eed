/** Routes of API keys. */
import { z } from 'zod';
import { idPattern } from '../../base/ids.ts';
import type { Clock } from '../../base/time.ts';
import type { Tenants } from '../../platform/db/db.ts';
import type { Row } from '../../platform/db/schema.ts';
import {
  longPageQuery,
  pageOf,
  problemResponses,
  time,
  timeOrNull,
  toPage,
} from '../../platform/http/schemas.ts';
import type { Server } from '../../platform/http/server.ts';
import { write } from '../../platform/http/write.ts';
import { actorOf, principalOf } from './access.ts';
import { createApiKey, listApiKeys, revokeApiKey } from './api-keys.ts';
import { scopes } from './principal.ts';

const apiKey = z
  .object({
    id: z.string(),
    name: z.string(),
    prefix: z.string(),
    scopes: z.array(z.string()),
    created_at: z.string(),
    expires_at: z.string().nullable(),
    revoked_at: z.string().nullable(),
    last_used_at: z.string().nullable(),
  })
  .meta({ id: 'ApiKey' });

const showKey = (row: Row<'api_keys'>): z.output<typeof apiKey> => ({
  id: row.id,
  name: row.name,
  prefix: row.prefix,
  scopes: row.scopes,
  created_at: time(row.created_at),
  expires_at: timeOrNull(row.expires_at),
  revoked_at: timeOrNull(row.revoked_at),
  last_used_at: timeOrNull(row.last_used_at),
});

export function keyRoutes(server: Server, deps: { tenants: Tenants; clock: Clock }): void {
  const { tenants, clock } = deps;
  const now = () => new Date(clock.now());

  server.get(
    '/api/v1/api-keys',
    {
      config: { scope: 'admin' },
      schema: {
        tags: ['identity'],
        summary: 'List API keys, newest first',
        querystring: longPageQuery,
        response: { 200: pageOf(apiKey), ...problemResponses },
      },
    },
    async request => {
      const actor = actorOf(request);
      const { cursor, limit } = request.query;
      const rows = await tenants.within(actor, tx =>
        listApiKeys(tx, actor, { before: cursor, limit: limit + 1 }),
      );
      const page = toPage(rows, limit);
      return { ...page, items: page.items.map(showKey) };
    },
  );

  server.post(
    '/api/v1/api-keys',
    {
      config: { scope: 'admin' },
      schema: {
        tags: ['identity'],
        summary: 'Create an API key; it is shown this once',
        body: z.strictObject({
          name: z.string().min(1).max(100),
          scopes: z.array(z.enum(scopes)).min(1).default(['read', 'write']),
          expires_in_days: z.number().int().min(1).max(3_650).nullable().default(90),
        }),
        response: { 200: z.object({ id: z.string(), key: z.string() }), ...problemResponses },
      },
    },
    async request => {
      const principal = principalOf(request);
      const { name, scopes: wanted, expires_in_days: days } = request.body;
      const expiresAt = days === null ? null : new Date(clock.now() + days * 86_400_000);
      const owner = { memberId: principal.member.id, scopes: principal.scopes };
      // Not through `write`: the answer holds a secret, which must not be stored for a replay.
      return tenants.within(principal.actor, tx =>
        createApiKey(tx, principal.actor, now(), owner, { name, scopes: wanted, expiresAt }),
      );
    },
  );

  server.delete(
    '/api/v1/api-keys/:id',
    {
      config: { scope: 'admin' },
      schema: {
        tags: ['identity'],
        summary: 'Revoke an API key, at once',
        params: z.strictObject({ id: z.string().regex(idPattern('key')) }),
        response: { 200: z.object({ revoked: z.literal(true) }), ...problemResponses },
      },
    },
    async request =>
      write(tenants, actorOf(request), now(), request, async tx => {
        await revokeApiKey(tx, actorOf(request), now(), request.params.id);
        return { revoked: true as const };
      }),
  );
}
