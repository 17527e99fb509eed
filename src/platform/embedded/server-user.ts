/**
 * Whose name the server runs under. PostgreSQL refuses to run as root, so a Guildhall run by root gives it to the
 * user who already owns the data or the data directory, else to `postgres`, else to `nobody`. An ordinary user
 * runs it as himself.
 */
import { execFile } from 'node:child_process';
import { readFile, stat } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { promisify } from 'node:util';
import { Problem } from '../../base/problem.ts';

const run = promisify(execFile);

/** Spread into the options of spawn. */
export interface ServerUser {
  uid: number;
  gid: number;
}

/** The user to switch to; undefined when we are not root and stay who we are. @param data PGDATA, if there is one. */
export async function chooseServerUser(dataDir: string, data: string): Promise<ServerUser | undefined> {
  if (process.getuid?.() !== 0) {
    requireName();
    return undefined;
  }
  const owner = await stat(data).catch(() => undefined);
  if (owner !== undefined && owner.uid !== 0) return { uid: owner.uid, gid: owner.gid };
  const host = await stat(dataDir);
  if (host.uid !== 0 && (await hasName(host.uid))) return { uid: host.uid, gid: host.gid };
  const user = (await lookUp('postgres')) ?? (await lookUp('nobody'));
  if (user !== undefined) return user;
  throw new Problem(
    'unavailable',
    'embedded_postgres_no_user',
    'PostgreSQL does not run as root, and there is neither a user postgres nor nobody; create one of them or set DATABASE_URL.',
  );
}

/** PostgreSQL looks up its own user's name and fails without one, as under the arbitrary ids of some containers. */
function requireName(): void {
  try {
    userInfo();
  } catch (cause) {
    throw new Problem(
      'unavailable',
      'embedded_postgres_no_user',
      `User id ${process.getuid?.()} has no entry in /etc/passwd, which PostgreSQL needs; add one or set DATABASE_URL.`,
      { cause },
    );
  }
}

async function hasName(uid: number): Promise<boolean> {
  const entries = await readFile('/etc/passwd', 'utf8').catch(() => '');
  return entries.split('\n').some(line => line.split(':')[2] === String(uid));
}

async function lookUp(name: string): Promise<ServerUser | undefined> {
  try {
    const [uid, gid] = await Promise.all([run('id', ['-u', name]), run('id', ['-g', name])]);
    return { uid: Number(uid.stdout), gid: Number(gid.stdout) };
  } catch {
    return undefined;
  }
}

/** True when the user can enter a folder. Asked of the system, which knows about all parents and access lists. */
export async function canEnter(user: ServerUser, dir: string): Promise<boolean> {
  return run('/bin/sh', ['-c', 'cd -- "$1"', 'sh', dir], { ...user, cwd: '/' }).then(
    () => true,
    () => false,
  );
}
