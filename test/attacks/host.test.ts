/** The host's side: who the commands are, what is left behind, what others can see, and what a driver refuses. */
import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { createBwrapDriver } from '../../src/drivers/sandboxes/bwrap.ts';
import { defaultSandboxPolicy } from '../../src/features/sandboxes/port.ts';
import { makeBench, processesWith, setUpCanaries, sleepers, text } from './bench.ts';

const bench = makeBench();
const root = process.getuid?.() === 0;
const onlyRoot = 'only a server that is root has several users';

bench.attack(
  'SBX-05 X-10 commands of a root server have a uid of their own per identity, never root',
  async t => {
    if (!root) return t.skip(onlyRoot);
    const uids: number[] = [];
    for (const identity of [5, 6]) {
      const sandbox = await bench.open(t, { identity });
      const word = `66${process.pid}${identity}`;
      let host: string[] = [];
      await sandbox.shell(`touch file; sleep ${word} & sleep 0.2; echo; sleep 0.2; kill %1`, {
        onOutput: () => {
          host = sleepers(word).map(
            pid => /^Uid:\s+(.*)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]!,
          );
        },
      });
      const { uid, gid } = statSync(join(sandbox.workspace!, 'file'));
      assert.deepEqual(host, [Array(4).fill(uid).join('\t')]);
      assert.equal(gid, uid);
      assert.equal(statSync(sandbox.workspace!).mode & 0o777, 0o700);
      uids.push(uid);
    }
    assert.deepEqual(uids, [200_005, 200_006]);
  },
);

bench.attack('X-10 a workspace of another identity cannot be used', async t => {
  if (!root) return t.skip(onlyRoot);
  const sandbox = await bench.open(t, { identity: 5 });
  const spec = { id: 'other', workspace: sandbox.workspace, mounts: [], policy: defaultSandboxPolicy };
  await assert.rejects(bench.driver().create({ ...spec, identity: 6 }), { code: 'sandbox_workspace_owner' });
});

bench.attack('SBX-04 what lies below closed directories is shown, and the host stays as it is', async t => {
  const closed = join(bench.directory(), 'closed');
  const project = join(closed, 'a project');
  mkdirSync(join(project, 'deep'), { recursive: true });
  writeFileSync(join(project, 'deep', 'file'), 'content');
  writeFileSync(join(closed, 'neighbour'), 'hidden');
  chmodSync(closed, 0o700);
  const workspace = join(closed, 'workspace');
  await bench.driver().prepareDirectory(workspace, 9);
  const mountsBefore = readFileSync('/proc/self/mountinfo', 'utf8');
  const sandbox = await bench.driver().create({
    id: 'closed',
    identity: 9,
    workspace,
    mounts: [
      { source: project, target: '/workspace/project', read_only: true },
      { source: join(project, 'deep', 'file'), target: '/inputs/file', read_only: true },
      { source: project, target: '/inputs/writable', read_only: false },
    ],
    policy: defaultSandboxPolicy,
  });
  t.after(() => sandbox.destroy());
  const script =
    'cat project/deep/file /inputs/file; echo x > project/deep/file; echo y > made; ls /inputs; find / -name neighbour 2>/dev/null';
  const result = await sandbox.exec({ argv: ['/bin/bash', '-c', script] });
  assert.equal(text(result.stdout), 'contentcontentfile\nwritable\n', result.message ?? '');
  assert.match(text(result.stderr), /Read-only file system/);
  assert.equal(readFileSync(join(workspace, 'made'), 'utf8'), 'y\n');
  assert.equal(readFileSync(join(project, 'deep', 'file'), 'utf8'), 'content');
  assert.equal(readFileSync('/proc/self/mountinfo', 'utf8'), mountsBefore);
  assert.equal(statSync(closed).mode & 0o777, 0o700);
  await bench.driver().removeDirectory(workspace);
  assert.deepEqual(readdirSync(closed).sort(), ['a project', 'neighbour']);
});

bench.attack('a source that the sandbox user may not read is refused with the remedy', async t => {
  if (!root) return t.skip(onlyRoot);
  const source = join(bench.directory(), 'unreadable');
  mkdirSync(source, { mode: 0o700 });
  const mounts = [{ source, target: '/workspace/x', read_only: true }];
  const spec = { id: 'unreadable', identity: 1, workspace: null, mounts, policy: defaultSandboxPolicy };
  await assert.rejects(bench.driver().create(spec), (error: Error) => {
    assert.match(error.message, /not readable by the sandbox user \(uid 200001\).*chmod -R o\+rX/);
    return true;
  });
});

bench.attack('VAL-03 a link planted where a mount belongs does not lead out', async () => {
  const source = join(bench.directory(), 'dependencies');
  mkdirSync(source);
  const outside = join(bench.directory(), 'outside-of-it');
  mkdirSync(outside, { mode: 0o777 });
  chmodSync(outside, 0o777);
  chmodSync(bench.directory(), 0o711);
  for (const target of [`/oldroot${outside}/made`, `../../oldroot${outside}/made`, outside, '/etc']) {
    const workspace = join(bench.directory(), 'planted');
    await bench.driver().prepareDirectory(workspace, 1);
    symlinkSync(target, join(workspace, 'deps'));
    const mounts = [{ source, target: '/workspace/deps/inner', read_only: true }];
    const spec = { id: 'planted', identity: 1, workspace, mounts, policy: defaultSandboxPolicy };
    const sandbox = await bench.driver().create(spec);
    const result = await sandbox.exec({ argv: ['true'] });
    await sandbox.destroy();
    await bench.driver().removeDirectory(workspace);
    assert.equal(result.outcome, 'sandbox_error');
    assert.match(result.message!, /deps is a symbolic link/);
    assert.deepEqual(readdirSync(outside), []);
  }
});

bench.attack('SBX-03 the host network reaches addresses, but no sockets of the host by name', async t => {
  const canaries = await setUpCanaries(t, bench.directory());
  const sandbox = await bench.open(t, { policy: { network: 'host' } });
  assert.equal(sandbox.effective.network, 'unsupported');
  const loopback = await sandbox.shell(`exec 3<>/dev/tcp/127.0.0.1/${canaries.port}; cat <&3`);
  assert.equal(text(loopback.stdout), 'host canary');
  const script = `const s = require('net').connect('\\0${canaries.abstract}'); s.on('data', d => console.log(String(d))); s.on('error', e => console.log(e.code))`;
  const node = await sandbox.exec({ argv: ['node', '-e', script] });
  if (node.exit_code === 127) return t.diagnostic('no node in /usr: abstract sockets not tried');
  assert.doesNotMatch(text(node.stdout), /canary/);
  assert.match(text(node.stdout), /EAFNOSUPPORT/);
});

bench.attack('secrets given to a command do not show in the process list', async t => {
  const sandbox = await bench.open(t);
  const secret = `secret${process.pid}x${Date.now()}`;
  let visible: number[] = [-1];
  const result = await sandbox.shell('echo up; sleep 0.2; echo "$TOKEN"', {
    env: { TOKEN: secret },
    onOutput: () => {
      visible = processesWith(secret);
    },
  });
  assert.equal(text(result.stdout), `up\n${secret}\n`);
  assert.deepEqual(visible, []);
});

bench.attack('ordinary tools run: node, npm, git, python, a server on loopback', async t => {
  const sandbox = await bench.open(t);
  const script = `set -e
    git init -q . && git -c user.name=x -c user.email=x@x commit -q --allow-empty -m first && git log --oneline | wc -l
    getent passwd 1000 | cut -d: -f1; whoami; nproc > /dev/null; date > /dev/null; tar cf - . | tar tf - > /dev/null
    ! command -v npm > /dev/null || npm --version > /dev/null
    ! command -v python3 > /dev/null || python3 -c 'import ssl, sqlite3, multiprocessing'
    if command -v node > /dev/null; then
      node -e "
        const http = require('http'), { Worker } = require('worker_threads');
        new Worker('process.exit(0)', { eval: true });
        const s = http.createServer((q, r) => r.end('served')).listen(0, 'localhost', async () => {
          console.log(await (await fetch('http://localhost:' + s.address().port)).text()); s.close();
          console.log(require('child_process').execFileSync('echo', ['child']).toString().trim());
        })"
    else echo served; echo child; fi`;
  const result = await sandbox.shell(script);
  assert.equal(text(result.stdout), '1\nsandbox\nsandbox\nserved\nchild\n', text(result.stderr));
});

bench.attack('toolchains come first in PATH and the given node last, wherever they lie', async t => {
  const tools = join(bench.directory(), 'closed-tools');
  mkdirSync(join(tools, 'bin'), { recursive: true });
  writeFileSync(join(tools, 'bin', 'git'), '#!/bin/sh\necho git of the toolchain\n', { mode: 0o755 });
  const stateDir = join(bench.directory(), 'with-tools');
  const nodeBinary = process.execPath;
  const driver = await createBwrapDriver({ stateDir, toolchainPaths: [tools], nodeBinary });
  const policy = defaultSandboxPolicy;
  const sandbox = await driver.create({ id: 'tools', identity: 1, workspace: null, mounts: [], policy });
  t.after(() => sandbox.destroy());
  const script = `git; /opt/guildhall/bin/node --version; echo "$PATH" | sed 's/.*://'; touch /opt/guildhall/bin/x ${tools}/bin/x`;
  const result = await sandbox.exec({ argv: ['/bin/bash', '-c', script] });
  assert.equal(
    text(result.stdout),
    `git of the toolchain\n${process.version}\n/opt/guildhall/bin\n`,
    text(result.stderr),
  );
  assert.equal(text(result.stderr).match(/Read-only file system/g)?.length, 2);
});

test('without bubblewrap the driver says what to install, and refuses', async t => {
  const stateDir = mkdtempSync(join(tmpdir(), 'guildhall-bare-'));
  t.after(() => rmSync(stateDir, { recursive: true, force: true }));
  const options = { stateDir, toolchainPaths: [], nodeBinary: null };
  const driver = await createBwrapDriver({ ...options, programDirs: [join(stateDir, 'none')] });
  const probe = await driver.probe();
  assert.equal(probe.usable, false);
  assert.match(probe.summary, /bwrap.* not installed/);
  assert.ok(Object.values(probe.limits).every(enforcement => enforcement === 'unsupported'));
  if (existsSync('/usr/bin/apt-get')) assert.match(probe.fix!, /^(sudo )?apt-get install -y bubblewrap/);
  const spec = { id: 'bare', identity: 1, workspace: null, mounts: [], policy: defaultSandboxPolicy };
  await assert.rejects(driver.create(spec), { code: 'sandbox_unavailable', kind: 'unavailable' });
});

test('SBX-08 no feature starts a process itself', () => {
  const source = fileURLToPath(new URL('../../src/', import.meta.url));
  const offenders = globSync('{base,features}/**/*.ts', { cwd: source })
    .filter(file => !file.endsWith('.test.ts'))
    .filter(file => /node:(child_process|cluster)/.test(readFileSync(join(source, file), 'utf8')));
  assert.deepEqual(offenders, []);
});
