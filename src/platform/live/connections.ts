/** How many live connections one of a kind may hold at a time on this server: a user, or an address before it is known who. */
import { Problem } from '../../base/problem.ts';

export class Connections {
  readonly #most: number;
  readonly #held = new Map<string, number>();

  constructor(most: number) {
    this.#most = most;
  }

  /** @returns what gives the place back, once. @throws Problem `too_many_connections`. */
  open(subject: string): () => void {
    const held = this.#held.get(subject) ?? 0;
    if (held >= this.#most) {
      throw new Problem(
        'exhausted',
        'too_many_connections',
        `More than ${this.#most} live connections at a time. Close some that you do not need.`,
        { retryAfterSeconds: 5 },
      );
    }
    this.#held.set(subject, held + 1);
    let given = false;
    return () => {
      if (given) return;
      given = true;
      const left = (this.#held.get(subject) ?? 1) - 1;
      if (left > 0) this.#held.set(subject, left);
      else this.#held.delete(subject);
    };
  }
}
