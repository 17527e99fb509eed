/**
 * The database of a process: which server, as which roles, and whether it is up to date. The embedded one has a login
 * for each role and is migrated at every start; of another, the login of DATABASE_URL takes the roles.
 */
import type { Logger } from 'pino';
import { messageOf, Problem } from './base/problem.ts';
import { passwordOf } from './config/fingerprint.ts';
import type { Config, SecretSources } from './config.ts';
import {
  type Db,
  isConnectionLoss,
  openDb,
  openPool,
  type PoolSettings,
  sqlState,
} from './platform/db/db.ts';
import { isMigrated, migrate } from './platform/db/migrate.ts';
import { asRole, requireRole } from './platform/db/roles.ts';
import { startEmbeddedPostgres } from './platform/embedded/postgres.ts';
import type { Redactor } from './platform/secrets/redactor.ts';

/** How to connect: to migrate, for the requests of people and programs, and for the system itself. */
export interface Connections {
  owner: PoolSettings;
  app: PoolSettings;
  system: PoolSettings;
}

export interface Database extends Connections {
  /** Sets new passwords; absent where the database is not ours to administer. */
  rotatePasswords?: () => Promise<void>;
  /** Whether starting may migrate: an embedded database has nobody else to do it. */
  mayMigrate: boolean;
  /** Whether one login takes the roles, so that it must be looked whether it does. */
  takesRoles: boolean;
}

export interface DatabaseOptions {
  config: Config;
  roles: readonly string[];
  log: Logger;
  /** Use these connections rather than DATABASE_URL or the embedded server: for tests. */
  database?: Connections;
  secrets?: SecretSources;
}

export async function openDatabase(
  options: DatabaseOptions,
  redactor: Redactor,
  disposers: (() => Promise<unknown>)[],
): Promise<Database> {
  const { config, log, roles } = options;
  if (options.database) return { ...options.database, mayMigrate: false, takesRoles: false };
  if (config.databaseUrl) {
    const password = databasePassword(options.secrets, redactor);
    return {
      owner: { connectionString: config.databaseUrl, ...password },
      app: { ...asRole(config.databaseUrl, 'app'), ...password },
      system: { ...asRole(config.databaseUrl, 'system'), ...password },
      mayMigrate: roles.includes('api') && roles.includes('worker'),
      takesRoles: true,
    };
  }
  const embedded = await startEmbeddedPostgres({
    dataDir: config.dataDir,
    log: ({ level, msg, ...facts }) => log[level](facts, msg),
  });
  disposers.push(() => embedded.stop());
  const learn = () => {
    const { owner, app, system, admin } = embedded;
    for (const { password } of [owner, app, system, admin]) redactor.learn(password);
  };
  learn();
  const connect = (role: 'app' | 'system'): PoolSettings => {
    const password = async () => embedded[role].password;
    return { ...embedded[role], passwordSource: { read: password, readAgain: password } };
  };
  return {
    owner: { ...embedded.owner },
    app: connect('app'),
    system: connect('system'),
    rotatePasswords: async () => {
      await embedded.rotatePasswords();
      learn();
    },
    mayMigrate: true,
    takesRoles: false,
  };
}

/** With DATABASE_URL from a file or a store its password is read again for every new connection. */
function databasePassword(
  secrets: SecretSources | undefined,
  redactor: Redactor,
): Pick<PoolSettings, 'passwordSource'> {
  const from = secrets?.sources.get('DATABASE_URL');
  if (!secrets || !from) return {};
  const passwordIn = (url: string) => {
    const password = passwordOf(url) ?? '';
    redactor.learn(password);
    return password;
  };
  return {
    passwordSource: {
      read: async () => passwordIn(await secrets.reader.read(from)),
      readAgain: async () => passwordIn(await secrets.reader.readAgain(from)),
    },
  };
}

/** Applies migrations where that is this process's business; otherwise they must be there. */
export async function prepareDatabase(
  log: Logger,
  database: Database,
  pools: { system: Db; app: Db },
): Promise<void> {
  if (database.mayMigrate) await migrateDatabase(log, database.owner);
  let migrated: boolean;
  try {
    if (database.takesRoles) {
      await requireRole(pools.system, 'system');
      await requireRole(pools.app, 'app');
    }
    migrated = database.mayMigrate || (await isMigrated(pools.system));
  } catch (error) {
    if (error instanceof Problem) throw error;
    throw new Problem(
      'unavailable',
      'database_unreachable',
      `The database cannot be reached: ${messageOf(error)}.`,
      { cause: error },
    );
  }
  if (!migrated) {
    throw new Problem(
      'unavailable',
      'migrations_missing',
      'The database is not up to date. Run `guildhall migrate` once, as the role that owns the tables.',
    );
  }
}

/** @returns names of the migrations applied. */
export async function migrateDatabase(log: Logger, owner: PoolSettings): Promise<string[]> {
  const pool = openPool({ ...owner, max: 4 }, error =>
    log.warn({ reason: error.message }, 'a database connection was lost'),
  );
  try {
    const applied = await migrate(openDb(pool), pool);
    if (applied.length > 0) log.info({ applied }, 'migrated');
    return applied;
  } catch (error) {
    if (error instanceof Problem) throw error;
    // Also a role or a database that is not there: classes 28 and 3D.
    const lost = isConnectionLoss(error) || /^(28|3D)/.test(sqlState(error) ?? '');
    throw new Problem(
      'unavailable',
      lost ? 'database_unreachable' : 'migration_failed',
      `The database cannot be ${lost ? 'reached' : 'brought up to date'}: ${messageOf(error)}.`,
      { cause: error },
    );
  } finally {
    await pool.end();
  }
}
