/**
 * Where things lie.
 *
 *   <dataDir>/postgres/            "home", ours: lock-<pid>-…, format, credentials.json, server.log, maybe location
 *   <dataDir>/postgres/cluster/    the server's: data/ (PGDATA), run/ (the socket)
 *   /var/lib/guildhall/            run by root only: postgres-<version>/ (programs), cluster-<id>/ (see below)
 *
 * Run by root, the server is another user, who must be able to pass every folder above its cluster. Home and the
 * data directory itself are opened for that user's group to pass (not to read). When a folder further up still
 * bars the way, as /root with mode 0700 does, the cluster lies in /var/lib/guildhall/cluster-<id> instead, and
 * home/location says so; that file decides from then on. The cluster names its data directory in `belongs-to`,
 * so that a copied data directory does not silently share the original's database.
 *
 * A socket's path may have 107 bytes at most (103 on macOS); a longer one moves to a private folder below /tmp.
 */
import { createHash, randomBytes } from 'node:crypto';
import { chmod, chown, lchown, lstat, mkdir, realpath, rm, stat, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Problem } from '../../base/problem.ts';
import { makeDirs, readIfThere, writeWhole } from './files.ts';
import { canEnter, type ServerUser } from './server-user.ts';

export interface Places {
  /** The data directory as a real, absolute path. */
  dataDir: string;
  home: string;
  cluster: string;
  /** PGDATA. */
  data: string;
  log: string;
}

/** Where root keeps what an unprivileged server must reach. */
export const systemDirDefault = '/var/lib/guildhall';

const socketPathLimit = process.platform === 'darwin' ? 103 : 107;
const socketName = '.s.PGSQL.5432';

/** Makes the data directory and home, with an understandable refusal when that fails. */
export async function makeHome(dataDir: string): Promise<{ dataDir: string; home: string }> {
  try {
    await makeDirs(dataDir, 0o700);
    const real = await realpath(dataDir);
    const home = join(real, 'postgres');
    await makeDirs(home, 0o700);
    await writeWhole(join(home, '.writable'), '');
    await rm(join(home, '.writable'));
    return { dataDir: real, home };
  } catch (cause) {
    throw storageProblem(dataDir, cause);
  }
}

/** A failed file operation as a sentence about the data directory; anything else unchanged. */
export function storageProblem(dataDir: string, cause: unknown): unknown {
  const code = (cause as NodeJS.ErrnoException | undefined)?.code;
  if (code === 'ENOSPC' || code === 'EDQUOT') return diskFull(dataDir, cause);
  if (code === undefined || !['EACCES', 'EPERM', 'EROFS', 'ENOTDIR', 'EEXIST', 'ENOENT'].includes(code))
    return cause;
  return new Problem(
    'unavailable',
    'data_directory_not_writable',
    `The data directory ${dataDir} cannot be written (${code}); make it writable or choose another GUILDHALL_DATA.`,
    { cause },
  );
}

export function diskFull(dir: string, cause?: unknown): Problem {
  return new Problem(
    'unavailable',
    'disk_full',
    `There is no space left on the disk that holds ${dir}; free some or choose another GUILDHALL_DATA.`,
    { cause },
  );
}

/** Refuses when the disk below a folder has less than this left. */
export async function requireSpace(dir: string, bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(dir);
  if (bavail * bsize < bytes) throw diskFull(dir);
}

/** Decides where the cluster lies. @param user whom the server will run under, when we are root. */
export async function locate(
  dataDir: string,
  home: string,
  user: ServerUser | undefined,
  systemDir: string,
): Promise<Places> {
  const outside = await readIfThere(join(home, 'location'));
  let cluster: string;
  if (outside !== undefined) {
    cluster = outside.trim();
    if (dirname(cluster) !== systemDir) throw incomplete(dataDir, home, cluster);
    await requireOwn(cluster, dataDir, home);
  } else if (user === undefined || (await openFor(user, dataDir, home))) {
    cluster = join(home, 'cluster');
  } else {
    cluster = join(systemDir, `cluster-${randomBytes(6).toString('hex')}`);
    await makePassable(systemDir, user, dataDir);
    await mkdir(cluster, { mode: 0o711 });
    await chmod(cluster, 0o711);
    await writeWhole(join(cluster, 'belongs-to'), `${dataDir}\n`);
    await writeWhole(join(home, 'location'), `${cluster}\n`);
  }
  await mkdir(cluster, { recursive: true, mode: 0o711 });
  if (user !== undefined) await chmod(cluster, 0o711);
  return { dataDir, home, cluster, data: join(cluster, 'data'), log: join(home, 'server.log') };
}

async function requireOwn(cluster: string, dataDir: string, home: string): Promise<void> {
  const owner = (await readIfThere(join(cluster, 'belongs-to')))?.trim();
  if (owner === dataDir) return;
  if (owner === undefined) throw incomplete(dataDir, home, cluster);
  const theirs = await readIfThere(join(owner, 'postgres', 'location'));
  if (theirs?.trim() === cluster) {
    throw new Problem(
      'conflict',
      'data_directory_in_use',
      `${dataDir} is a copy of ${owner} and names the same database, ${cluster}; delete ${home} to start with an empty one.`,
    );
  }
  await writeWhole(join(cluster, 'belongs-to'), `${dataDir}\n`); // The data directory was moved.
}

function incomplete(dataDir: string, home: string, cluster: string): Problem {
  return new Problem(
    'conflict',
    'data_directory_incomplete',
    `The database of ${dataDir} was kept in ${cluster}, which is gone; restore it, or delete ${home} to start with an empty one.`,
  );
}

/** Deletes a data directory's database, wherever it lies. It must not be running. */
export async function removeEmbeddedPostgres(dataDir: string): Promise<void> {
  const home = join(dataDir, 'postgres');
  const outside = (await readIfThere(join(home, 'location')))?.trim();
  if (
    outside !== undefined &&
    (await readIfThere(join(outside, 'belongs-to')))?.trim() === (await realpath(dataDir))
  ) {
    await rm(outside, { recursive: true, force: true });
  }
  await rm(home, { recursive: true, force: true });
}

/** Lets the server's group pass through our own two folders; true when it can then reach home. */
async function openFor(user: ServerUser, dataDir: string, home: string): Promise<boolean> {
  if (await canEnter(user, home)) return true;
  if (!(await canEnter(user, dirname(dataDir)))) return false;
  for (const dir of [dataDir, home]) {
    if (await canEnter(user, dir)) continue;
    const { uid, mode } = await stat(dir);
    await chown(dir, uid, user.gid);
    await chmod(dir, (mode & 0o7707) | 0o010);
  }
  return canEnter(user, home);
}

async function makePassable(systemDir: string, user: ServerUser, dataDir: string): Promise<void> {
  try {
    if ((await mkdir(systemDir, { recursive: true })) !== undefined) await chmod(systemDir, 0o755);
    if (await canEnter(user, systemDir)) return;
  } catch {
    // Refused below: whatever the reason, this place cannot be had.
  }
  throw new Problem(
    'unavailable',
    'data_directory_unreachable',
    `Run by root, PostgreSQL works as user id ${user.uid}, who can enter neither ${dataDir} nor ${systemDir}; choose another GUILDHALL_DATA or set DATABASE_URL.`,
  );
}

/** A folder for the socket that only the server's user (and root) can enter. */
export async function makeSocketDir(places: Places, user: ServerUser | undefined): Promise<string> {
  const inside = join(places.cluster, 'run');
  const uid = user?.uid ?? process.getuid?.() ?? 0;
  const fits = Buffer.byteLength(join(inside, socketName)) <= socketPathLimit;
  if (fits && (await makePrivate(inside, uid, user))) return inside;
  const name = createHash('sha256').update(`${uid}:${places.cluster}`).digest('hex').slice(0, 16);
  const tried = 8;
  for (let n = 0; n < tried; n++) {
    const dir = `/tmp/guildhall-${name}${n === 0 ? '' : `-${n}`}`;
    if (await makePrivate(dir, uid, user)) return dir;
  }
  throw new Problem(
    'unavailable',
    'socket_directory_taken',
    `/tmp/guildhall-${name} and its ${tried - 1} alternatives belong to somebody else; delete them or choose a shorter GUILDHALL_DATA.`,
  );
}

/**
 * Makes the folder, or takes one of ours from before. /tmp is open to everybody but sticky: a folder that somebody
 * else has made in advance is theirs and stays so, a folder of ours cannot be replaced.
 */
async function makePrivate(dir: string, uid: number, user: ServerUser | undefined): Promise<boolean> {
  try {
    await mkdir(dir, { mode: 0o700 });
    if (user !== undefined) await lchown(dir, user.uid, user.gid);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  const found = await lstat(dir).catch(() => undefined);
  return found?.isDirectory() === true && found.uid === uid && (found.mode & 0o077) === 0;
}
