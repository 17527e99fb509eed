/**
 * Denials on record: who was refused what, and credentials that were not ours. Somebody who hammers at the door must
 * not fill the audit: of one source a few a minute are kept, of all together some more, and the record after a pause
 * says how many were left out.
 */
import type { FastifyRequest } from 'fastify';
import type { Problem } from '../../base/problem.ts';
import { type Clock, minutes } from '../../base/time.ts';
import { type Db, transact } from '../../platform/db/db.ts';
import { type Actor, appendAudit } from '../../platform/journal/facts.ts';

/** Records a minute: of one principal or address, and of all of a process. */
const perSource = 10;
const perProcess = 200;
const sourcesMost = 10_000;

interface Window {
  since: number;
  count: number;
}

export interface Denials {
  /** Records a refusal, unless too many were. Never fails: the refusal counts, not its record. */
  record(request: FastifyRequest, actor: Actor, problem: Problem): Promise<void>;
}

export function openDenials(db: Db, clock: Clock): Denials {
  const bySource = new Map<string, Window>();
  const all: Window = { since: 0, count: 0 };
  let leftOut = 0;

  const admit = (source: string): boolean => {
    const at = clock.now();
    const own = bySource.get(source) ?? { since: at, count: 0 };
    for (const window of [own, all]) {
      if (at - window.since >= minutes(1)) Object.assign(window, { since: at, count: 0 });
    }
    // Forgetting all of them lets nobody past the bound of the process.
    if (bySource.size >= sourcesMost) bySource.clear();
    bySource.set(source, own);
    if (own.count >= perSource || all.count >= perProcess) return false;
    own.count++;
    all.count++;
    return true;
  };

  return {
    record: async (request, actor, problem) => {
      if (!admit(actor.id === 'anonymous' ? request.ip : actor.id)) {
        leftOut++;
        return;
      }
      const before = leftOut;
      leftOut = 0;
      const target = `${request.method} ${request.routeOptions.url ?? 'unknown'}`;
      const facts = { code: problem.code, address: request.ip, left_out_before: before || undefined };
      try {
        await transact(db, tx =>
          appendAudit(tx, actor, new Date(clock.now()), 'access.deny', target, 'refused', facts),
        );
      } catch (error) {
        leftOut += before + 1;
        request.log.warn({ err: error }, 'a refusal could not be recorded');
      }
    },
  };
}
