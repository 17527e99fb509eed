/**
 * Tries the sandbox out: makes one and looks from inside whether what it promises is so. A promise that does not hold
 * makes the driver unusable, not merely weaker.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { platform } from 'node:os';
import { join } from 'node:path';
import { messageOf } from '../../base/problem.ts';
import { defaultSandboxPolicy, limitNames, type SandboxProbe } from '../../features/sandboxes/port.ts';
import { adviseMissing, adviseRefused, readFacts } from './advice.ts';
import { openBox } from './box.ts';
import { closeBox } from './close.ts';
import { execute } from './exec.ts';
import type { Host, ProgramName } from './host.ts';
import { hostLimits } from './policy.ts';

const always: ProgramName[] = ['bwrap', 'bash', 'prlimit', 'mkfifo', 'rm'];
const forRoot: ProgramName[] = ['setpriv', 'unshare', 'mount', 'find'];

/** Each tells when its promise is broken. `: >>` opens for writing and writes nothing. */
const canaries = `
broken() { echo "broken: $1"; }
status() { grep -q "^$1:[[:space:]]*$2$" /proc/self/status || broken "$3"; }
status NoNewPrivs 1 'new privileges are possible'
status CapBnd '0*' 'capabilities are left'
status Seccomp 2 'there is no system call filter'
for path in / /usr /etc /dev; do
  ( : >> "$path/.guildhall-probe" ) 2>/dev/null && broken "$path is writable"
done
( : >> /proc/sys/kernel/core_pattern ) 2>/dev/null && broken 'kernel settings are writable'
[ -e "$1" ] && broken 'a file of the host is visible'
[ "$(grep -c : /proc/net/dev)" = 1 ] || broken 'the network is visible'
[ $$ -lt 100 ] || broken 'processes of the host are visible'
unshare --user true 2>/dev/null && broken 'user namespaces can be made'
for name in $(env | cut -d= -f1); do
  case $name in PATH|HOME|LANG|CI|TERM|PWD|OLDPWD|SHLVL|_) ;; *) broken "the variable $name is inherited" ;; esac
done
for fd in /proc/$$/fd/*; do
  [ -L "$fd" ] || continue # The listing's own descriptor.
  case \${fd##*/} in 0|1|2|10|255) ;; *) broken "descriptor \${fd##*/} is inherited" ;; esac
done
: > /workspace/probe || broken '/workspace is not writable'
echo 'probe done'
`;

export async function probeHost(host: Host): Promise<SandboxProbe> {
  const limits = hostLimits(host);
  const facts = readFacts(host.root);
  const missing = [...always, ...(host.root ? forRoot : [])].filter(name => host.programs[name] === null);
  if (missing.length > 0) return unusable(adviseMissing(missing, facts));
  if (!host.filters.supported) {
    return unusable({ reason: `there is no system call filter for ${process.arch}`, fix: null });
  }
  const directory = mkdtempSync(join(host.stateDir, `probe-${process.pid}-`));
  try {
    const canary = join(directory, 'canary');
    writeFileSync(canary, 'visible to the server only');
    const box = openBox(host, {
      id: `probe_${process.pid}_${Date.now()}`,
      identity: 0,
      workspace: null,
      mounts: [],
      policy: { ...defaultSandboxPolicy, wall_ms: 10_000, require: [] },
    });
    try {
      const result = await execute(box, { argv: ['/bin/sh', '-c', canaries, 'probe', canary] });
      const said = Buffer.from(result.stdout).toString();
      if (result.outcome === 'sandbox_error') {
        const stderr = Buffer.from(result.stderr).toString();
        return unusable(
          stderr === '' ? { reason: result.message!, fix: null } : adviseRefused(stderr, facts),
        );
      }
      const broken = [...said.matchAll(/^broken: (.*)$/gm)].map(match => match[1]!);
      if (broken.length > 0 || !said.includes('probe done')) {
        const reason = broken.join('; ') || result.message || Buffer.from(result.stderr).toString().trim();
        return unusable({ reason: `the sandbox does not hold: ${reason}`, fix: null });
      }
    } finally {
      await closeBox(box);
    }
  } catch (error) {
    return unusable({ reason: messageOf(error), fix: null });
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
  return { usable: true, summary: describe(limits), fix: null, limits };
}

const nothing = Object.fromEntries(limitNames.map(name => [name, 'unsupported'])) as SandboxProbe['limits'];

function unusable({ reason, fix }: { reason: string; fix: string | null }): SandboxProbe {
  return {
    usable: false,
    summary: `The bubblewrap sandbox does not work here: ${reason}.`,
    fix,
    limits: nothing,
  };
}

function describe(limits: SandboxProbe['limits']): string {
  const rest = Object.entries(limits).filter(([, enforcement]) => enforcement !== 'enforced');
  const names = rest.map(([name, enforcement]) => `${name} (${enforcement.replace('_', ' ')})`).join(', ');
  return names === ''
    ? 'The bubblewrap sandbox works and enforces every limit.'
    : `The bubblewrap sandbox works. Enforced are all limits but: ${names}.`;
}

/** Null on systems where the driver can be tried. */
export function wrongPlatform(): SandboxProbe | null {
  if (platform() === 'linux') return null;
  return unusable({
    reason: `it needs Linux, and this is ${platform()}`,
    fix: 'Run Guildhall in a Linux machine, virtual machine or container.',
  });
}
