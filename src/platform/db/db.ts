/**
 * The only place where connections to PostgreSQL are opened. A `Tx` can only be had from `transact`, so a function
 * that asks for one is always inside a transaction; what it appends commits or vanishes with it.
 */
import {
  Kysely,
  PostgresDialect,
  type PostgresPool,
  type PostgresPoolClient,
  type Transaction,
} from 'kysely';
import pg from 'pg';
import { asking, type PasswordSource, retryRefused } from './password.ts';
import type { Tables } from './schema.ts';

export type Db = Kysely<Tables>;
export type Tx = Transaction<Tables>;
/** Reading works in and outside a transaction. */
export type Reader = Db | Tx;

export type PoolSettings = pg.PoolConfig & {
  /** Asked for the password with every new connection, instead of one that stays. */
  passwordSource?: PasswordSource;
  /** Commits do not wait for the disk: for what is done again, or found undone, when the machine fails. */
  relaxed?: boolean;
};

const int8 = 20;
const numeric = 1700;

/** Whole numbers of 8 bytes as numbers: ours stay far below 2^53; a larger one is a bug that must not pass. */
function parseWhole(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new RangeError(`${text} does not fit a number`);
  return value;
}

const types = {
  getTypeParser(oid: number, format?: 'text' | 'binary') {
    if (oid === int8 && format !== 'binary') return parseWhole;
    if (oid === numeric && format !== 'binary') return Number;
    return pg.types.getTypeParser(oid, format as 'text');
  },
} as pg.CustomTypesConfig;

/** A pool that survives the loss of its connections: broken ones leave it, the next query opens another. */
export function openPool(
  { passwordSource: source, relaxed, ...settings }: PoolSettings,
  onError: (error: Error) => void,
): pg.Pool {
  const pool = new pg.Pool({
    ...(source ? { Client: asking(source) as never } : {}),
    max: 20,
    connectionTimeoutMillis: 10_000,
    idleTimeoutMillis: 30_000,
    keepAlive: true,
    application_name: 'guildhall',
    types,
    ...settings,
    ...(relaxed ? { options: `${settings.options ?? ''} -c synchronous_commit=off`.trim() } : {}),
  });
  if (source) retryRefused(pool, source);
  pool.on('error', onError);
  pool.on('connect', client => void client.on('error', onError));
  return pool;
}

export function openDb(pool: pg.Pool): Db {
  return new Kysely<Tables>({ dialect: new PostgresDialect({ pool: preparing(pool) }) });
}

/** More different texts than this are not worth a plan each on every connection. */
const preparedLimit = 400;

/** Names for the statements of one pool: the same text has the same name on all its connections. */
export function nameStatements(): (text: string) => string | undefined {
  const names = new Map<string, string>();
  return text => {
    const known = names.get(text);
    if (known || names.size >= preparedLimit) return known;
    const name = `g${names.size}`;
    names.set(text, name);
    return name;
  };
}

/**
 * The pool as Kysely sees it, with every statement prepared once a connection under a name of its text: planning
 * the statements of the journal costs more than running them.
 */
function preparing(pool: pg.Pool): PostgresPool {
  const nameOf = nameStatements();
  const clients = new WeakMap<pg.PoolClient, PostgresPoolClient>();
  const wrap = (client: pg.PoolClient): PostgresPoolClient => {
    let wrapped = clients.get(client);
    if (!wrapped) {
      const query = (text: string, values: readonly unknown[]) =>
        client.query(
          values.length === 0 ? { text } : { name: nameOf(text), text, values: values as unknown[] },
        );
      wrapped = {
        query,
        release: (destroy?: boolean) => client.release(destroy),
      } as unknown as PostgresPoolClient;
      clients.set(client, wrapped);
    }
    return wrapped;
  };
  return { connect: async () => wrap(await pool.connect()), end: () => pool.end(), options: pool.options };
}

/** One unit of work: everything in `work` commits together or not at all. */
export function transact<T>(db: Db, work: (tx: Tx) => Promise<T>): Promise<T> {
  return db.transaction().execute(work);
}

/**
 * Connections of requests. Outside of `within` there is nothing to query with, and inside only the rows of that
 * organization exist (row-level security), for reading and for writing.
 */
export interface Tenants {
  within<T>(actor: { organizationId: string }, work: (tx: Tx) => Promise<T>): Promise<T>;
}

/** SQLSTATE of a database error, if it is one. Codes: https://www.postgresql.org/docs/current/errcodes-appendix.html */
export function sqlState(error: unknown): string | null {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) ? code : null;
}

export const uniqueViolation = '23505';

/** Whether an error says that the database was not there to answer, rather than that it refused something. */
export function isConnectionLoss(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (error instanceof AggregateError) return error.errors.some(isConnectionLoss);
  const state = sqlState(error);
  // Class 08: connection; 57P0x: shutting down, crashed, starting, dropped, idle too long; 53300: no slot is free.
  if (state !== null && /^(08...|57P0.|53300)$/.test(state)) return true;
  const { code, syscall } = error as NodeJS.ErrnoException;
  if (syscall === 'connect' || (syscall === 'read' && code === 'ECONNRESET') || code === 'EPIPE') return true;
  return /^(Connection terminated|Client has encountered a connection error|timeout exceeded when trying to connect)|not currently accepting connections$/.test(
    error.message,
  );
}
