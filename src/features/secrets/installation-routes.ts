/** Routes that rotate secrets of the deployment itself. */
import { z } from 'zod';
import { Problem } from '../../base/problem.ts';
import type { Clock } from '../../base/time.ts';
import type { Db, Tenants } from '../../platform/db/db.ts';
import { problemResponses } from '../../platform/http/schemas.ts';
import type { Server } from '../../platform/http/server.ts';
import { appendAudit } from '../../platform/journal/facts.ts';
import type { Sealer } from '../../platform/secrets/sealer.ts';
import { actorOf } from '../identity/access.ts';
import { type MasterKeys, rotateMasterKey } from './master-rotation.ts';

export interface RotationDeps {
  db: Db;
  tenants: Tenants;
  clock: Clock;
  sealer: Sealer;
  masterKeys: MasterKeys;
  /** Null: the database is not ours to administer. */
  rotateDatabasePasswords: (() => Promise<void>) | null;
}

export function rotationRoutes(server: Server, deps: RotationDeps): void {
  const { db, tenants, clock, sealer } = deps;
  const now = () => new Date(clock.now());

  server.post(
    '/api/v1/installation/master-key/rotation',
    {
      config: { permission: 'installation.manage' },
      schema: {
        tags: ['secrets'],
        summary: 'Seal every secret anew under the newest master key',
        description:
          'With the embedded database the server makes the new key; otherwise it is the GUILDHALL_MASTER_KEY that the replicas were started with.',
        body: z.strictObject({
          forget_old: z
            .boolean()
            .default(false)
            .describe('Drop the keys before: backups made until now cannot be opened any more.'),
        }),
        response: {
          200: z.object({
            key_id: z.string(),
            resealed: z.number().int(),
            older_keys: z.array(z.string()),
          }),
          ...problemResponses,
        },
      },
    },
    request => rotateMasterKey(db, sealer, deps.masterKeys, actorOf(request), now(), request.body.forget_old),
  );

  server.post(
    '/api/v1/installation/database-password/rotation',
    {
      config: { permission: 'installation.manage' },
      schema: {
        tags: ['secrets'],
        summary: 'Set new passwords for the roles of the embedded database',
        response: { 200: z.object({ rotated: z.literal(true) }), ...problemResponses },
      },
    },
    async request => {
      if (!deps.rotateDatabasePasswords)
        throw new Problem(
          'conflict',
          'database_not_ours',
          'The database is not run by Guildhall. Change the password there, then in the file or store that DATABASE_URL comes from: new connections use it within seconds, and none fails.',
        );
      await deps.rotateDatabasePasswords();
      const actor = actorOf(request);
      await tenants.within(actor, tx =>
        appendAudit(tx, actor, now(), 'database_password.rotate', null, 'ok'),
      );
      return { rotated: true as const };
    },
  );
}
