/**
 * Transactions within one organization. What tells the database which (`set local`, so it ends with the transaction
 * and a pooler may hand the connection on) travels with `begin`, and neither is waited for: the first statement goes
 * out behind them. Should they fail, that statement finds no organization, so no rows, and the failure is reported.
 */
import {
  type CompiledQuery,
  type DatabaseConnection,
  DefaultQueryExecutor,
  PostgresDialect,
  type PostgresPool,
  type QueryResult,
  Transaction,
} from 'kysely';
import pg from 'pg';
import { nameStatements, type PoolSettings, type Tenants, type Tx } from './db.ts';
import type { Tables } from './schema.ts';

/** What a pool for `openTenants` is opened with: statements go out without waiting for the one before. */
export const tenantsPool: PoolSettings = { pipeline: true } as PoolSettings;

export function openTenants(pool: pg.Pool): Tenants {
  const dialect = new PostgresDialect({ pool: pool as unknown as PostgresPool });
  const parts = { config: { dialect }, dialect, driver: dialect.createDriver() };
  const [compiler, adapter] = [dialect.createQueryCompiler(), dialect.createAdapter()];
  const nameOf = nameStatements();
  const open = (connection: DatabaseConnection): Tx => {
    const provider = {
      provideConnection: <T>(use: (c: DatabaseConnection) => Promise<T>) => use(connection),
    };
    return new Transaction<Tables>({
      ...parts,
      executor: new DefaultQueryExecutor(compiler, adapter, provider),
    });
  };
  return {
    async within(actor, work) {
      const client = await pool.connect();
      const connection = new Connection(client, nameOf);
      try {
        const begun = connection.begin(actor.organizationId);
        const result = await work(open(connection));
        await begun;
        await connection.end('commit');
        return result;
      } catch (error) {
        await connection.end('rollback').catch(() => {});
        throw error;
      } finally {
        // One that is still in a transaction, or in none that we know of, is closed rather than given to the next.
        client.release(client.getTransactionStatus() !== 'I');
      }
    },
  };
}

/** A connection for the time of one transaction, as Kysely uses it. */
class Connection implements DatabaseConnection {
  readonly #client: pg.PoolClient;
  readonly #nameOf: (text: string) => string | undefined;
  #ended = false;

  constructor(client: pg.PoolClient, nameOf: (text: string) => string | undefined) {
    this.#client = client;
    this.#nameOf = nameOf;
  }

  begin(organizationId: string): Promise<unknown> {
    const organization = pg.escapeLiteral(organizationId);
    const begun = this.#client.query(`begin; set local guildhall.organization = ${organization}`);
    begun.catch(() => {}); // Reported by whoever waits for it at the end.
    return begun;
  }

  async end(how: 'commit' | 'rollback'): Promise<void> {
    if (this.#ended) return;
    if (how === 'rollback') this.#ended = true;
    const { command } = await this.#client.query(how);
    this.#ended = true;
    if (command.toLowerCase() !== how) throw new Error('a statement failed unnoticed: nothing was committed');
  }

  async executeQuery<R>({ sql: text, parameters }: CompiledQuery): Promise<QueryResult<R>> {
    // It would run outside of the transaction, on a connection that may be somebody else's by now.
    if (this.#ended) throw new Error('the transaction has ended: a statement was not waited for');
    const values = parameters as unknown[];
    const query = values.length === 0 ? { text } : { name: this.#nameOf(text), text, values };
    const { command, rowCount, rows } = await this.#client.query(query);
    const changes = /^(INSERT|UPDATE|DELETE|MERGE)$/.test(command);
    return { rows, numAffectedRows: changes ? BigInt(rowCount ?? 0) : undefined };
  }

  // biome-ignore lint/correctness/useYield: what is streamed would hold the connection.
  async *streamQuery<R>(): AsyncIterableIterator<QueryResult<R>> {
    throw new Error('requests do not stream rows');
  }
}
