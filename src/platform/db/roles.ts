/**
 * The two roles that work with the database, neither of which owns a table, is a superuser or bypasses row security.
 * `app` is for the requests of people and programs: in a transaction of an organization it sees that one's rows, and
 * otherwise none. `system` is for workers, sweepers and finding out who somebody is: it sees all rows. Both only add
 * to what is a record. The embedded server has them as logins; of any other database the one login of DATABASE_URL
 * takes them as it connects, so it must be a member of both.
 */
import { sql } from 'kysely';
import { Problem } from '../../base/problem.ts';
import { type Db, type PoolSettings, sqlState } from './db.ts';

export const roles = { app: 'guildhall_app', system: 'guildhall_system' } as const;
export type RoleName = keyof typeof roles;

/** Connections that work as a role from their first statement on: a pooler between has to pass `options` on. */
export function asRole(databaseUrl: string, role: RoleName): PoolSettings {
  const option = `-c role=${roles[role]}`;
  const given = /([?&]options=)([^&]*)/;
  if (!given.test(databaseUrl)) return { connectionString: databaseUrl, options: option };
  const both = (_: string, name: string, value: string) =>
    `${name}${value}${encodeURIComponent(` ${option}`)}`;
  return { connectionString: databaseUrl.replace(given, both) };
}

/** What an administrator runs where the login of Guildhall may not make roles. */
const statementsFor = (login: string): string =>
  `create role ${roles.app} nologin; create role ${roles.system} nologin; grant ${roles.app}, ${roles.system} to "${login}";`;

function rolesMissing(login: string, cause?: unknown): Problem {
  return new Problem(
    'unavailable',
    'database_roles_missing',
    `Guildhall works as the database roles ${roles.app} and ${roles.system}, and its login may not make or take them. Have an administrator of the database run: ${statementsFor(login)}`,
    { cause },
  );
}

/** Makes the roles where they are missing and lets the login take them. @throws Problem `database_roles_missing`, `database_role_too_strong`. */
export async function ensureRoles(db: Db): Promise<void> {
  const { rows } = await sql<{ login: string }>`select current_user as login`.execute(db);
  const login = rows[0]?.login ?? '';
  try {
    for (const name of Object.values(roles)) {
      if (!(await find(db, name)).exists) await createRole(db, name);
      // Twice, since who makes a role is a member of it from PostgreSQL 16 on, but may not yet use it.
      if (!(await find(db, name)).held) await sql`grant ${sql.id(name)} to current_user`.execute(db);
    }
  } catch (error) {
    if (sqlState(error) === '42501') throw rolesMissing(login, error);
    throw error;
  }
  await refuseStrong(db);
}

async function find(db: Db, name: string): Promise<{ exists: boolean; held: boolean }> {
  const { rows } = await sql<{ held: boolean }>`
    select pg_has_role(current_user, oid, 'USAGE') as held from pg_roles where rolname = ${name}`.execute(db);
  return { exists: rows.length > 0, held: rows[0]?.held ?? false };
}

async function createRole(db: Db, name: string): Promise<void> {
  try {
    await sql`create role ${sql.id(name)} nologin`.execute(db);
  } catch (error) {
    // Roles belong to the whole server: another database's Guildhall may make them at this moment.
    if (!/^(42710|23505)$/.test(sqlState(error) ?? '')) throw error;
  }
}

/** Isolation holds only against roles that are held by it. */
async function refuseStrong(db: Db): Promise<void> {
  const { rows } = await sql<{ rolname: string }>`
    select rolname from pg_roles where rolname in (${roles.app}, ${roles.system}) and (rolsuper or rolbypassrls or rolcreaterole)
    union all
    select rolname from pg_roles where rolname = ${roles.app} and pg_has_role(oid, ${roles.system}, 'MEMBER')`.execute(
    db,
  );
  const strong = rows[0]?.rolname;
  if (!strong) return;
  throw new Problem(
    'unavailable',
    'database_role_too_strong',
    `The database role ${strong} could read every organization: it must be no superuser, bypass no row security, make no roles${strong === roles.app ? `, and be no member of ${roles.system}` : ''}.`,
  );
}

/** Whether a pool really works as its role. @throws Problem `database_roles_missing`, `database_role_not_taken`. */
export async function requireRole(db: Db, role: RoleName): Promise<void> {
  let found: { role: string } | undefined;
  try {
    found = (await sql<{ role: string }>`select current_user as role`.execute(db)).rows[0];
  } catch (error) {
    // "role … does not exist" and "permission denied to set role": said while connecting.
    if (/^(22023|42501|42704)$/.test(sqlState(error) ?? ''))
      throw rolesMissing('the login of DATABASE_URL', error);
    throw error;
  }
  if (found?.role === roles[role]) return;
  throw new Problem(
    'unavailable',
    'database_role_not_taken',
    `Connections should work as ${roles[role]} and work as ${found?.role}: something between Guildhall and PostgreSQL drops the startup option "-c role=…". Let it pass startup options on, or connect directly.`,
  );
}
