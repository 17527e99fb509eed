/**
 * The bubblewrap command line of a sandbox: everything is taken away, then named things are shown.
 *
 * The order matters. bubblewrap performs mount operations as they come, so parents stand before children and
 * `--remount-ro /` after everything that makes a mount point. Options go through a descriptor (`--args`), because
 * every user of the host can read command lines and the environment may hold secrets.
 */
import type { SandboxMount, SandboxPolicy } from '../../features/sandboxes/port.ts';
import { workspaceTarget } from './mounts.ts';
import { type HostView, npmLinks } from './view.ts';

export const insideUid = 1000;
export const homeDirectory = '/tmp/home';

/** Descriptors of the bubblewrap process; from `madeUp` on, one for each made-up file. The stage closes all others. */
export const descriptors = { filter: 3, status: 4, options: 5, madeUp: 6 } as const;

export interface SandboxView {
  view: HostView;
  policy: SandboxPolicy;
  workspace: string | null;
  /** Those of the host view and of the sandbox, parents first. */
  mounts: SandboxMount[];
  /** Where a host path is found by the process that runs bubblewrap: itself, or a staging place. */
  place: (source: string) => string;
  cwd: string;
  env: Record<string, string>;
}

const fixedEnvironment = { HOME: homeDirectory, LANG: 'C.UTF-8', CI: 'true', TERM: 'dumb' };
const runBytes = 1024 * 1024;

export function bwrapOptions(box: SandboxView): string[] {
  const { view, policy } = box;
  return [
    ...isolation(policy),
    ...environment({ PATH: view.path, ...fixedEnvironment, ...box.env }),
    ...root(view),
    ...etc(view, policy),
    ...['--proc', '/proc', '--dev', '/dev'],
    ...tmpfs('/tmp', policy.tmp_bytes, '1777'),
    ...['--dir', homeDirectory],
    ...tmpfs('/dev/shm', policy.shm_bytes, '1777'),
    ...tmpfs('/run', runBytes, '0755'),
    ...(box.workspace === null
      ? tmpfs(workspaceTarget, policy.workspace_bytes, '0755')
      : ['--bind', box.place(box.workspace), workspaceTarget]),
    ...box.mounts.flatMap(({ source, target, read_only }) => [
      read_only ? '--ro-bind' : '--bind',
      box.place(source),
      target,
    ]),
    ...npmLinks(view).flatMap(link => ['--symlink', link.target, link.path]),
    // /dev is a tmpfs without a limit of its own: read-only, it cannot be filled.
    ...['--remount-ro', '/dev', '--remount-ro', '/'],
    ...['--chdir', box.cwd],
    ...['--seccomp', String(descriptors.filter), '--json-status-fd', String(descriptors.status)],
  ];
}

function isolation(policy: SandboxPolicy): string[] {
  const namespaces = ['user', 'pid', 'ipc', 'uts', 'cgroup', ...(policy.network === 'none' ? ['net'] : [])];
  return [
    ...namespaces.map(name => `--unshare-${name}`),
    '--disable-userns',
    ...['--uid', String(insideUid), '--gid', String(insideUid), '--hostname', 'sandbox'],
    '--die-with-parent',
    '--new-session',
    ...['--cap-drop', 'ALL'],
  ];
}

function environment(variables: Record<string, string>): string[] {
  return ['--clearenv', ...Object.entries(variables).flatMap(([name, value]) => ['--setenv', name, value])];
}

function root(view: HostView): string[] {
  return [
    ...['--ro-bind', '/usr', '/usr'],
    ...view.directories.flatMap(path => ['--ro-bind', path, path]),
    ...view.links.flatMap(({ path, target }) => ['--symlink', target, path]),
  ];
}

function etc(view: HostView, policy: SandboxPolicy): string[] {
  const shown = policy.network === 'host' ? [...view.etc, ...view.networkEtc] : view.etc;
  return [
    ...shown.flatMap(path => ['--ro-bind', path, path]),
    ...[...view.madeUp.keys()].flatMap((path, i) => [
      ...['--perms', '0444', '--file', String(descriptors.madeUp + i), path],
    ]),
  ];
}

function tmpfs(target: string, bytes: number, mode: string): string[] {
  return ['--perms', mode, '--size', String(bytes), '--tmpfs', target];
}

/**
 * Runs the command under its resource limits. `prlimit` stands inside, where a limit on processes counts those of
 * this sandbox only, and answers 127 and 126 for a command that is missing or cannot run, as shells do.
 */
export function limitedCommand(
  { prlimit, taskset }: Record<'prlimit' | 'taskset', string | null>,
  limits: Record<string, number>,
  cpus: string | null,
  argv: string[],
): string[] {
  return [
    prlimit!,
    ...Object.entries(limits).map(([name, value]) => `--${name}=${value}:${value}`),
    '--',
    ...(cpus === null ? [] : [taskset!, '--cpu-list', cpus]),
    ...argv,
  ];
}
