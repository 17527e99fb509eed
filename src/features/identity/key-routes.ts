/** Routes of API keys: one's own, those of service accounts, and for those who manage keys everybody's. */
import { z } from 'zod';
import { idPattern } from '../../base/ids.ts';
import { Problem } from '../../base/problem.ts';
import { type Clock, minutes } from '../../base/time.ts';
import type { Tenants, Tx } from '../../platform/db/db.ts';
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
import { memberOf, principalOf } from './access.ts';
import {
  createApiKey,
  type KeyOwner,
  listApiKeys,
  lockApiKey,
  ownerOf,
  requireKeyWithin,
  requireProjects,
  revokeApiKey,
  rotateApiKey,
} from './api-keys.ts';
import { permissions, scopes } from './permissions.ts';
import { holdsRole, may, type Principal, permissionMissing } from './principal.ts';
import { getServiceAccount } from './service-accounts.ts';

const apiKey = z
  .object({
    id: z.string(),
    name: z.string(),
    prefix: z.string(),
    member_id: z.string().nullable(),
    service_account_id: z.string().nullable(),
    scopes: z.array(z.string()),
    project_ids: z.array(z.string()).nullable().describe('Null: every project that its owner may see.'),
    created_at: z.string(),
    expires_at: z.string().nullable(),
    revoked_at: z.string().nullable(),
    last_used_at: z.string().nullable(),
    replaced_by: z.string().nullable(),
  })
  .meta({ id: 'ApiKey' });

const showKey = (row: Row<'api_keys'>): z.output<typeof apiKey> => ({
  id: row.id,
  name: row.name,
  prefix: row.prefix,
  member_id: row.member_id,
  service_account_id: row.service_account_id,
  scopes: row.scopes,
  project_ids: row.project_ids,
  created_at: time(row.created_at),
  expires_at: timeOrNull(row.expires_at),
  revoked_at: timeOrNull(row.revoked_at),
  last_used_at: timeOrNull(row.last_used_at),
  replaced_by: row.replaced_by,
});

/** A bundle, or one permission. */
const scopeName = z.enum([...scopes, ...permissions]);
const keyId = z.strictObject({ id: z.string().regex(idPattern('key')) });

export function keyRoutes(server: Server, deps: { tenants: Tenants; clock: Clock }): void {
  const { tenants, clock } = deps;
  const now = () => new Date(clock.now());

  server.get(
    '/api/v1/api-keys',
    {
      config: { permission: 'key.own' },
      schema: {
        tags: ['identity'],
        summary: 'List API keys, newest first: all for those who may read them, otherwise one’s own',
        querystring: longPageQuery,
        response: { 200: pageOf(apiKey), ...problemResponses },
      },
    },
    async request => {
      const principal = principalOf(request);
      const { actor } = principal;
      const owner = may(principal, 'key.read') ? undefined : ownKeys(principal);
      const { cursor, limit } = request.query;
      const rows = await tenants.within(actor, tx =>
        listApiKeys(tx, actor, { before: cursor, limit: limit + 1, owner }),
      );
      const page = toPage(rows, limit);
      return { ...page, items: page.items.map(showKey) };
    },
  );

  server.post(
    '/api/v1/api-keys',
    {
      config: { permission: 'key.own' },
      schema: {
        tags: ['identity'],
        summary: 'Create an API key for yourself or a service account; it is shown this once',
        body: z.strictObject({
          name: z.string().min(1).max(100),
          scopes: z
            .array(scopeName)
            .min(1)
            .max(100)
            .default(['read', 'write'])
            .describe('Bundles (read, write, admin) or single permissions such as task.create.'),
          project_ids: z
            .array(z.string().regex(idPattern('proj')))
            .min(1)
            .max(100)
            .nullable()
            .default(null)
            .describe('Only these projects, and nothing of the organization as a whole.'),
          service_account_id: z.string().regex(idPattern('svc')).nullable().default(null),
          expires_in_days: z.number().int().min(1).max(3_650).nullable().default(90),
        }),
        response: { 200: z.object({ id: z.string(), key: z.string() }), ...problemResponses },
      },
    },
    async request => {
      const principal = principalOf(request);
      const { name, scopes: wanted, project_ids: projectIds, expires_in_days: days } = request.body;
      const { service_account_id: serviceAccountId } = request.body;
      const expiresAt = days === null ? null : new Date(clock.now() + days * 86_400_000);
      requireKeyWithin(principal, { scopes: wanted, projectIds });
      // Not through `write`: the answer holds a secret, which must not be stored for a replay.
      return tenants.within(principal.actor, async tx => {
        await requireProjects(tx, principal.actor, projectIds);
        const owner =
          serviceAccountId === null
            ? { memberId: memberOf(request).id }
            : await serviceAccountFor(tx, principal, serviceAccountId);
        const input = { name, scopes: wanted, projectIds, expiresAt };
        return createApiKey(tx, principal.actor, now(), owner, input);
      });
    },
  );

  server.post(
    '/api/v1/api-keys/:id/rotate',
    {
      config: { permission: 'key.own' },
      schema: {
        tags: ['identity'],
        summary: 'Replace an API key: the new one is shown this once, the old one ends after the overlap',
        params: keyId,
        body: z
          .strictObject({ overlap_minutes: z.number().int().min(0).max(43_200).default(60) })
          .default({ overlap_minutes: 60 }),
        response: {
          200: z.object({ id: z.string(), key: z.string(), old_key_ends_at: z.string() }),
          ...problemResponses,
        },
      },
    },
    async request => {
      const principal = principalOf(request);
      const overlapMs = minutes(request.body.overlap_minutes);
      return tenants.within(principal.actor, async tx => {
        const old = await lockApiKey(tx, principal.actor, now(), request.params.id);
        await requireControl(tx, principal, ownerOf(old));
        requireKeyWithin(principal, {
          scopes: old.scopes as (typeof scopes)[number][],
          projectIds: old.project_ids,
        });
        const made = await rotateApiKey(tx, principal.actor, now(), old.id, overlapMs);
        return { id: made.id, key: made.key, old_key_ends_at: time(made.replacedEndsAt) };
      });
    },
  );

  server.delete(
    '/api/v1/api-keys/:id',
    {
      config: { permission: 'key.own' },
      schema: {
        tags: ['identity'],
        summary: 'Revoke an API key, at once',
        params: keyId,
        response: { 200: z.object({ revoked: z.literal(true) }), ...problemResponses },
      },
    },
    async request => {
      const principal = principalOf(request);
      return write(tenants, principal.actor, now(), request, async tx => {
        if (!may(principal, 'key.manage')) await requireOwn(tx, principal, request.params.id);
        await revokeApiKey(tx, principal.actor, now(), request.params.id);
        return { revoked: true as const };
      });
    },
  );
}

const ownKeys = ({ subject }: Principal): KeyOwner =>
  subject.kind === 'service' ? { serviceAccountId: subject.id } : { memberId: subject.id };

/** A key for a service account can do what that may: only who may all of it makes one. */
async function serviceAccountFor(tx: Tx, principal: Principal, id: string): Promise<KeyOwner> {
  if (!may(principal, 'key.manage')) throw permissionMissing('key.manage');
  const account = await getServiceAccount(tx, principal.actor, id);
  if (account.disabled_at)
    throw new Problem('conflict', 'service_account_disabled', 'This service account is disabled.');
  if (!holdsRole(principal, account.role)) {
    throw new Problem(
      'forbidden',
      'role_not_held',
      `The service account is ${account.role}, which is more than you are.`,
    );
  }
  return { serviceAccountId: id };
}

/** Who is given the new key must be its owner, or may make keys for its owner. */
async function requireControl(tx: Tx, principal: Principal, owner: KeyOwner): Promise<void> {
  if (isSame(owner, ownKeys(principal))) return;
  if ('serviceAccountId' in owner) await serviceAccountFor(tx, principal, owner.serviceAccountId);
  else
    throw new Problem(
      'forbidden',
      'key_of_another',
      'Only its owner can rotate this key; you may revoke it.',
    );
}

async function requireOwn(tx: Tx, principal: Principal, id: string): Promise<void> {
  const row = await tx.selectFrom('api_keys').selectAll().where('id', '=', id).executeTakeFirst();
  if (!row || !isSame(ownerOf(row), ownKeys(principal)))
    throw new Problem('missing', 'api_key_missing', 'There is no such key, or it is revoked already.');
}

const isSame = (a: KeyOwner, b: KeyOwner): boolean => JSON.stringify(a) === JSON.stringify(b);
