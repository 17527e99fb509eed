/**
 * The write path of every mutating route: one transaction in which the change, its event, its audit record and,
 * with an `Idempotency-Key`, the answer itself are stored together. The same key with the same request gives the
 * stored answer again; with another request it is refused.
 */
import { createHash } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import { canonicalJson, type JsonObject } from '../../base/json.ts';
import { Problem } from '../../base/problem.ts';
import { type Db, type Tx, transact } from '../db/db.ts';
import type { Actor } from '../journal/facts.ts';

const keyForm = /^[\x21-\x7e]{1,200}$/;

export async function write<T extends object>(
  db: Db,
  actor: Actor,
  now: Date,
  request: FastifyRequest,
  work: (tx: Tx) => Promise<T>,
): Promise<T> {
  const key = request.headers['idempotency-key'];
  if (key === undefined) return transact(db, work);
  if (typeof key !== 'string' || !keyForm.test(key)) {
    throw new Problem(
      'invalid',
      'idempotency_key_invalid',
      'Idempotency-Key must be 1 to 200 visible ASCII characters.',
      { status: 400 },
    );
  }
  const requestHash = createHash('sha256')
    .update(canonicalJson([request.method, request.url, request.body ?? null]))
    .digest('hex');
  return transact(db, async tx => {
    const fresh = await tx
      .insertInto('idempotency_keys')
      .values({
        organization_id: actor.organizationId,
        actor: actor.id,
        key,
        request_hash: requestHash,
        status: null,
        body: null,
        created_at: now,
      })
      .onConflict(oc => oc.doNothing())
      .returning('key')
      .executeTakeFirst();
    const mine = tx
      .selectFrom('idempotency_keys')
      .selectAll()
      .where('organization_id', '=', actor.organizationId)
      .where('actor', '=', actor.id)
      .where('key', '=', key);
    if (!fresh) {
      const stored = await mine.executeTakeFirstOrThrow();
      if (stored.request_hash !== requestHash) {
        throw new Problem(
          'conflict',
          'idempotency_key_reused',
          'This Idempotency-Key was used for another request.',
        );
      }
      return stored.body as unknown as T;
    }
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
