/** The audit's part of the role `sweeper`: seals what is new every few seconds, and prunes once an hour. */
import { messageOf } from '../../base/problem.ts';
import { pruneRecords, type Retention } from './retention.ts';
import { type SealingDeps, sealRecords } from './sealing.ts';

export interface AuditSweepDeps extends SealingDeps {
  log: { info(facts: object, text: string): void; warn(facts: object, text: string): void };
  retention: Retention;
}

const pruneEveryMs = 3_600_000;

export class AuditSweeper implements AsyncDisposable {
  readonly #deps: AuditSweepDeps;
  readonly #intervalMs: number;
  #timer: NodeJS.Timeout | null = null;
  #sweeping: Promise<void> = Promise.resolve();
  #stopped = false;
  #prunedAt = 0;

  constructor(deps: AuditSweepDeps, intervalMs: number) {
    this.#deps = deps;
    this.#intervalMs = intervalMs;
  }

  start(): void {
    this.#timer = setTimeout(() => {
      this.#sweeping = this.#round().finally(() => {
        if (!this.#stopped) this.start();
      });
    }, this.#intervalMs);
  }

  async #round(): Promise<void> {
    const { log, clock, db, retention } = this.#deps;
    try {
      const sealed = await sealRecords(this.#deps);
      if (sealed > 0) log.info({ records: sealed }, 'audit sealed');
      if (clock.now() - this.#prunedAt < pruneEveryMs) return;
      this.#prunedAt = clock.now();
      const { removed, refusals } = await pruneRecords(db, new Date(clock.now()), retention);
      if (removed > 0) log.info({ records: removed }, 'audit pruned');
      for (const reason of refusals) log.warn({ reason }, 'audit records could not be pruned');
    } catch (error) {
      log.warn({ reason: messageOf(error) }, 'audit could not be sealed');
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    if (this.#timer) clearTimeout(this.#timer);
    await this.#sweeping;
  }
}
