/** For end-to-end tests: the real command line in real processes, on a data directory of its own, and git repositories. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';

const program = join(import.meta.dirname, '../../cli/main.ts');

export interface Ran {
  code: number | null;
  out: string;
  err: string;
}

export interface Machine extends AsyncDisposable {
  directory: string;
  dataDir: string;
  cli(...argv: string[]): Promise<Ran>;
  /** Runs a command with --json. @returns what it printed, parsed. */
  // biome-ignore lint/suspicious/noExplicitAny: each test knows what its command answers.
  json(...argv: string[]): Promise<{ code: number | null; value: any }>;
  start(...argv: string[]): ChildProcess;
  /** Starts `up` on a free port; it is stopped with the machine. */
  up(): Promise<void>;
  serverFile(): { url: string; pid: number } | null;
  repository(name: string, files: Record<string, string>): Promise<string>;
}

export async function openMachine(): Promise<Machine> {
  const directory = await mkdtemp(join(tmpdir(), 'guildhall-e2e-'));
  // A server that is root runs commands as other users, who must be able to pass through.
  await chmod(directory, 0o755);
  const dataDir = join(directory, 'data');
  const config = join(directory, 'config');
  const env = {
    ...process.env,
    GUILDHALL_DATA: dataDir,
    XDG_CONFIG_HOME: config,
    PORT: '0',
    NODE_TEST_CONTEXT: undefined,
  };

  const children = new Set<ChildProcess>();
  const start = (...argv: string[]) => {
    const flags = ['--disable-warning=ExperimentalWarning'];
    const child = spawn(process.execPath, [...flags, program, ...argv], { cwd: directory, env });
    children.add(child);
    return child;
  };

  const cli = async (...argv: string[]): Promise<Ran> => {
    const child = start(...argv);
    let out = '';
    let err = '';
    child.stdout.on('data', chunk => {
      out += chunk;
    });
    child.stderr.on('data', chunk => {
      err += chunk;
    });
    return { code: await ended(child), out, err };
  };

  const machine: Machine = {
    directory,
    dataDir,
    cli,
    json: async (...argv) => {
      const { code, out, err } = await cli(...argv, '--json');
      try {
        return { code, value: JSON.parse(out) };
      } catch {
        throw new Error(`${argv.join(' ')} printed no JSON value but ${out || 'nothing'}; ${err}`);
      }
    },
    start,
    up: async () => {
      const server = start('up');
      let said = '';
      for (const stream of [server.stdout, server.stderr])
        stream.on('data', chunk => {
          said += chunk;
        });
      while (!existsSync(join(dataDir, 'server.json'))) {
        if (server.exitCode !== null) throw new Error(`the server ended with ${server.exitCode}: ${said}`);
        await wait(50);
      }
    },
    serverFile: () => {
      const path = join(dataDir, 'server.json');
      return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : null;
    },
    repository: async (name, files) => {
      const path = join(directory, name);
      for (const [file, text] of Object.entries(files)) {
        await mkdir(dirname(join(path, file)), { recursive: true });
        await writeFile(join(path, file), text);
      }
      git(path, 'init', '--quiet', '--initial-branch=main');
      git(path, 'add', '--all');
      git(
        path,
        '-c',
        'user.name=Test',
        '-c',
        'user.email=test@example.com',
        'commit',
        '--quiet',
        '--message',
        'start',
      );
      return path;
    },
    [Symbol.asyncDispose]: async () => {
      // A demo takes the server that it started with it.
      for (const child of children) if (child.exitCode === null) child.kill('SIGTERM');
      await Promise.all([...children].map(ended));
      await rm(directory, { recursive: true, force: true });
    },
  };
  return machine;
}

export function ended(child: ChildProcess): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve(child.exitCode);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', code => resolve(code));
  });
}

export function git(directory: string, ...args: string[]): string {
  const { status, stdout, stderr } = spawnSync('git', args, { cwd: directory, encoding: 'utf8' });
  if (status !== 0) throw new Error(`git ${args.join(' ')}: ${stderr}`);
  return stdout.trim();
}

/** Whether the tests of a commit pass, found out without Guildhall. */
export async function passes(machine: Machine, repository: string, commit: string): Promise<boolean> {
  const copy = await mkdtemp(join(machine.directory, 'copy-'));
  git(copy, 'clone', '--quiet', repository, '.');
  git(copy, 'checkout', '--quiet', commit);
  const env = { ...process.env, NODE_TEST_CONTEXT: undefined };
  return spawnSync(process.execPath, ['--test'], { cwd: copy, env }).status === 0;
}

/** Waits until something holds; a minute and a half is long on any machine. */
export async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + 90_000;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`waited in vain until ${what}`);
    await wait(50);
  }
}
