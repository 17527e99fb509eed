import assert from 'node:assert/strict';
import { test } from 'node:test';
import { groupDirectory, readMounts } from './group-paths.ts';

const version2 = readMounts(
  '30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot\n',
);
const version1 = readMounts(
  [
    '31 30 0:27 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct',
    '32 30 0:28 /docker/abc /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory',
    '33 30 0:29 / /mnt/with\\040space rw - cgroup cgroup rw,pids',
    '',
  ].join('\n'),
);

test('the group of this process in version 2', () => {
  assert.equal(
    groupDirectory(version2, '0::/user.slice/user-1000.slice/app.scope\n', null),
    '/sys/fs/cgroup/user.slice/user-1000.slice/app.scope',
  );
  assert.equal(groupDirectory(version2, '0::/\n', null), '/sys/fs/cgroup');
  assert.equal(groupDirectory([], '0::/\n', null), null);
  assert.equal(groupDirectory(version2, '4:memory:/x\n', null), null);
});

test('the groups of this process in version 1, of which a container shows a part', () => {
  const membership = '5:pids:/a\n4:memory:/docker/abc/inner\n3:cpu,cpuacct:/b\n1:name=systemd:/c\n';
  assert.equal(groupDirectory(version1, membership, 'cpu'), '/sys/fs/cgroup/cpu,cpuacct/b');
  assert.equal(groupDirectory(version1, membership, 'memory'), '/sys/fs/cgroup/memory/inner');
  assert.equal(groupDirectory(version1, membership, 'pids'), '/mnt/with space/a');
  assert.equal(groupDirectory(version1, '4:memory:/other\n', 'memory'), null);
  assert.equal(groupDirectory(version1, membership, 'io'), null);
});
