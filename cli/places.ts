/**
 * Which server a command speaks to, and with which key: `--server` and `--key`; else the server that runs on the
 * local data (it says so in `server.json`, readable by its user only); else the one that `login` stored.
 */
import { chmod, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { Problem } from '../src/base/problem.ts';
import { readConfig } from '../src/config.ts';

export interface Place {
  url: string;
  key: string | null;
  /** Whether it is the server on the local data. */
  local: boolean;
}

export type Environment = Record<string, string | undefined>;

export const noServer = (): Problem =>
  new Problem(
    'unavailable',
    'server_not_running',
    'No server is running on this data. Start it with ./guildhall up',
  );

/** @throws Problem `server_not_running`, `key_missing`, `server_invalid`. */
export async function findPlace(
  env: Environment,
  server: string | undefined,
  key: string | undefined,
): Promise<Place> {
  if (server !== undefined) {
    const url = readUrl(server);
    const known = key ?? (await readCredentials(env)).servers[url]?.key;
    if (known) return { url, key: known, local: false };
    const running = await findLocalServer(env);
    if (running?.url === url) return running;
    throw new Problem(
      'unauthenticated',
      'key_missing',
      `No key for ${url} is known. Log in with ./guildhall login --server ${url} --key -`,
    );
  }
  const running = await findLocalServer(env);
  if (running) return { ...running, key: key ?? running.key };
  const { current, servers } = await readCredentials(env);
  if (current === null) throw noServer();
  return { url: current, key: key ?? servers[current]?.key ?? null, local: false };
}

/** The server that runs on the local data, or null. */
export async function findLocalServer(env: Environment): Promise<(Place & { pid: number }) | null> {
  const { dataDir } = readConfig(env);
  const path = join(dataDir, 'server.json');
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    throw new Problem(
      'forbidden',
      'server_file_unreadable',
      `${path} cannot be read (${code}): the server runs as another user. Name it with --server <url> and --key -`,
    );
  }
  const { url, pid, key } = JSON.parse(text) as { url: string; pid: number; key: string };
  return isAlive(pid) ? { url, key, pid, local: true } : null;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** @throws Problem `server_invalid`. */
export function readUrl(text: string): string {
  const given = /^[a-z]+:\/\//i.test(text) ? text : `http://${text}`;
  const url = URL.canParse(given) ? new URL(given) : null;
  if (!url || !/^https?:$/.test(url.protocol) || url.username !== '')
    throw new Problem(
      'invalid',
      'server_invalid',
      `--server takes an address such as http://127.0.0.1:4000, not ${text}.`,
    );
  return url.origin;
}

interface Credentials {
  current: string | null;
  servers: Record<string, { key: string }>;
}

export function credentialsFile(env: Environment): string {
  const directory = env.XDG_CONFIG_HOME || join(env.HOME || homedir(), '.config');
  return join(directory, 'guildhall', 'credentials.json');
}

export async function readCredentials(env: Environment): Promise<Credentials> {
  const text = await readFile(credentialsFile(env), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw new Problem(
      'invalid',
      'credentials_unreadable',
      `${credentialsFile(env)} cannot be read (${error.code}).`,
    );
  });
  if (text === null) return { current: null, servers: {} };
  try {
    const { current, servers } = JSON.parse(text) as Credentials;
    return { current: current ?? null, servers: servers ?? {} };
  } catch {
    throw new Problem(
      'invalid',
      'credentials_unreadable',
      `${credentialsFile(env)} is not valid JSON: delete it and log in again.`,
    );
  }
}

/** Keeps them in a file that only this user can read. */
export async function writeCredentials(env: Environment, credentials: Credentials): Promise<void> {
  const path = credentialsFile(env);
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const temporary = `${path}.${process.pid}`;
  await writeFile(temporary, `${JSON.stringify(credentials, null, 2)}\n`, { mode: 0o600 });
  await chmod(temporary, 0o600);
  await rename(temporary, path);
}
