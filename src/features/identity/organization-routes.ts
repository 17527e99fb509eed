/**
 * Routes of organizations. Whoever is a member of several says by the header `x-organization` which one a request is
 * for; without it, it is the one that the session is for. Programs belong to one.
 */
import { z } from 'zod';
import type { Clock } from '../../base/time.ts';
import { type Db, type Tenants, type Tx, transact } from '../../platform/db/db.ts';
import { problemResponses } from '../../platform/http/schemas.ts';
import type { Server } from '../../platform/http/server.ts';
import { write } from '../../platform/http/write.ts';
import { memberOf, principalOf } from './access.ts';
import { createApiKey } from './api-keys.ts';
import {
  createOrganization,
  listMemberships,
  type MadeOrganization,
  renameOrganization,
} from './organizations.ts';
import { roles, scopes } from './permissions.ts';
import { requireWhole } from './principal.ts';

export interface OrganizationDeps {
  db: Db;
  tenants: Tenants;
  clock: Clock;
  /** Gives a new organization what every one has: its first team. */
  furnish(tx: Tx, made: MadeOrganization, now: Date): Promise<void>;
}

const name = z.string().trim().min(1).max(100);
const tags = ['access'];

export function organizationRoutes(server: Server, deps: OrganizationDeps): void {
  const { db, tenants, clock } = deps;
  const now = () => new Date(clock.now());

  server.get(
    '/api/v1/organizations',
    {
      config: { signedIn: true },
      schema: {
        tags,
        summary: 'The organizations that you are a member of',
        description: 'Send the id of one in the header `x-organization` to work in it.',
        response: {
          200: z.object({
            items: z.array(
              z.object({ id: z.string(), name: z.string(), role: z.enum(roles), current: z.boolean() }),
            ),
          }),
          ...problemResponses,
        },
      },
    },
    async request => {
      const { actor, session, subject } = principalOf(request);
      const current = (id: string): boolean => id === actor.organizationId;
      if (session) {
        const rows = await listMemberships(db, session.userId);
        return { items: rows.map(row => ({ ...row, current: current(row.id) })) };
      }
      const own = await tenants.within(actor, tx =>
        tx
          .selectFrom('organizations')
          .select(['id', 'name'])
          .where('id', '=', actor.organizationId)
          .executeTakeFirstOrThrow(),
      );
      return { items: [{ ...own, role: subject.role, current: true }] };
    },
  );

  server.post(
    '/api/v1/organizations',
    {
      config: { permission: 'installation.manage' },
      schema: {
        tags,
        summary: 'Make another organization on this deployment; you are its owner',
        body: z.strictObject({
          name,
          with_key: z.boolean().default(false).describe('Also make an API key in it; it is shown this once.'),
        }),
        response: {
          200: z.object({
            id: z.string(),
            name: z.string(),
            project_id: z.string(),
            key: z.string().nullable(),
          }),
          ...problemResponses,
        },
      },
    },
    async request => {
      const principal = principalOf(request);
      requireWhole(principal);
      const maker = memberOf(request);
      const expiresAt = new Date(clock.now() + 90 * 86_400_000);
      // Of two organizations, so not within one; and not through `write`: the answer may hold a secret.
      return transact(db, async tx => {
        const made = await createOrganization(tx, principal.actor, now(), request.body.name, maker);
        await deps.furnish(tx, made, now());
        const input = { name: 'first key', scopes: [...scopes], expiresAt };
        const key = request.body.with_key
          ? (await createApiKey(tx, made.owner, now(), { memberId: made.ownerId }, input)).key
          : null;
        return { id: made.id, name: made.name, project_id: made.projectId, key };
      });
    },
  );

  server.patch(
    '/api/v1/organization',
    {
      config: { permission: 'organization.manage' },
      schema: {
        tags,
        summary: 'Rename this organization',
        body: z.strictObject({ name }),
        response: { 200: z.object({ id: z.string(), name: z.string() }), ...problemResponses },
      },
    },
    async request => {
      const { actor } = principalOf(request);
      return write(tenants, actor, now(), request, tx =>
        renameOrganization(tx, actor, now(), request.body.name),
      );
    },
  );
}
