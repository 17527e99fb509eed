/**
 * The sandbox driver for Linux: bubblewrap, our system call filter, control groups, and a host uid per task tree when
 * the server is root. One bubblewrap process tree per command; nothing but the workspace lasts from one to the next.
 *
 * Not covered, as with every sandbox that shares the kernel: bugs of the kernel itself.
 */
import { Problem } from '../../base/problem.ts';
import type { Sandbox, SandboxDriver, SandboxProbe, SandboxSpec } from '../../features/sandboxes/port.ts';
import { type Box, openBox } from './box.ts';
import { closeBox } from './close.ts';
import { prepareDirectory, removeDirectory } from './directories.ts';
import { execute } from './exec.ts';
import { startGuardian } from './guardian.ts';
import { type BwrapOptions, findPrograms, readHost } from './host.ts';
import { probeHost, wrongPlatform } from './probe.ts';
import { reconcile } from './reconcile.ts';

export type { BwrapOptions } from './host.ts';

const kind = 'bwrap';
/** A failed probe is repeated at most so often. */
const probeAgainMs = 5000;

export async function createBwrapDriver(options: BwrapOptions): Promise<SandboxDriver> {
  const elsewhere = wrongPlatform();
  if (elsewhere) return driverOfOtherPlatform(elsewhere);
  const host = await readHost(options);
  const open = new Map<string, Box>();
  let guarded = false;
  let probed: { at: number; result: Promise<SandboxProbe> } | null = null;

  const probe = (): Promise<SandboxProbe> => {
    host.programs = findPrograms(options);
    probed = { at: performance.now(), result: probeHost(host) };
    return probed.result;
  };
  const requireUsable = async () => {
    const isFresh = probed !== null && performance.now() - probed.at < probeAgainMs;
    const known = await probed?.result;
    const result = known && (known.usable || isFresh) ? known : await probe();
    if (!result.usable) throw unavailable(result);
  };

  return {
    kind,
    probe,
    async create(spec: SandboxSpec): Promise<Sandbox> {
      await requireUsable();
      if (open.has(spec.id)) {
        throw new Problem('conflict', 'sandbox_exists', `There is a sandbox ${spec.id} already.`);
      }
      if (!guarded) startGuardian(host);
      guarded = true;
      const box = openBox(host, spec);
      open.set(spec.id, box);
      return {
        id: spec.id,
        effective: box.effective,
        exec: request => execute(box, request),
        async destroy() {
          await closeBox(box);
          open.delete(spec.id);
        },
      };
    },
    prepareDirectory: async (path, identity) => prepareDirectory(host, path, identity),
    removeDirectory: path => removeDirectory(host, path),
    reconcile: liveIds => reconcile(host, new Set([...liveIds, ...open.keys()])),
  };
}

function unavailable({ summary, fix }: SandboxProbe): Problem {
  const title = fix === null ? summary : `${summary} To mend it: ${fix}`;
  return new Problem('unavailable', 'sandbox_unavailable', title, { detail: { fix } });
}

function driverOfOtherPlatform(result: SandboxProbe): SandboxDriver {
  const refuse = () => Promise.reject(unavailable(result));
  return {
    kind,
    probe: () => Promise.resolve(result),
    create: refuse,
    prepareDirectory: refuse,
    removeDirectory: refuse,
    reconcile: () => Promise.resolve({ removed: [] }),
  };
}
