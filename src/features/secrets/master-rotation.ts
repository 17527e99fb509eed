/**
 * Changing the master key while serving. First the new key seals everywhere (the server makes one and keeps it in its
 * file, or all replicas were started with it), then what is sealed with another one is sealed anew, a batch a
 * transaction. It may be cut off and run again at any time: every value says which key it needs.
 */
import { sql } from 'kysely';
import { Problem } from '../../base/problem.ts';
import { type Db, transact } from '../../platform/db/db.ts';
import { type Actor, appendAudit } from '../../platform/journal/facts.ts';
import { recordCurrentKey } from '../../platform/secrets/key-ring.ts';
import { type KeyRing, newMasterKey } from '../../platform/secrets/master-key.ts';
import { writeKeyFile } from '../../platform/secrets/master-key-file.ts';
import { redactor } from '../../platform/secrets/redactor.ts';
import type { Sealer } from '../../platform/secrets/sealer.ts';
import { type SealedColumn, sealedColumns } from './sealed-columns.ts';

/** Rows of one transaction: few enough that nobody waits for it. */
const batchRows = 100;

export interface MasterKeys {
  ring: KeyRing;
  /** Where the keys are kept when they are ours to make; null: they come with the settings. */
  file: string | null;
}

export interface Rotated {
  key_id: string;
  resealed: number;
  /** Keys that only open, by their fingerprint: for backups made before. */
  older_keys: string[];
}

/**
 * @param forgetOld drops the older keys from the file once nothing needs them: after a key has leaked.
 * @throws Problem `master_key_not_set` when there is no new key to change to.
 */
export async function rotateMasterKey(
  db: Db,
  sealer: Sealer,
  keys: MasterKeys,
  actor: Actor,
  now: Date,
  forgetOld: boolean,
): Promise<Rotated> {
  const { ring, file } = keys;
  const before = ring.current.id;
  if (file !== null) {
    const made = newMasterKey();
    redactor.learn(made.bytes);
    const next: KeyRing = { current: made, others: [ring.current, ...ring.others] };
    await writeKeyFile(file, next);
    ring.others = next.others;
    ring.current = made;
  }
  await transact(db, tx => recordCurrentKey(tx, ring.current.id, now));
  let resealed = 0;
  for (const column of sealedColumns) resealed += await resealColumn(db, sealer, column);
  if (file === null && resealed === 0)
    throw new Problem(
      'conflict',
      'master_key_not_set',
      `Everything is sealed with the key of this server, ${ring.current.id}. To change it, give every replica the new key in ` +
        'GUILDHALL_MASTER_KEYS_OLD and restart them, then the new one as GUILDHALL_MASTER_KEY and the one before in ' +
        'GUILDHALL_MASTER_KEYS_OLD and restart them again, then run this.',
    );
  if (forgetOld && file !== null) {
    await writeKeyFile(file, { current: ring.current, others: [] });
    ring.others = [];
  }
  await transact(db, tx =>
    appendAudit(tx, actor, now, 'master_key.rotate', null, 'ok', {
      before,
      after: ring.current.id,
      resealed,
      forgot_old: forgetOld,
    }),
  );
  return { key_id: ring.current.id, resealed, older_keys: ring.others.map(key => key.id) };
}

/** @returns how many values of the column were sealed anew. */
async function resealColumn(db: Db, sealer: Sealer, sealed: SealedColumn): Promise<number> {
  let count = 0;
  for (;;) {
    const done = await transact(db, async tx => {
      const column = sql.ref(sealed.column);
      const names = sealed.row.map(name => sql`${sql.ref(name)}::text as ${sql.ref(name)}`);
      const { rows } = await sql<Record<string, string>>`
        select ${sql.join(names)}, ${column} as sealed from ${sql.table(sealed.table)}
        where ${column} is not null and ${column} not like ${`gs1.${sealer.currentKeyId}.%`}
        limit ${batchRows} for update`.execute(tx);
      const id = sealed.row[0] as string;
      for (const row of rows) {
        const context = sealed.context(row);
        const again = sealer.seal(sealer.open(row.sealed as string, context), context);
        await sql`update ${sql.table(sealed.table)} set ${column} = ${again} where ${sql.ref(id)}::text = ${row[id]}`.execute(
          tx,
        );
      }
      return rows.length;
    });
    count += done;
    if (done < batchRows) return count;
  }
}
