/**
 * What of a policy this host enforces, and the numbers that enforce it.
 *
 * `identity` means: not root on the host, and no way to another uid. A root server gives each task tree a uid of its
 * own; with an ordinary server they share the server's uid and are kept apart by their namespaces.
 */
import { Problem } from '../../base/problem.ts';
import type { Enforcement, LimitName, SandboxPolicy, SandboxSpec } from '../../features/sandboxes/port.ts';
import type { Host } from './host.ts';

/** Processes of bubblewrap itself that count: its monitor, its first process inside, and the stage's helpers. */
const ownProcesses = 4;

export function hostLimits(host: Host): Record<LimitName, Enforcement> {
  const counted: Enforcement = host.groups ? 'enforced' : 'best_effort';
  return {
    cpu: counted,
    memory: counted,
    pids: host.groups || limitsProcesses(host) ? 'enforced' : 'unsupported',
    wall_time: 'enforced',
    disk: 'best_effort',
    file_size: 'enforced',
    output: 'enforced',
    network: 'enforced',
    filesystem: 'enforced',
    syscalls: host.filters.supported ? 'enforced' : 'unsupported',
    privileges: 'enforced',
    identity: 'enforced',
  };
}

/** @throws Problem `sandbox_policy_unenforceable` when something required is not enforced. */
export function effectiveLimits(host: Host, spec: SandboxSpec): Record<LimitName, Enforcement> {
  const limits = hostLimits(host);
  // A workspace of its own size-limited file system cannot be overfilled.
  if (spec.workspace === null) limits.disk = 'enforced';
  const missing = spec.policy.require.filter(name => limits[name] !== 'enforced');
  if (missing.length > 0) {
    const what = missing.map(name => `${name} (${limits[name].replace('_', ' ')})`).join(', ');
    const advice = missing.some(name => name === 'memory' || name === 'cpu')
      ? ' Control groups make it possible: start the server as root, or with: systemd-run --user --scope -p Delegate=yes'
      : '';
    throw new Problem(
      'unavailable',
      'sandbox_policy_unenforceable',
      `This sandbox must enforce limits that it cannot on this machine: ${what}.${advice}`,
      { detail: { missing, limits } },
    );
  }
  // The host's network was asked for, so nothing separates it: said as it is, and no reason to refuse.
  if (spec.policy.network === 'host') limits.network = 'unsupported';
  return limits;
}

function limitsProcesses(host: Host): boolean {
  return host.countsProcessesPerNamespace || host.root;
}

const bounds: [field: keyof SandboxPolicy, least: number, most: number][] = [
  ['cpu_cores', 0.01, 1024],
  ['memory_bytes', 16 * 1024 * 1024, 2 ** 50],
  ['pids', 2, 1_000_000],
  ['wall_ms', 1, 2 ** 31 - 1],
  ['workspace_bytes', 64 * 1024, 2 ** 50],
  ['tmp_bytes', 64 * 1024, 2 ** 50],
  ['shm_bytes', 64 * 1024, 2 ** 50],
  ['file_bytes', 64 * 1024, 2 ** 50],
  ['open_files', 16, 1_048_576],
];

/** @throws Problem `sandbox_spec_invalid`. */
export function checkSpec(spec: SandboxSpec): void {
  const faults = bounds
    .filter(([field, least, most]) => {
      const value = spec.policy[field] as number;
      return !(value >= least && value <= most);
    })
    .map(([field, least, most]) => `${field} must lie between ${least} and ${most}`);
  if (!/^[a-z0-9_]{1,64}$/.test(spec.id)) faults.push('id must consist of a to z, 0 to 9 and _');
  if (!Number.isSafeInteger(spec.identity) || spec.identity < 0)
    faults.push('identity must be a whole number');
  if (faults.length > 0) {
    throw new Problem('invalid', 'sandbox_spec_invalid', `The sandbox cannot be made: ${faults.join('; ')}.`);
  }
}

/** Arguments of `prlimit`. A process can lower its limits only, so they stay within the server's own. */
export function resourceLimits(host: Host, policy: SandboxPolicy): Record<string, number> {
  return {
    core: 0,
    nofile: Math.min(policy.open_files, host.maxOpenFiles),
    fsize: Math.min(Math.floor(policy.file_bytes), host.maxFileBytes),
    ...(limitsProcesses(host) ? { nproc: policy.pids + ownProcesses } : {}),
    // Without groups, at least each process is bounded. The address space would be no measure: WebAssembly and
    // garbage collectors reserve far more of it than they use.
    ...(host.groups ? {} : { data: Math.floor(policy.memory_bytes) }),
  };
}

export function groupPids(policy: SandboxPolicy): number {
  return policy.pids + ownProcesses;
}

/** Without groups: as many processors as the policy has cores, chosen by the sandbox's name so that they spread. */
export function pinnedCpus(host: Host, spec: SandboxSpec): string | null {
  const wanted = Math.ceil(spec.policy.cpu_cores);
  if (host.groups || host.programs.taskset === null || wanted >= host.cpuCount) return null;
  const first = [...spec.id].reduce((sum, letter) => sum + letter.charCodeAt(0), 0) % host.cpuCount;
  return Array.from({ length: wanted }, (_, i) => (first + i) % host.cpuCount).join(',');
}
