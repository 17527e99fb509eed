/**
 * The cluster on disk: made once, in one step. initdb works in a folder beside PGDATA, roles, passwords and the
 * database are put in by PostgreSQL's single-user mode, and only the finished whole is renamed to its place, so a
 * start that was killed leaves nothing that a later one could mistake for a database.
 *
 * Roles: guildhall_admin (superuser, for this supervisor and for backups), guildhall_owner (owns the database, for
 * migrations; may create databases for tests), and guildhall_app and guildhall_system (no superusers, cannot bypass
 * row security; src/platform/db/roles.ts). Their passwords lie in home/credentials.json; when that file is lost or
 * lacks one, new ones are set in the same way.
 */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { lchown, mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Problem } from '../../base/problem.ts';
import { readIfThere, syncDir, writeWhole } from './files.ts';
import { diskFull, type Places, requireSpace, storageProblem } from './places.ts';
import type { ServerUser } from './server-user.ts';

/** The layout that this code writes below home; a higher number was written by a newer Guildhall. */
const format = 1;
export const databaseName = 'guildhall';
const freshClusterBytes = 200 * 1024 * 1024;
const passwordBytes = 24;

export interface Credentials {
  admin: string;
  owner: string;
  app: string;
  system: string;
}

export const roleNames = {
  admin: 'guildhall_admin',
  owner: 'guildhall_owner',
  app: 'guildhall_app',
  system: 'guildhall_system',
} as const;

/** What PostgreSQL's programs are started with; nothing of our own environment reaches them. */
export const serverEnv = { PATH: '/usr/local/bin:/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' };

/** Reads the passwords; undefined when there are none or the file is damaged. */
export async function readCredentials(places: Places): Promise<Credentials | undefined> {
  const text = await readIfThere(join(places.home, 'credentials.json'));
  try {
    const { admin, owner, app, system } = JSON.parse(text ?? '{}') as Partial<Credentials>;
    if (admin && owner && app && system) return { admin, owner, app, system };
  } catch {
    // Damaged is as good as lost: new ones are made.
  }
  return undefined;
}

export function newCredentials(): Credentials {
  const secret = () => randomBytes(passwordBytes).toString('base64url');
  return { admin: secret(), owner: secret(), app: secret(), system: secret() };
}

/** Refuses a data directory that this version cannot read. True when it holds a cluster, false when it is fresh. */
export async function checkVersion(places: Places, major: number): Promise<boolean> {
  const written = Number((await readIfThere(join(places.home, 'format')))?.trim() ?? format);
  if (written > format) throw newer(places, 'a newer Guildhall');
  const version = await readIfThere(join(places.data, 'PG_VERSION'));
  if (version === undefined) return false;
  const found = Number.parseInt(version, 10);
  if (found > major)
    throw newer(places, `PostgreSQL ${found}, which is newer than the ${major} of this Guildhall`);
  if (found === major) return true;
  throw new Problem(
    'conflict',
    'data_directory_older',
    `${places.dataDir} was written by PostgreSQL ${found}, and this Guildhall has ${major}; make a backup with the Guildhall that wrote it and restore that into an empty GUILDHALL_DATA.`,
  );
}

function newer(places: Places, by: string): Problem {
  return new Problem(
    'conflict',
    'data_directory_newer',
    `${places.dataDir} was written by ${by}; update Guildhall or choose another GUILDHALL_DATA.`,
  );
}

/** Makes the cluster. @param bin the folder of initdb and postgres. */
export async function createCluster(
  places: Places,
  bin: string,
  user: ServerUser | undefined,
): Promise<Credentials> {
  await requireSpace(places.cluster, freshClusterBytes);
  for (const entry of await readdir(places.cluster)) {
    if (entry.startsWith('data.new-'))
      await rm(join(places.cluster, entry), {
        recursive: true,
        force: true,
        maxRetries: 10,
        retryDelay: 200,
      });
  }
  const partial = join(places.cluster, `data.new-${randomBytes(4).toString('hex')}`);
  try {
    await mkdir(partial, { mode: 0o700 });
    if (user !== undefined) await lchown(partial, user.uid, user.gid);
    const locale = ['--locale-provider=builtin', '--builtin-locale=C.UTF-8', '--locale=C', '--encoding=UTF8'];
    const auth = ['--auth=reject', `--username=${roleNames.admin}`, '--data-checksums'];
    await runProgram(join(bin, 'initdb'), ['-D', partial, ...locale, ...auth], user);
    const credentials = newCredentials();
    await runSingleUser(bin, partial, user, [
      ...roleStatements(credentials),
      `create database ${databaseName} owner ${roleNames.owner}`,
    ]);
    await saveCredentials(places, credentials);
    await writeWhole(join(places.home, 'format'), `${format}\n`);
    await rename(partial, places.data);
    await syncDir(places.cluster);
    return credentials;
  } catch (error) {
    throw storageProblem(places.dataDir, error);
  } finally {
    await rm(partial, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
  }
}

/** Sets new passwords, for a data directory whose credentials file was lost. The server must not be running. */
export async function resetCredentials(
  places: Places,
  bin: string,
  user: ServerUser | undefined,
): Promise<Credentials> {
  const credentials = newCredentials();
  await runSingleUser(bin, places.data, user, roleStatements(credentials));
  await saveCredentials(places, credentials);
  return credentials;
}

export async function saveCredentials(places: Places, credentials: Credentials): Promise<void> {
  await writeWhole(join(places.home, 'credentials.json'), `${JSON.stringify(credentials)}\n`, 0o600);
}

/** Makes the roles that are missing and sets what all of them are. One statement a line. */
export function roleStatements(credentials: Credentials): string[] {
  const { admin, owner, app, system } = roleNames;
  const plain = 'login nosuperuser nobypassrls nocreaterole noreplication';
  const missing = (name: string) => `not exists (select from pg_roles where rolname = '${name}')`;
  return [
    `alter role ${admin} password '${credentials.admin}'`,
    ...[owner, app, system].map(
      name => `do $$ begin if ${missing(name)} then create role ${name}; end if; end $$`,
    ),
    `alter role ${owner} ${plain} createdb password '${credentials.owner}'`,
    `alter role ${app} ${plain} nocreatedb password '${credentials.app}'`,
    `alter role ${system} ${plain} nocreatedb password '${credentials.system}'`,
    `grant pg_monitor, pg_signal_backend, ${app}, ${system} to ${owner}`,
  ];
}

/** Single-user mode takes one statement a line and goes on after an error, so errors are looked for in its output. */
async function runSingleUser(
  bin: string,
  data: string,
  user: ServerUser | undefined,
  statements: string[],
): Promise<void> {
  const args = [
    '--single',
    '-D',
    data,
    '-c',
    'log_min_error_statement=panic',
    '-c',
    'exit_on_error=on',
    'postgres',
  ];
  const input = statements.map(statement => `${statement}\n`).join('');
  const output = await runProgram(join(bin, 'postgres'), args, user, input);
  const fault = /(?:ERROR|FATAL|PANIC):.*/.exec(output);
  if (fault !== null) throw new Error(`PostgreSQL could not set up its roles: ${fault[0]}`);
}

/** Runs a program to its end and gives its output; a failure tells its last line. */
async function runProgram(
  program: string,
  args: string[],
  user: ServerUser | undefined,
  input = '',
): Promise<string> {
  const child = spawn(program, args, { ...user, cwd: '/', env: serverEnv, stdio: ['pipe', 'pipe', 'pipe'] });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', text => (output += text));
  child.stderr.setEncoding('utf8').on('data', text => (output += text));
  child.stdin.on('error', () => {}); // A program that ends early; its exit code tells.
  child.stdin.end(input);
  const code = await new Promise<number | null>((resolve, reject) =>
    child.on('error', reject).on('close', resolve),
  );
  if (code === 0) return output;
  if (output.includes('No space left on device')) throw diskFull(args[args.indexOf('-D') + 1]!);
  const problem = output.split('\n').filter(line => /error|fatal|panic|could not|cannot/i.test(line));
  throw new Problem(
    'unavailable',
    'embedded_postgres_failed',
    `PostgreSQL could not be set up: ${problem[0]?.trim() ?? `${program} ended with ${code}`}`,
    { cause: new Error(output.slice(-4000)) },
  );
}

/** What the server is configured with unless the caller says otherwise. Small enough for a laptop. */
const defaultSettings: Record<string, string> = {
  max_connections: '200',
  shared_buffers: '128MB',
  huge_pages: 'off',
  jit: 'off', // Our statements are short; compiling them costs more than it saves.
  max_wal_size: '512MB',
  log_min_messages: 'log', // Errors of statements go to whoever sent them; here they could only fill the disk.
  log_checkpoints: 'off',
  log_line_prefix: '%m [%p] ',
  log_timezone: 'UTC',
  timezone: 'UTC',
  password_encryption: 'scram-sha-256',
};

/**
 * Writes the server's configuration and says whether it differs from the one before. Lines of one's own go into
 * `local.conf` beside it, which is read after it.
 */
export async function writeConfiguration(
  places: Places,
  socketDir: string,
  settings: Record<string, string>,
): Promise<boolean> {
  const own = {
    listen_addresses: '',
    unix_socket_directories: socketDir,
    unix_socket_permissions: '0700',
    port: '5432',
  };
  const lines = Object.entries({ ...defaultSettings, ...settings, ...own }).map(
    ([name, value]) => `${name} = '${value.replaceAll("'", "''")}'`,
  );
  const files = {
    'postgresql.conf': `# Written by Guildhall at every start. Put settings of your own into local.conf.\n${lines.join('\n')}\ninclude = 'local.conf'\n`,
    'pg_hba.conf': '# Written by Guildhall at every start.\nlocal all all scram-sha-256\n',
  };
  const local = join(places.data, 'local.conf');
  if ((await readIfThere(local)) === undefined) await writeWhole(local, '# Settings of your own.\n');
  let changed = false;
  for (const [name, text] of Object.entries(files)) {
    const file = join(places.data, name);
    if ((await readIfThere(file)) === text) continue;
    changed = true;
    await writeWhole(file, text, 0o600);
  }
  return changed;
}

/** Refuses a cluster of another user, which only he or root can run. */
export async function requireOwnCluster(places: Places): Promise<void> {
  const me = process.getuid?.();
  const owner = await stat(places.data).catch(error => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw storageProblem(places.dataDir, error);
  });
  if (owner === undefined || me === undefined || me === 0 || owner.uid === me) return;
  throw new Problem(
    'unavailable',
    'data_directory_not_writable',
    `The database in ${places.dataDir} belongs to user id ${owner.uid}, not to you (${me}); start Guildhall as that user or choose another GUILDHALL_DATA.`,
  );
}
