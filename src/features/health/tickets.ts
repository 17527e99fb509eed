/**
 * One-time tickets for a WebSocket, for pages of other origins and clients that cannot set a header: what a browser's
 * WebSocket can send is an address and frames, and a credential does not belong in an address. A ticket holds the
 * credential of whoever asked for it, encrypted under a key that only the servers have, so that what the connection
 * may hear ends with that credential. The database has its hash alone, and it is used up at the first use.
 */
import { randomBytes } from 'node:crypto';
import { EncryptJWT, jwtDecrypt } from 'jose';
import { Problem } from '../../base/problem.ts';
import { seconds } from '../../base/time.ts';
import type { Db, Tx } from '../../platform/db/db.ts';
import { type Actor, appendAudit } from '../../platform/journal/facts.ts';
import { hashOf } from '../identity/credentials.ts';

export const ticketLifeMs: number = seconds(30);

/** The header fields that can say who somebody is. */
const credentialFields = ['authorization', 'cookie', 'x-organization'] as const;
export type CredentialHeaders = Partial<Record<(typeof credentialFields)[number], string>>;

/** Longer credentials than any of ours would not fit a frame. */
const credentialLimit = 9_000;

/** @param key 32 bytes that all replicas share. @throws Problem `credential_too_long`. */
export async function createTicket(
  tx: Tx,
  actor: Actor,
  now: Date,
  key: Uint8Array,
  headers: Record<string, unknown>,
): Promise<{ ticket: string; expiresAt: Date }> {
  const credential = Object.fromEntries(
    credentialFields.flatMap(name => (typeof headers[name] === 'string' ? [[name, headers[name]]] : [])),
  );
  if (JSON.stringify(credential).length > credentialLimit)
    throw new Problem('invalid', 'credential_too_long', 'These credentials are too long for a ticket.');
  const expiresAt = new Date(now.getTime() + ticketLifeMs);
  const ticket = await new EncryptJWT({ credential })
    .setProtectedHeader({ alg: 'dir', enc: 'A256GCM' })
    .setJti(randomBytes(16).toString('base64url'))
    .setExpirationTime(expiresAt)
    .encrypt(key);
  await tx.deleteFrom('ws_tickets').where('expires_at', '<=', now).execute();
  await tx
    .insertInto('ws_tickets')
    .values({ ticket_hash: hashOf(ticket), organization_id: actor.organizationId, expires_at: expiresAt })
    .execute();
  await appendAudit(tx, actor, now, 'ws_ticket.create', null, 'ok');
  return { ticket, expiresAt };
}

/** Uses a ticket up. @returns the credential that it stands for. @throws Problem `ticket_invalid`. */
export async function redeemTicket(
  db: Db,
  now: Date,
  key: Uint8Array,
  ticket: string,
): Promise<CredentialHeaders> {
  const used = await db
    .deleteFrom('ws_tickets')
    .where('ticket_hash', '=', hashOf(ticket))
    .where('expires_at', '>', now)
    .returning('ticket_hash')
    .executeTakeFirst();
  const opened = used && (await jwtDecrypt(ticket, key, { currentDate: now }).catch(() => null));
  if (opened) return opened.payload.credential as CredentialHeaders;
  throw new Problem(
    'unauthenticated',
    'ticket_invalid',
    'This ticket was used before, has expired, or is not one of ours. POST /api/v1/ws-tickets gives a new one.',
  );
}
