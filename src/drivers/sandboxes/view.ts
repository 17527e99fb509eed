/**
 * What a sandbox sees of the host besides its workspace, the same for all of an installation: /usr read-only, the
 * few files of /etc without which programs do not start or verify certificates, toolchains, and made-up files for
 * what the host's would tell too much about it.
 */
import { existsSync, lstatSync, readdirSync, readlinkSync, realpathSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { SandboxMount } from '../../features/sandboxes/port.ts';
import type { BwrapOptions } from './host.ts';
import { checkTarget } from './mounts.ts';
import { openUnnamed } from './unnamed.ts';

export interface Link {
  path: string;
  target: string;
}

export interface HostView {
  /** `/bin` → `usr/bin` and the like, as on the host. */
  links: Link[];
  /** Top directories of hosts that have not merged them into /usr. */
  directories: string[];
  /** Files and directories of the host's /etc. */
  etc: string[];
  /** Added with the host's network. */
  networkEtc: string[];
  /** Kept descriptors of files without names, by the path at which they appear. */
  madeUp: Map<string, number>;
  /** Toolchains and node, all read-only. */
  mounts: SandboxMount[];
  path: string;
}

const topDirectories = ['/bin', '/sbin', '/lib', '/lib64', '/lib32', '/libx32'];

const etcPaths = [
  '/etc/ld.so.cache',
  '/etc/ld-musl-x86_64.path',
  '/etc/alternatives',
  '/etc/localtime',
  '/etc/ssl/certs',
  '/etc/ssl/cert.pem',
  '/etc/ssl/openssl.cnf',
  '/etc/ca-certificates/extracted',
  '/etc/pki/ca-trust/extracted',
  '/etc/pki/tls/certs',
  '/etc/pki/tls/cert.pem',
  '/etc/pki/tls/openssl.cnf',
  '/etc/crypto-policies',
];

const guildhallDirectory = '/opt/guildhall';
const systemPath = ['/usr/local/bin', '/usr/bin', '/bin', '/usr/local/sbin', '/usr/sbin', '/sbin'];

/** `[safe] directory`: the workspace may belong to another uid than the one that git sees. */
const madeUpContents: Record<string, string> = {
  '/etc/passwd': [
    'root:x:0:0:root:/root:/usr/sbin/nologin',
    'sandbox:x:1000:1000:sandbox:/tmp/home:/bin/sh',
    'nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin',
    '',
  ].join('\n'),
  '/etc/group': 'root:x:0:\nsandbox:x:1000:\nnogroup:x:65534:\n',
  '/etc/hosts': '127.0.0.1 localhost sandbox\n::1 localhost\n',
  '/etc/nsswitch.conf': 'passwd: files\ngroup: files\nhosts: files dns\n',
  '/etc/gitconfig': '[safe]\n\tdirectory = *\n',
};

/** Looks what the host has. */
export function readHostView(stateDir: string, options: BwrapOptions): HostView {
  const present = topDirectories.filter(path => existsSync(path));
  const isLink = (path: string) => lstatSync(path).isSymbolicLink();
  const toolchains = options.toolchainPaths.filter(path => existsSync(path));
  const outsideUsr = toolchains.filter(path => !path.startsWith('/usr/'));
  for (const path of outsideUsr) checkTarget(path);
  return {
    links: present.filter(isLink).map(path => ({ path, target: readlinkSync(path) })),
    directories: present.filter(path => !isLink(path)),
    etc: [...etcPaths, ...javaConfigurations()].filter(path => existsSync(path)),
    networkEtc: ['/etc/resolv.conf'].filter(path => existsSync(path)),
    madeUp: new Map(
      Object.entries(madeUpContents).map(([path, content]) => [path, openUnnamed(stateDir, content)]),
    ),
    mounts: [
      ...outsideUsr.map(path => ({ source: realpathSync(path), target: path, read_only: true })),
      ...nodeMounts(options.nodeBinary),
    ],
    path: [
      ...toolchains.flatMap(path => (existsSync(join(path, 'bin')) ? [join(path, 'bin'), path] : [path])),
      ...systemPath,
      ...(options.nodeBinary === null ? [] : [join(guildhallDirectory, 'bin')]),
    ].join(':'),
  };
}

/** Debian's Java reads its configuration from /etc. */
function javaConfigurations(): string[] {
  return readdirSync('/etc')
    .filter(name => /^java-\d/.test(name))
    .map(name => join('/etc', name));
}

function nodeMounts(nodeBinary: string | null): SandboxMount[] {
  if (nodeBinary === null) return [];
  const mounts = [
    { source: realpathSync(nodeBinary), target: join(guildhallDirectory, 'bin/node'), read_only: true },
  ];
  const npm = findNpm([nodeBinary, process.execPath]);
  if (npm !== null) {
    mounts.push({ source: npm, target: join(guildhallDirectory, 'lib/node_modules/npm'), read_only: true });
  }
  return mounts;
}

/** The npm package that belongs to one of the node binaries, when it lies outside /usr, which is visible anyway. */
function findNpm(nodeBinaries: string[]): string | null {
  for (const binary of nodeBinaries) {
    for (const directory of [dirname(binary), dirname(realpathSync(binary))]) {
      const command = join(directory, 'npm');
      const candidates = [
        join(directory, '../lib/node_modules/npm'),
        ...(existsSync(command) ? [join(dirname(realpathSync(command)), '..')] : []),
      ];
      const found = candidates.find(path => existsSync(join(path, 'bin/npm-cli.js')));
      if (found !== undefined && statSync(found).isDirectory()) return realpathSync(found);
    }
  }
  return null;
}

/** Commands beside the node binary, made as links because npm's own entry files are not called so. */
export function npmLinks(view: HostView): Link[] {
  const hasNpm = view.mounts.some(mount => mount.target.startsWith(join(guildhallDirectory, 'lib')));
  if (!hasNpm) return [];
  return ['npm', 'npx'].map(name => ({
    path: join(guildhallDirectory, 'bin', name),
    target: `../lib/node_modules/npm/bin/${name}-cli.js`,
  }));
}
