/** What to do when bubblewrap does not work here: the exact command, as far as it can be known. */
import { existsSync, readFileSync } from 'node:fs';

export interface Facts {
  /** Content of /etc/os-release. */
  osRelease: string;
  root: boolean;
  /** Whether the server runs in a container. */
  container: boolean;
  /** Values of the kernel settings that can forbid user namespaces; absent ones are null. */
  sysctl: (name: string) => string | null;
}

export interface Advice {
  reason: string;
  fix: string | null;
}

export function readFacts(root: boolean): Facts {
  const read = (path: string) => (existsSync(path) ? readFileSync(path, 'utf8').trim() : null);
  return {
    osRelease: read('/etc/os-release') ?? '',
    root,
    container: existsSync('/.dockerenv') || existsSync('/run/.containerenv'),
    sysctl: name => read(`/proc/sys/${name.replaceAll('.', '/')}`),
  };
}

/** Package managers by the ids of the distributions that have them, in os-release's ID and ID_LIKE. */
const installers: [ids: string[], command: string][] = [
  [['debian', 'ubuntu'], 'apt-get install -y'],
  [['fedora', 'rhel', 'centos', 'amzn'], 'dnf install -y'],
  [['alpine'], 'apk add'],
  [['arch'], 'pacman -S --noconfirm'],
  [['suse', 'opensuse'], 'zypper install -y'],
];

/** `bash` and `prlimit` are in these packages on all of them. */
const packageOf: Record<string, string> = {
  bwrap: 'bubblewrap',
  bash: 'bash',
  mkfifo: 'coreutils',
  rm: 'coreutils',
};
const utilLinux = 'util-linux';

export function adviseMissing(programs: string[], facts: Facts): Advice {
  const packages = [...new Set(programs.map(name => packageOf[name] ?? utilLinux))];
  const ids = [...facts.osRelease.matchAll(/^(?:ID|ID_LIKE)=(.*)$/gm)].flatMap(match =>
    match[1]!.replaceAll('"', '').split(/\s+/),
  );
  const installer = installers.find(([names]) => names.some(name => ids.some(id => id.startsWith(name))));
  const plural = programs.length > 1 ? 'are' : 'is';
  return {
    reason: `${programs.join(', ')} ${plural} not installed`,
    fix: installer ? asRoot(facts, `${installer[1]} ${packages.join(' ')}`) : null,
  };
}

/** @param stderr what bubblewrap or the stage said when a sandbox could not be made. */
export function adviseRefused(stderr: string, facts: Facts): Advice {
  const reason = stderr.trim().split('\n').at(-1) || 'bubblewrap failed without a message';
  const setting = (name: string, value: string): Advice => ({
    reason,
    fix: asRoot(facts, `sysctl -w ${name}=${value}`),
  });
  if (/unknown option/i.test(stderr)) {
    return { reason: `bubblewrap is too old, 0.8.0 or newer is needed (${reason})`, fix: null };
  }
  if (/unshare.*Operation not permitted/i.test(stderr) && facts.root) {
    return {
      reason: 'the server is root without the right to mount',
      fix: 'Run the server as an ordinary user, or give it CAP_SYS_ADMIN.',
    };
  }
  if (facts.container) {
    return {
      reason,
      fix: 'Start the container with --security-opt seccomp=unconfined --security-opt systempaths=unconfined, or run the server on the host.',
    };
  }
  if (facts.sysctl('kernel.apparmor_restrict_unprivileged_userns') === '1') {
    return setting('kernel.apparmor_restrict_unprivileged_userns', '0');
  }
  if (facts.sysctl('kernel.unprivileged_userns_clone') === '0') {
    return setting('kernel.unprivileged_userns_clone', '1');
  }
  if (facts.sysctl('user.max_user_namespaces') === '0') return setting('user.max_user_namespaces', '10000');
  return { reason, fix: null };
}

function asRoot(facts: Facts, command: string): string {
  return facts.root ? command : `sudo ${command}`;
}
