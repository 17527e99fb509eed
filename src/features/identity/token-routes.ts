/** Routes of signed tokens: an API key for a short-lived token, the public keys, and the rotation of those that sign. */
import { z } from 'zod';
import { idPattern } from '../../base/ids.ts';
import { Problem } from '../../base/problem.ts';
import { type Clock, minutes } from '../../base/time.ts';
import { type Db, transact } from '../../platform/db/db.ts';
import { problemResponses, time, timeOrNull } from '../../platform/http/schemas.ts';
import type { Server } from '../../platform/http/server.ts';
import { appendAudit } from '../../platform/journal/facts.ts';
import type { Sealer } from '../../platform/secrets/sealer.ts';
import { principalOf } from './access.ts';
import { requireKeyWithin } from './api-keys.ts';
import { permissions, scopes } from './permissions.ts';
import { holdsRole, may, type Principal, permissionMissing } from './principal.ts';
import { getServiceAccount } from './service-accounts.ts';
import { currentSigningKey, listSigningKeys, rotateSigningKey } from './signing-keys.ts';
import { issueToken, type TokenInput, type TokenSettings } from './tokens.ts';

export interface TokenDeps {
  db: Db;
  clock: Clock;
  sealer: Sealer;
  tokens: TokenSettings;
}

const signingKey = z.object({
  id: z.string(),
  algorithm: z.string(),
  created_at: z.string(),
  retires_at: z.string().nullable().describe('Null: it signs.'),
});

export function tokenRoutes(server: Server, deps: TokenDeps): void {
  const { db, clock, sealer } = deps;
  const now = () => new Date(clock.now());

  server.post(
    '/api/v1/tokens',
    {
      config: { signedIn: true },
      schema: {
        tags: ['identity'],
        summary: 'Trade an API key for a short-lived signed token, or make one for a service account',
        body: z
          .strictObject({
            scopes: z
              .array(z.enum([...scopes, ...permissions]))
              .min(1)
              .max(100)
              .nullable()
              .default(null)
              .describe('Default: all that the key names.'),
            project_ids: z
              .array(z.string().regex(idPattern('proj')))
              .min(1)
              .max(100)
              .nullable()
              .default(null),
            service_account_id: z.string().regex(idPattern('svc')).nullable().default(null),
            minutes: z.number().int().min(1).max(60).optional().describe('At most what the server allows.'),
          })
          .default({ scopes: null, project_ids: null, service_account_id: null }),
        response: {
          200: z.object({
            token: z.string(),
            token_type: z.literal('Bearer'),
            expires_at: z.string(),
            expires_in: z.number().int().describe('Seconds.'),
          }),
          ...problemResponses,
        },
      },
    },
    async request => {
      const principal = principalOf(request);
      const { scopes: names, project_ids: projectIds, service_account_id: serviceAccountId } = request.body;
      const at = now();
      return transact(db, async tx => {
        const of =
          serviceAccountId === null
            ? ofKey(principal)
            : await ofServiceAccount(
                principal,
                await getServiceAccount(tx, principal.actor, serviceAccountId),
              );
        if (names) requireKeyWithin(principal, { scopes: names, projectIds });
        const made = await issueToken(tx, at, sealer, deps.tokens, {
          ...of,
          organizationId: principal.actor.organizationId,
          scopes: names,
          projectIds,
          lifeMinutes: request.body.minutes ?? deps.tokens.lifeMinutes,
        });
        const facts = { id: made.id, key: of.keyId, scopes: names, expires_at: time(made.expiresAt) };
        await appendAudit(tx, principal.actor, at, 'token.issue', of.subject, 'ok', facts);
        return {
          token: made.token,
          token_type: 'Bearer' as const,
          expires_at: time(made.expiresAt),
          expires_in: Math.floor((made.expiresAt.getTime() - at.getTime()) / 1_000),
        };
      });
    },
  );

  server.get(
    '/.well-known/jwks.json',
    {
      config: { public: true },
      schema: {
        tags: ['identity'],
        summary: 'Public keys of the tokens that this server signs (RFC 7517)',
        response: { 200: z.object({ keys: z.array(z.record(z.string(), z.string())) }) },
      },
    },
    async (_request, reply) => {
      await currentSigningKey(db, sealer, now());
      reply.header('cache-control', 'public, max-age=60');
      const keys = await listSigningKeys(db, now());
      return { keys: keys.map(key => key.public_jwk as Record<string, string>) };
    },
  );

  server.get(
    '/api/v1/signing-keys',
    {
      config: { permission: 'installation.manage' },
      schema: {
        tags: ['identity'],
        summary: 'Keys whose signatures are believed, the newest first',
        response: { 200: z.object({ items: z.array(signingKey) }), ...problemResponses },
      },
    },
    async () => ({
      items: (await listSigningKeys(db, now())).map(key => ({
        id: key.id,
        algorithm: key.algorithm,
        created_at: time(key.created_at),
        retires_at: timeOrNull(key.retires_at),
      })),
    }),
  );

  server.post(
    '/api/v1/signing-keys/rotate',
    {
      config: { permission: 'installation.manage' },
      schema: {
        tags: ['identity'],
        summary: 'Sign with a new key from now on; the old one is believed until the overlap ends',
        body: z
          .strictObject({
            overlap_minutes: z
              .number()
              .int()
              .min(0)
              .max(10_080)
              .default(120)
              .describe('0 ends every token that there is, at once.'),
          })
          .default({ overlap_minutes: 120 }),
        response: { 200: signingKey, ...problemResponses },
      },
    },
    async request => {
      const { actor } = principalOf(request);
      const overlapMs = minutes(request.body.overlap_minutes);
      const key = await transact(db, tx => rotateSigningKey(tx, actor, now(), sealer, overlapMs));
      return {
        id: key.id,
        algorithm: key.algorithm,
        created_at: time(key.created_at),
        retires_at: timeOrNull(key.retires_at),
      };
    },
  );
}

type TokenOwner = Pick<TokenInput, 'subject' | 'keyId'>;

/** From a key itself: a token does not give birth to tokens, so each ends for good. */
function ofKey(principal: Principal): TokenOwner {
  if (principal.via === 'key') return { subject: principal.actor.id, keyId: principal.apiKeyId };
  throw new Problem('forbidden', 'key_required', 'Send an API key: only a key can be traded for a token.');
}

async function ofServiceAccount(
  principal: Principal,
  account: Awaited<ReturnType<typeof getServiceAccount>>,
): Promise<TokenOwner> {
  if (principal.via !== 'key' && principal.via !== 'session')
    throw new Problem('forbidden', 'key_required', 'A token cannot make another token.');
  if (!may(principal, 'key.manage')) throw permissionMissing('key.manage');
  if (account.disabled_at)
    throw new Problem('conflict', 'service_account_disabled', 'This service account is disabled.');
  if (!holdsRole(principal, account.role)) {
    throw new Problem(
      'forbidden',
      'role_not_held',
      `The service account is ${account.role}, which is more than you are.`,
    );
  }
  return { subject: `service:${account.id}`, keyId: null };
}
