/**
 * Which outside providers can be used just now. One that does not answer at the start is not forgotten: the sign-in
 * page and /readyz say so, and it is asked again until it does.
 */
import type { SignInProvider } from '../../base/sign-in-provider.ts';
import { seconds } from '../../base/time.ts';
import { discover, type ReadyProvider } from './sign-in-provider.ts';

export interface ProviderState {
  id: string;
  name: string;
  /** Why it cannot be used; null: it can. */
  fault: string | null;
}

export interface ProviderPatience {
  /** How long until those that did not answer are asked again, unasked. */
  retryMs: number;
  /** How long they are left in peace after a look, whoever wants to know. */
  restMs: number;
}
export const providerPatience: ProviderPatience = { retryMs: seconds(30), restMs: seconds(5) };

export class ProviderStates implements Disposable {
  readonly #providers: readonly SignInProvider[];
  readonly #changed: () => void;
  readonly #ready = new Map<string, ReadyProvider>();
  readonly #faults = new Map<string, string>();
  #timer: NodeJS.Timeout | null = null;
  #asking: Promise<void> | null = null;
  #closed = false;

  readonly #patience: ProviderPatience;
  #resting: NodeJS.Timeout | null = null;

  /** @param changed called when a provider has become ready. */
  constructor(
    providers: readonly SignInProvider[],
    changed: () => void,
    patience: ProviderPatience = providerPatience,
  ) {
    this.#providers = providers;
    this.#patience = patience;
    this.#changed = changed;
    for (const { id } of providers) this.#faults.set(id, 'it has not answered yet');
  }

  get ready(): ReadyProvider[] {
    return this.#providers.flatMap(({ id }) => this.#ready.get(id) ?? []);
  }

  get states(): ProviderState[] {
    return this.#providers.map(({ id, name }) => ({ id, name, fault: this.#faults.get(id) ?? null }));
  }

  /** A provider that had answered could not be taken up after all. */
  fail(id: string, fault: string): void {
    this.#ready.delete(id);
    this.#faults.set(id, fault);
    this.#retryLater();
  }

  /** Asks those that are not ready; several who want this at once share one look. */
  ask(): Promise<void> {
    if (this.#resting && !this.#asking) return Promise.resolve();
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = null;
    });
    return this.#asking;
  }

  async #ask(): Promise<void> {
    const waiting = this.#providers.filter(({ id }) => !this.#ready.has(id));
    const found = await Promise.all(waiting.map(async p => ({ id: p.id, answer: await discover(p) })));
    let changed = false;
    for (const { id, answer } of found) {
      if ('fault' in answer) this.#faults.set(id, answer.fault);
      else {
        this.#ready.set(id, answer);
        this.#faults.delete(id);
        changed = true;
      }
    }
    if (changed) this.#changed();
    this.#resting ??= setTimeout(() => {
      this.#resting = null;
    }, this.#patience.restMs).unref();
    this.#retryLater();
  }

  #retryLater(): void {
    if (this.#faults.size === 0 || this.#timer || this.#closed) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      void this.ask();
    }, this.#patience.retryMs).unref();
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    if (this.#timer) clearTimeout(this.#timer);
    if (this.#resting) clearTimeout(this.#resting);
  }
}
