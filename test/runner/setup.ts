/**
 * Installs what optional suites need, where that is allowed and costs no question: Debian's package manager, as root
 * or with a sudo that asks for no password. Whatever is still missing afterwards makes its suites skip and say so.
 */
import { spawnSync } from 'node:child_process';
import { isInstalled } from './steps.ts';

/** A Debian package, and the programs of which one shows that it is there. */
const wanted = [
  { package: 'bubblewrap', programs: ['bwrap'] },
  { package: 'chromium', programs: ['chromium', 'chromium-browser', 'google-chrome'] },
  { package: 'python3', programs: ['python3'] },
  // With Debian's redis-tools comes the server's program too, and no service is started.
  { package: 'redis-tools', programs: ['redis-server', 'valkey-server', 'redis-check-rdb'] },
];

export function installOptional(say: (line: string) => void): void {
  const missing = wanted.filter(each => !each.programs.some(isInstalled)).map(each => each.package);
  if (missing.length === 0 || !isInstalled('apt-get')) return;
  const isRoot = process.getuid?.() === 0;
  if (!isRoot && spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' }).status !== 0) return;
  say(`installing ${missing.join(', ')} for the optional tests (--no-install leaves them out)`);
  const asRoot = (args: string[]) => {
    const [program, ...rest] = isRoot ? args : ['sudo', '-n', ...args];
    return spawnSync(program!, rest, { stdio: ['ignore', 'ignore', 'pipe'], encoding: 'utf8' });
  };
  const install = [
    'env',
    'DEBIAN_FRONTEND=noninteractive',
    'apt-get',
    'install',
    '-y',
    '-qq',
    '--no-install-recommends',
  ];
  asRoot(['apt-get', 'update', '-qq']);
  for (const name of missing) {
    const { status, stderr } = asRoot([...install, name]);
    if (status !== 0)
      say(`${name} could not be installed: ${stderr?.trim().split('\n').at(-1) ?? 'unknown reason'}`);
  }
}
