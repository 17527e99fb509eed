/** A real server for the page's tests: the program itself, in a process and a data directory of its own. */
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const root = join(import.meta.dirname, '../..');
const startMs = 50_000;

export interface PageServer extends AsyncDisposable {
  url: string;
  /** Calls the API with the key of the local command line. */
  api<T>(method: string, path: string, body?: unknown): Promise<T>;
  /** The path of a fresh one-time sign-in link. */
  signInPath(): Promise<string>;
}

export async function startPageServer(settings: Record<string, string> = {}): Promise<PageServer> {
  const dataDir = await mkdtemp(join(tmpdir(), 'guildhall-page-'));
  const child = spawn(process.execPath, [join(root, 'src/main.ts'), 'all'], {
    cwd: root,
    env: { ...process.env, GUILDHALL_DATA: dataDir, PORT: '0', ...settings },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(-4_000);
  });
  const ended = new Promise<void>(resolve => child.once('exit', () => resolve()));
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
    await ended;
    await rm(dataDir, { recursive: true, force: true });
  };
  try {
    const { url, key } = await untilReady(join(dataDir, 'server.json'), () => child.exitCode);
    const api: PageServer['api'] = async (method, path, body) => {
      const response = await fetch(url + path, {
        method,
        headers: {
          authorization: `Bearer ${key}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        body: body === undefined ? undefined : JSON.stringify(body),
      });
      const answer = await response.json();
      if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${JSON.stringify(answer)}`);
      return answer as never;
    };
    const signInPath = async () => (await api<{ path: string }>('POST', '/api/v1/sign-in-links')).path;
    return { url, api, signInPath, [Symbol.asyncDispose]: stop };
  } catch (error) {
    await stop();
    throw new Error(`The server did not start. It said:\n${said}`, { cause: error });
  }
}

async function untilReady(
  file: string,
  exitCode: () => number | null,
): Promise<{ url: string; key: string }> {
  const end = Date.now() + startMs;
  for (;;) {
    const text = await readFile(file, 'utf8').catch(() => '');
    if (text !== '') return JSON.parse(text) as { url: string; key: string };
    if (exitCode() !== null) throw new Error(`It ended with code ${exitCode()}.`);
    if (Date.now() > end) throw new Error(`Not ready after ${startMs} ms.`);
    await new Promise(resolve => setTimeout(resolve, 100));
  }
}
