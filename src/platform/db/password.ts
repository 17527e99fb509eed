/**
 * A password that may change while the server runs. Every new connection asks for it; connections that stand go on.
 * A database that refuses it is asked again for a while with what the source says then: whoever rotates a password
 * changes it in two places, one after the other, and no request is to fail in between.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';

export interface PasswordSource {
  read(): Promise<string>;
  /** Looked up now rather than a moment ago. */
  readAgain(): Promise<string>;
}

const refused = /^28(P01|000)$/;
/** Pauses between tries: ten seconds in all, more than a rotation takes. */
const pausesMs = [50, 100, 200, 400, 750, 1_000, 1_500, 2_000, 2_000, 2_000];

/** A client of `pg` that asks the source, whatever password its connection string has. */
export function asking(source: PasswordSource): typeof pg.Client {
  return class extends pg.Client {
    constructor(config?: string | pg.ClientConfig) {
      super(config);
      Object.assign(this, { password: () => source.read() });
    }
  };
}

/** Makes a pool try again with the password of the moment when the database refuses one. */
export function retryRefused(pool: pg.Pool, source: PasswordSource, pauses = pausesMs): void {
  const connectOnce = pool.connect.bind(pool) as () => Promise<pg.PoolClient>;
  const connect = async (): Promise<pg.PoolClient> => {
    for (const pauseMs of pauses) {
      try {
        return await connectOnce();
      } catch (error) {
        if (!refused.test(String((error as { code?: unknown }).code))) throw error;
        await sleep(pauseMs);
        await source.readAgain();
      }
    }
    return connectOnce();
  };
  type Callback = (error: Error | undefined, client?: pg.PoolClient, release?: unknown) => void;
  const both = (callback?: Callback): Promise<pg.PoolClient> | undefined => {
    if (!callback) return connect();
    connect().then(
      client => callback(undefined, client, (error?: Error | boolean) => client.release(error)),
      error => callback(error),
    );
    return undefined;
  };
  Object.assign(pool, { connect: both });
}
