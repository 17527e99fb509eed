/** Routes of secrets. Values come in and never go out. */
import { z } from 'zod';
import type { Clock } from '../../base/time.ts';
import type { Tenants } from '../../platform/db/db.ts';
import {
  longPageQuery,
  pageOf,
  problemResponses,
  time,
  timeOrNull,
  toPage,
} from '../../platform/http/schemas.ts';
import type { Server } from '../../platform/http/server.ts';
import type { Sealer } from '../../platform/secrets/sealer.ts';
import { actorOf } from '../identity/access.ts';
import { listSecrets, nameForm, putSecret, revokeSecret, type Secret } from './secrets.ts';

const secret = z
  .object({
    id: z.string(),
    name: z.string(),
    version: z.number().int(),
    state: z.enum(['in_force', 'replaced', 'revoked']),
    created_by: z.string(),
    created_at: z.string(),
    rotate_by: z.string().nullable().describe('Until when the value ought to be replaced.'),
    is_overdue: z.boolean().describe('In force, though it ought to have been replaced by now.'),
    last_used_at: z.string().nullable(),
    replaced_at: z.string().nullable(),
    revoked_at: z.string().nullable(),
  })
  .meta({ id: 'Secret' });

const name = z
  .string()
  .min(1)
  .max(200)
  .regex(nameForm, 'must be words of a-z, 0-9, ., _ and - with / between them');

function show(row: Secret, now: Date): z.output<typeof secret> {
  const state = row.revoked_at ? 'revoked' : row.replaced_at ? 'replaced' : 'in_force';
  return {
    id: row.id,
    name: row.name,
    version: row.version,
    state,
    created_by: row.created_by,
    created_at: time(row.created_at),
    rotate_by: timeOrNull(row.rotate_by),
    is_overdue: state === 'in_force' && row.rotate_by !== null && row.rotate_by <= now,
    last_used_at: timeOrNull(row.last_used_at),
    replaced_at: timeOrNull(row.replaced_at),
    revoked_at: timeOrNull(row.revoked_at),
  };
}

export function secretRoutes(server: Server, deps: { tenants: Tenants; clock: Clock; sealer: Sealer }): void {
  const { tenants, clock, sealer } = deps;
  const now = () => new Date(clock.now());

  server.get(
    '/api/v1/secrets',
    {
      config: { permission: 'secret.read' },
      schema: {
        tags: ['secrets'],
        summary: 'List the secrets in force, newest first; with a name all versions of it',
        description: 'Names, versions and times only: no route gives a value back.',
        querystring: longPageQuery.extend({ name: name.optional() }),
        response: { 200: pageOf(secret), ...problemResponses },
      },
    },
    async request => {
      const { cursor, limit, name: wanted } = request.query;
      const rows = await tenants.within(actorOf(request), tx =>
        listSecrets(tx, actorOf(request), { name: wanted, before: cursor, limit: limit + 1 }),
      );
      const page = toPage(rows, limit);
      return { ...page, items: page.items.map(row => show(row, now())) };
    },
  );

  server.post(
    '/api/v1/secrets',
    {
      config: { permission: 'secret.manage' },
      schema: {
        tags: ['secrets'],
        summary: 'Set a secret: its first version, or the next one, which replaces the one in force',
        description:
          'Who uses the secret works with the new value within a minute. The value before is erased.',
        body: z.strictObject({
          name,
          value: z.string().min(1).max(65_536),
          rotate_in_days: z.number().int().min(1).max(3_650).nullable().default(null),
        }),
        response: { 200: secret, ...problemResponses },
      },
    },
    async request => {
      const { name: wanted, value, rotate_in_days: days } = request.body;
      const rotateBy = days === null ? null : new Date(clock.now() + days * 86_400_000);
      // Not through `write`: for a replay it would store a hash of the body, by which a short value could be guessed.
      const made = await tenants.within(actorOf(request), tx =>
        putSecret(tx, sealer, actorOf(request), now(), { name: wanted, value, rotateBy }),
      );
      return show(made, now());
    },
  );

  server.delete(
    '/api/v1/secrets/:name',
    {
      config: { permission: 'secret.manage' },
      schema: {
        tags: ['secrets'],
        summary: 'Revoke a secret: its value is erased and no longer used within a minute',
        params: z.strictObject({ name }),
        response: { 200: secret, ...problemResponses },
      },
    },
    async request => {
      const revoked = await tenants.within(actorOf(request), tx =>
        revokeSecret(tx, actorOf(request), now(), request.params.name),
      );
      return show(revoked, now());
    },
  );
}
