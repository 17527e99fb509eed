/**
 * What the driver knows about the machine, gathered once when it is made: programs, kernel, identity, control
 * groups, and the small files that every sandbox shows in /etc.
 */
import { createHash } from 'node:crypto';
import { accessSync, constants, mkdirSync, readFileSync, realpathSync } from 'node:fs';
import { availableParallelism, release } from 'node:os';
import { join } from 'node:path';
import { type FilterFiles, openFilterFiles } from './filter-files.ts';
import { type ControlGroups, openControlGroups } from './groups.ts';
import { type HostView, readHostView } from './view.ts';

export type Log = (record: Record<string, unknown>) => void;

export interface BwrapOptions {
  /** Host directory for small state: made when missing. */
  stateDir: string;
  /** First uid of the pool from which a root server takes the sandboxes' uids. */
  uidBase?: number;
  uidCount?: number;
  log?: Log;
  /** Host directories shown read-only at the same path; they and their `bin` come first in PATH. */
  toolchainPaths: string[];
  /** A node binary for machines whose /usr has none; last in PATH. */
  nodeBinary: string | null;
  /** Where the host's programs are looked for. */
  programDirs?: string[];
  /** Forces the best-effort tier, for machines whose groups must not be touched, and for tests. */
  useControlGroups?: boolean;
}

const programNames = [
  'bwrap',
  'bash',
  'prlimit',
  'taskset',
  'setpriv',
  'unshare',
  'mount',
  'mkfifo',
  'find',
  'rm',
  'chmod',
  'du',
] as const;
export type ProgramName = (typeof programNames)[number];

const defaultProgramDirs = ['/usr/local/bin', '/usr/bin', '/bin', '/usr/sbin', '/sbin'];
const defaultUidBase = 200_000;
const defaultUidCount = 10_000;

export interface Host {
  stateDir: string;
  log: Log;
  /** Short word that marks the processes and groups of this installation. */
  instance: string;
  root: boolean;
  uidBase: number;
  uidCount: number;
  programs: Record<ProgramName, string | null>;
  /** Processes count per user namespace, so a limit on them holds per command: Linux 5.14. */
  countsProcessesPerNamespace: boolean;
  cpuCount: number;
  maxOpenFiles: number;
  maxFileBytes: number;
  groups: ControlGroups | null;
  filters: FilterFiles;
  view: HostView;
}

export async function readHost(options: BwrapOptions): Promise<Host> {
  const log = options.log ?? (() => {});
  mkdirSync(options.stateDir, { recursive: true });
  const stateDir = realpathSync(options.stateDir);
  const instance = createHash('sha256').update(stateDir).digest('hex').slice(0, 10);
  const uid = process.getuid?.() ?? -1;
  return {
    stateDir,
    log,
    instance,
    root: uid === 0,
    uidBase: options.uidBase ?? defaultUidBase,
    uidCount: options.uidCount ?? defaultUidCount,
    programs: findPrograms(options),
    countsProcessesPerNamespace: isAtLeast(release(), 5, 14),
    cpuCount: availableParallelism(),
    maxOpenFiles: hardLimit('Max open files'),
    maxFileBytes: hardLimit('Max file size'),
    groups: options.useControlGroups === false ? null : await openControlGroups(instance, stateDir, log),
    filters: openFilterFiles(stateDir),
    view: readHostView(stateDir, options),
  };
}

/** The host uid and gid of an identity; null when the server is not root and has no choice. */
export function pooledUid(host: Host, identity: number): number | null {
  return host.root ? host.uidBase + (identity % host.uidCount) : null;
}

/** Looked for again by each probe, so that installing what was missing helps without a restart. */
export function findPrograms(options: BwrapOptions): Host['programs'] {
  const dirs = options.programDirs ?? defaultProgramDirs;
  return Object.fromEntries(programNames.map(name => [name, findProgram(name, dirs)])) as Host['programs'];
}

function findProgram(name: string, dirs: string[]): string | null {
  for (const dir of dirs) {
    const path = join(dir, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Next directory.
    }
  }
  return null;
}

function isAtLeast(version: string, major: number, minor: number): boolean {
  const [haveMajor = 0, haveMinor = 0] = version.split(/[.-]/).map(Number);
  return haveMajor > major || (haveMajor === major && haveMinor >= minor);
}

/** A process can only lower its limits; asking for more than the server has would fail every command. */
function hardLimit(name: string): number {
  const line = readFileSync('/proc/self/limits', 'utf8')
    .split('\n')
    .find(text => text.startsWith(name));
  const value = line?.slice(name.length).trim().split(/\s+/)[1];
  return value === undefined || value === 'unlimited' ? Number.POSITIVE_INFINITY : Number(value);
}
