/** Nothing of a command outlives it, however it or the server ends. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, readdirSync, realpathSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { createBwrapDriver } from '../../src/drivers/sandboxes/bwrap.ts';
import { makeBench, processesWith, sleepers, text } from './bench.ts';

const bench = makeBench();
const victim = fileURLToPath(new URL('victim.ts', import.meta.url));

/** A word on the command line of a daemon, by which the host can find it. */
const newWord = () => `77${process.pid}${Math.trunc(performance.now() * 1000)}`;
/** Ignores signals, has left its session and its parents, and holds the output open. */
const daemon = (word: string) =>
  `( setsid bash -c 'trap "" TERM INT HUP; (while :; do sleep ${word}; done) &' & )
  until grep -qsaP '^sleep\\x00${word}' /proc/[0-9]*/cmdline; do sleep 0.02; done; echo up; sleep 0.2`;

const endings: [title: string, rest: string, outcome: string, request: object][] = [
  ['a normal exit', 'exit 3', 'exited', {}],
  ['a time-out', 'sleep 60', 'timed_out', { timeout_ms: 1000 }],
  ['a flood', 'yes', 'output_limit', { max_output_bytes: 16_384 }],
  ['its own death', 'kill -9 $$', 'exited', {}],
];
for (const [title, rest, outcome, request] of endings) {
  bench.attack(`SBX-06 a daemon does not survive ${title}`, async t => {
    const sandbox = await bench.open(t);
    const word = newWord();
    let seen = 0;
    const onOutput = () => {
      seen ||= sleepers(word).length;
    };
    const result = await sandbox.shell(`${daemon(word)}; ${rest}`, { ...request, onOutput });
    assert.deepEqual(processesWith(word), []);
    assert.equal(result.outcome, outcome);
    assert.ok(seen > 0, 'the daemon was never there');
    assert.ok(result.duration_ms < 5000);
  });
}

bench.attack('SBX-06 a daemon does not survive being cancelled', async t => {
  const sandbox = await bench.open(t);
  const word = newWord();
  const controller = new AbortController();
  let cancelledAt = 0;
  const result = await sandbox.shell(`${daemon(word)}; sleep 60`, {
    signal: controller.signal,
    onOutput: () => {
      cancelledAt = performance.now();
      controller.abort();
    },
  });
  const took = performance.now() - cancelledAt;
  assert.deepEqual(processesWith(word), []);
  assert.equal(result.outcome, 'cancelled');
  t.diagnostic(`gone ${Math.round(took)} ms after the signal`);
  assert.ok(took < 1000);
});

/** Starts the victim; resolves when the given text has come. */
async function startVictim(t: TestContext, stateDir: string, id: string, script: string, until: string) {
  const child = spawn(process.execPath, [victim, stateDir, id, script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));
  let said = '';
  for await (const chunk of child.stdout!) {
    said += chunk;
    if (said.includes(until)) return child;
  }
  assert.fail(`the victim said: ${said}`);
}

async function killHard(child: ChildProcess) {
  child.kill('SIGKILL');
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
}

async function waitUntil(condition: () => boolean, patienceMs: number): Promise<void> {
  for (const deadline = performance.now() + patienceMs; !condition() && performance.now() < deadline; )
    await sleep(10);
}

bench.attack('SBX-06 a daemon does not survive the server, and the next server cleans up', async t => {
  const stateDir = join(bench.directory(), 'killed');
  const word = newWord();
  const child = await startVictim(t, stateDir, 'victim_1', `${daemon(word)}; sleep 60`, 'up');
  assert.equal(sleepers(word).length, 1);
  await killHard(child);
  await waitUntil(() => processesWith(word).length === 0, 2000);
  assert.deepEqual(processesWith(word), []);

  // As if it had been killed while it handed a file over.
  writeFileSync(join(stateDir, `unnamed-${child.pid}-0`), 'left');
  writeFileSync(join(stateDir, `unnamed-${process.pid}-0`), 'in use');
  const next = await createBwrapDriver({ stateDir, toolchainPaths: [], nodeBinary: null });
  assert.deepEqual((await next.reconcile(new Set(['victim_1']))).removed, []);
  assert.deepEqual(
    readdirSync(stateDir).filter(name => name.startsWith('unnamed-')),
    [`unnamed-${process.pid}-0`],
  );
  assert.deepEqual((await next.reconcile(new Set())).removed, ['victim_1']);
  assert.deepEqual((await next.reconcile(new Set())).removed, []);
  assert.deepEqual(readdirSync(join(stateDir, 'run')), []);
  await next.removeDirectory(join(stateDir, 'workspace'));
});

bench.attack('SBX-06 a server killed at any moment of a start leaves no command running', async t => {
  const words: string[] = [];
  const stateDir = join(bench.directory(), 'killed-early');
  for (let delay = 0; delay < 24; delay += 5) {
    const word = newWord();
    words.push(word);
    const child = await startVictim(t, stateDir, `early_${delay}`, `exec sleep ${word}`, 'starting');
    await sleep(delay);
    await killHard(child);
  }
  const alive = () => words.filter(word => processesWith(word).length > 0);
  // A process that is just being replaced by another program has no command line to find it by: look twice.
  for (let look = 0; look < 2; look++) {
    await waitUntil(() => alive().length === 0, 4000);
    await sleep(300);
  }
  assert.deepEqual(alive(), []);
  const next = await createBwrapDriver({ stateDir, toolchainPaths: [], nodeBinary: null });
  await next.reconcile(new Set());
  await next.removeDirectory(join(stateDir, 'workspace'));
});

bench.attack('reconcile ends a sandbox that has lost its server, and no other', async t => {
  const stateDir = join(bench.directory(), 'orphans');
  mkdirSync(stateDir);
  const instance = createHash('sha256').update(realpathSync(stateDir)).digest('hex').slice(0, 10);
  const word = newWord();
  const start = (id: string, server: number | string, argument: string) => {
    // Through a shell that goes away, so that the sandbox has no parent that started it.
    const mark = `guildhall:${instance}:${id}:${server}.0`;
    const command = `bwrap --unsetenv ${mark} --unshare-user --unshare-pid --uid 1000 --ro-bind / / sleep ${argument} &`;
    const user = process.getuid?.() === 0 ? { uid: 65_533, gid: 65_533 } : {};
    spawn('/bin/sh', ['-c', command], { stdio: 'ignore', cwd: '/', ...user });
  };
  start('orphan', 4_000_000, `${word}1`);
  start('kept', 4_000_000, `${word}2`);
  t.after(async () => {
    await driver.reconcile(new Set());
    assert.deepEqual(processesWith(word), []);
  });
  const driver = await createBwrapDriver({ stateDir, toolchainPaths: [], nodeBinary: null });
  await waitUntil(() => sleepers(`${word}1`).length + sleepers(`${word}2`).length === 2, 3000);
  const { removed } = await driver.reconcile(new Set(['kept']));
  assert.deepEqual(removed, ['orphan']);
  assert.deepEqual(processesWith(`${word}1`), []);
  assert.equal(sleepers(`${word}2`).length, 1);
});

bench.attack(
  'reconcile leaves the sandbox of another living server alone, though it runs nothing now',
  async t => {
    const sandbox = await bench.open(t);
    assert.equal((await sandbox.shell('true')).exit_code, 0);
    const other = await createBwrapDriver({
      stateDir: bench.stateDir(),
      toolchainPaths: [],
      nodeBinary: null,
    });
    assert.ok(!(await other.reconcile(new Set())).removed.includes(sandbox.id));
    assert.equal(text((await sandbox.shell('echo still here')).stdout), 'still here\n');
  },
);

bench.attack('SBX-04 a descriptor that the server itself inherited does not reach a command', async () => {
  const stateDir = join(bench.directory(), 'inherited');
  const script = `exec 251< ${process.execPath}; exec "$0" "$@"`;
  const list = 'for fd in /proc/$$/fd/*; do [ -L $fd ] && echo "fd $(basename $fd)"; done; echo end';
  const child = spawn('/bin/bash', ['-c', script, process.execPath, victim, stateDir, 'inherited_1', list], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let said = '';
  for await (const chunk of child.stdout!) said += chunk;
  assert.match(said, /fd 0\nfd 1\nfd 2\n(fd 255\n)?end/);
  const next = await createBwrapDriver({ stateDir, toolchainPaths: [], nodeBinary: null });
  await next.reconcile(new Set());
  await next.removeDirectory(join(stateDir, 'workspace'));
});

bench.attack('a planted start-up file is not run', async t => {
  const sandbox = await bench.open(t);
  const names = ['.bashrc', '.profile', '.bash_profile', '.bash_login', '.env'];
  await sandbox.shell(names.map(name => `echo 'echo PLANTED' > ${name}`).join('; '));
  for (const stdin of [undefined, '', 'echo from input\n']) {
    for (const argv of [
      ['bash', '-c', 'echo ran'],
      ['sh', '-c', 'echo ran'],
      ['bash', '-l', '-c', 'echo ran'],
    ]) {
      const result = await sandbox.exec({ argv, ...(stdin === undefined ? {} : { stdin }) });
      assert.equal(text(result.stdout), 'ran\n');
    }
  }
});

bench.attack('SBX-06 the state directory is empty when all is over', async t => {
  const sandbox = await bench.open(t);
  await Promise.all([sandbox.shell('true'), sandbox.shell('false', { stdin: 'x' })]);
  await sandbox.destroy();
  const left = readdirSync(join(bench.stateDir(), 'run')).filter(name => name.startsWith(`${sandbox.id}.`));
  assert.deepEqual(left, []);
  assert.deepEqual(
    readdirSync(bench.stateDir()).filter(name => !['run', 'group-parents'].includes(name)),
    [],
  );
});
