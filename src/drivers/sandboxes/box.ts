/** One sandbox of this driver: what its commands have in common. */
import { mkdirSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Problem } from '../../base/problem.ts';
import type { Enforcement, LimitName, SandboxMount, SandboxSpec } from '../../features/sandboxes/port.ts';
import { type Channels, openChannels } from './channels.ts';
import { type Host, pooledUid } from './host.ts';
import { type DiskMeter, openDiskMeter } from './meters.ts';
import { resolveMounts } from './mounts.ts';
import { checkSpec, effectiveLimits, groupPids, pinnedCpus } from './policy.ts';
import { identify, isGone } from './processes.ts';
import { prepareStage, type Stage } from './stage.ts';

export interface Box {
  host: Host;
  spec: SandboxSpec;
  /** Host uid of the commands; null when it is the server's own. */
  uid: number | null;
  effective: Record<LimitName, Enforcement>;
  mounts: SandboxMount[];
  stage: Stage;
  channels: Channels;
  disk: DiskMeter | null;
  /** Processors to which commands are pinned, or null. */
  cpus: string | null;
  /** Cancels the commands that run now. */
  running: Set<() => void>;
  closed: boolean;
  countMemoryKills(): number;
  /** A word for the command line of the next command. */
  nextMarker(): string;
}

/** @throws Problem when the spec is invalid or asks for what is not enforced here. */
export function openBox(host: Host, spec: SandboxSpec): Box {
  checkSpec(spec);
  const effective = effectiveLimits(host, spec);
  const uid = pooledUid(host, spec.identity);
  const mounts = [...host.view.mounts, ...resolveMounts(spec.mounts, uid)];
  if (spec.workspace !== null) checkWorkspace(spec.workspace, uid);

  const { groups } = host;
  const sources = new Map(mounts.map(mount => [mount.source, { read_only: mount.read_only }]));
  if (spec.workspace !== null) sources.set(spec.workspace, { read_only: false });
  let commands = 0;
  const box: Box = {
    host,
    spec,
    uid,
    effective,
    mounts,
    stage: prepareStage(host, spec.identity, sources, groups?.joinFiles(spec.id) ?? []),
    channels: openChannels(runDirectory(host, spec.id), host.programs.mkfifo!, uid),
    disk:
      spec.workspace === null
        ? null
        : openDiskMeter(spec.workspace, host.programs.du, spec.policy.workspace_bytes),
    cpus: pinnedCpus(host, spec),
    running: new Set(),
    closed: false,
    countMemoryKills: () => groups?.countMemoryKills(spec.id) ?? 0,
    nextMarker: () => `${markerPrefix(host)}${spec.id}:${process.pid}.${commands++}`,
  };
  groups?.make(spec.id, {
    cpuCores: spec.policy.cpu_cores,
    memoryBytes: spec.policy.memory_bytes,
    pids: groupPids(spec.policy),
  });
  return box;
}

/** On the command line of every process that bubblewrap itself forks for a sandbox of this installation. */
export function markerPrefix(host: Host): string {
  return `guildhall:${host.instance}:`;
}

/** Where the pipes of a sandbox lie: its name tells which server it belongs to. */
function runDirectory(host: Host, id: string): string {
  const self = identify(process.pid);
  return join(runParent(host), `${id}.${self?.pid}.${self?.startTime}`);
}

function runParent(host: Host): string {
  const parent = join(host.stateDir, 'run');
  mkdirSync(parent, { recursive: true, mode: 0o700 });
  return parent;
}

/** The run directories of all servers on this data directory. */
export function readRunDirectories(host: Host): { path: string; id: string; serverLives: boolean }[] {
  const parent = runParent(host);
  return readdirSync(parent).map(name => {
    const [id = name, pid, startTime = ''] = name.split('.');
    const serverLives = pid !== undefined && !isGone({ pid: Number(pid), startTime });
    return { path: join(parent, name), id, serverLives };
  });
}

function checkWorkspace(path: string, uid: number | null): void {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (!stat?.isDirectory()) {
    throw new Problem('invalid', 'sandbox_workspace_missing', `The workspace ${path} is not a directory.`);
  }
  if (uid !== null && stat.uid !== uid) {
    throw new Problem(
      'invalid',
      'sandbox_workspace_owner',
      `The workspace ${path} belongs to uid ${stat.uid}, not to the sandbox user (uid ${uid}).`,
    );
  }
}
