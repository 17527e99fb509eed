/**
 * The write path of every mutating route: one transaction in which the change, its event, its audit record and,
 * with an `Idempotency-Key`, the answer itself are stored together. The same key with the same request gives the
 * stored answer again; with another request it is refused.
 */
import { createHash } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import { canonicalJson, type JsonObject } from '../../base/json.ts';
import { Problem } from '../../base/problem.ts';
import type { Reader, Tenants, Tx } from '../db/db.ts';
import type { Actor } from '../journal/facts.ts';

const keyForm = /^[\x21-\x7e]{1,200}$/;

/** The caller's key. @throws Problem `idempotency_key_invalid`. */
function keyOf(request: FastifyRequest): string | null {
  const key = request.headers['idempotency-key'];
  if (key === undefined) return null;
  if (typeof key === 'string' && keyForm.test(key)) return key;
  throw new Problem(
    'invalid',
    'idempotency_key_invalid',
    'Idempotency-Key must be 1 to 200 visible ASCII characters.',
    { status: 400 },
  );
}

const hashOf = (request: FastifyRequest): string =>
  createHash('sha256')
    .update(canonicalJson([request.method, request.url, request.body ?? null]))
    .digest('hex');

/**
 * The stored answer to this very request, if its key was used before: for routes that look at the world before they
 * write, since the world may have changed. @throws Problem `idempotency_key_reused`.
 */
export async function findAnswer<T extends object>(
  db: Reader,
  actor: Actor,
  request: FastifyRequest,
): Promise<T | null> {
  const key = keyOf(request);
  if (key === null) return null;
  const stored = await db
    .selectFrom('idempotency_keys')
    .select(['request_hash', 'body'])
    .where('organization_id', '=', actor.organizationId)
    .where('actor', '=', actor.id)
    .where('key', '=', key)
    .executeTakeFirst();
  if (!stored) return null;
  if (stored.request_hash === hashOf(request)) return stored.body as unknown as T;
  throw new Problem(
    'conflict',
    'idempotency_key_reused',
    'This Idempotency-Key was used for another request.',
  );
}

export async function write<T extends object>(
  tenants: Tenants,
  actor: Actor,
  now: Date,
  request: FastifyRequest,
  work: (tx: Tx) => Promise<T>,
): Promise<T> {
  const key = keyOf(request);
  if (key === null) return tenants.within(actor, work);
  return tenants.within(actor, async tx => {
    // Waits for whoever writes under the same key just now; their answer is there when they have committed.
    const fresh = await tx
      .insertInto('idempotency_keys')
      .values({
        organization_id: actor.organizationId,
        actor: actor.id,
        key,
        request_hash: hashOf(request),
        status: null,
        body: null,
        created_at: now,
      })
      .onConflict(oc => oc.doNothing())
      .returning('key')
      .executeTakeFirst();
    if (!fresh) return (await findAnswer<T>(tx, actor, request)) as T;
    const body = await work(tx);
    await tx
      .updateTable('idempotency_keys')
      .set({ status: 200, body: JSON.stringify(body as JsonObject) })
      .where('organization_id', '=', actor.organizationId)
      .where('actor', '=', actor.id)
      .where('key', '=', key)
      .execute();
    return body;
  });
}
