import assert from 'node:assert/strict';
import { test } from 'node:test';
import { adviseMissing, adviseRefused, type Facts } from './advice.ts';

const facts = (changes: Partial<Facts> & { settings?: Record<string, string> }): Facts => ({
  osRelease: 'ID=debian\n',
  root: false,
  container: false,
  sysctl: name => changes.settings?.[name] ?? null,
  ...changes,
});

test('a missing bubblewrap: the command of the distribution', () => {
  const commands: [osRelease: string, fix: string | null][] = [
    ['ID=debian\nVERSION_ID="12"', 'sudo apt-get install -y bubblewrap'],
    ['NAME="Linux Mint"\nID=linuxmint\nID_LIKE="ubuntu debian"', 'sudo apt-get install -y bubblewrap'],
    ['ID=fedora', 'sudo dnf install -y bubblewrap'],
    ['ID="rocky"\nID_LIKE="rhel centos fedora"', 'sudo dnf install -y bubblewrap'],
    ['ID=alpine', 'sudo apk add bubblewrap'],
    ['ID=manjaro\nID_LIKE=arch', 'sudo pacman -S --noconfirm bubblewrap'],
    ['ID="opensuse-tumbleweed"\nID_LIKE="opensuse suse"', 'sudo zypper install -y bubblewrap'],
    ['ID=plan9', null],
  ];
  for (const [osRelease, fix] of commands) {
    assert.equal(adviseMissing(['bwrap'], facts({ osRelease })).fix, fix);
  }
});

test('other missing programs come from their packages, and root needs no sudo', () => {
  const advice = adviseMissing(['bwrap', 'setpriv', 'unshare'], facts({ root: true }));
  assert.equal(advice.fix, 'apt-get install -y bubblewrap util-linux');
  assert.match(advice.reason, /bwrap, setpriv, unshare are not installed/);
});

test('refused user namespaces: the setting that forbids them', () => {
  const said = 'bwrap: setting up uid map: Permission denied\n';
  const fixOf = (settings: Record<string, string>) => adviseRefused(said, facts({ settings })).fix;
  assert.equal(
    fixOf({ 'kernel.apparmor_restrict_unprivileged_userns': '1' }),
    'sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0',
  );
  assert.equal(
    fixOf({ 'kernel.unprivileged_userns_clone': '0' }),
    'sudo sysctl -w kernel.unprivileged_userns_clone=1',
  );
  assert.equal(fixOf({ 'user.max_user_namespaces': '0' }), 'sudo sysctl -w user.max_user_namespaces=10000');
  assert.equal(fixOf({}), null);
  assert.equal(adviseRefused(said, facts({})).reason, 'bwrap: setting up uid map: Permission denied');
});

test('in a container: how to start it, and root without mounts', () => {
  assert.match(adviseRefused('bwrap: No permissions', facts({ container: true })).fix!, /--security-opt/);
  const unshare = 'unshare: unshare failed: Operation not permitted';
  assert.match(adviseRefused(unshare, facts({ container: true, root: true })).fix!, /ordinary user/);
});

test('a bubblewrap that is too old is called that', () => {
  const advice = adviseRefused('bwrap: Unknown option --disable-userns', facts({}));
  assert.match(advice.reason, /too old, 0\.8\.0 or newer/);
});
