/** Verifying a chain where it lies: in the database, with the keys that this server holds. */
import type { Db } from '../../platform/db/db.ts';
import type { Sealer } from '../../platform/secrets/sealer.ts';
import { type Reading, readChain, type StoredItem } from './chain.ts';
import { recordOf } from './export-format.ts';
import { findOwnKeys } from './keys.ts';
import { sha256 } from './seal-format.ts';
import { readSealedUpTo } from './sealing.ts';
import { type ChainItem, type Verification, type VerifyOptions, verifyChain } from './verify.ts';

/** @param reading how the organization's rows are read; `db` tells what concerns all of them. */
export async function verifyStored(
  deps: { db: Db; sealer: Sealer },
  reading: Reading,
  organizationId: string,
  options: Pick<VerifyOptions, 'key' | 'head'> = {},
): Promise<Verification> {
  // Read first: what is sealed meanwhile counts as not sealed yet.
  const sealedUpTo = await readSealedUpTo(deps.db);
  const ownKeys = await findOwnKeys(deps.db, deps.sealer);
  return verifyChain(itemsOf(readChain(reading, organizationId)), {
    ...options,
    organizationId,
    sealedUpTo,
    ownKeys,
  });
}

async function* itemsOf(stored: AsyncIterable<StoredItem>): AsyncGenerator<ChainItem> {
  for await (const item of stored) {
    if (item.kind !== 'record') yield item;
    else {
      const { place, text } = item;
      yield recordOf(text) ?? { kind: 'record', place, hash: sha256(text), label: 'unreadable' };
    }
  }
}
