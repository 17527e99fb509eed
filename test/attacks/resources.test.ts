/** A sandbox against the host's resources: each attack stops at its limit, and others do not notice. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { makeBench, mebibyte, type OpenSandbox, text } from './bench.ts';

const bench = makeBench();
const python = '/usr/bin/python3';
const forkBomb = 'bomb() { bomb | bomb & }; bomb; sleep 60';

bench.attack('SBX-01 SBX-06 a fork bomb stays small, and dies with its time limit', async t => {
  const bomber = await bench.open(t, { policy: { pids: 64 } });
  const neighbour = await bench.open(t, { policy: { pids: 64 } });
  const bombing = bomber.shell(forkBomb, { timeout_ms: 1000, max_output_bytes: 65_536 });
  await new Promise(resolve => setTimeout(resolve, 300));
  const result = await neighbour.shell('for i in $(seq 20); do sleep 0.1 & done; wait; echo fine');
  assert.equal(text(result.stdout), 'fine\n', text(result.stderr));
  const ended = await bombing;
  assert.equal(ended.outcome, 'timed_out');
  assert.match(text(ended.stderr), /Resource temporarily unavailable|retry/);
  assert.ok(ended.duration_ms < 5000);
});

/** Enough Python to fill memory in a given way and hold it. */
async function fill(
  t: TestContext,
  script: string,
  expect: (sandbox: OpenSandbox, script: string) => Promise<void>,
) {
  if (!existsSync(python)) return t.skip(`${python} is not installed`);
  const sandbox = await bench.open(t, { policy: { memory_bytes: 96 * mebibyte, shm_bytes: 512 * mebibyte } });
  await expect(sandbox, `import mmap,os,time,ctypes\nsize=200<<20\n${script}\ntime.sleep(8)\nprint('held')`);
  assert.equal(text((await sandbox.shell('echo alive')).stdout), 'alive\n');
}

const shapes: [title: string, script: string][] = [
  ['in one process', 'x = bytearray(size)'],
  ['in four processes', 'for _ in range(3):\n  if os.fork() == 0: break\nx = b"x" * (size // 4)'],
  ['shared anonymously', 'x = mmap.mmap(-1, size)\nfor i in range(0, size, 4096): x[i] = 1'],
  [
    'in /dev/shm',
    'f = os.open("/dev/shm/x", os.O_RDWR | os.O_CREAT)\nos.truncate(f, size)\nx = mmap.mmap(f, size)\nfor i in range(0, size, 4096): x[i] = 1',
  ],
  ['in a memfd', 'fd = os.memfd_create("x")\nfor _ in range(200): os.write(fd, bytes(1 << 20))'],
  [
    'in System V shared memory',
    'l = ctypes.CDLL(None, use_errno=True)\nl.shmat.restype = ctypes.c_void_p\ni = l.shmget(0, size, 0o1600)\nassert i >= 0, "refused"\nctypes.memset(l.shmat(i, None, 0), 1, size)',
  ],
];

for (const [title, script] of shapes) {
  bench.attack(`SBX-02 memory ${title} is not had beyond the limit`, async t => {
    await fill(t, script, async (sandbox, program) => {
      const result = await sandbox.exec({ argv: [python, '-c', program], timeout_ms: 12_000 });
      assert.ok(!text(result.stdout).includes('held'), `twice the limit was had: ${result.outcome}`);
      if (sandbox.effective.memory === 'enforced')
        assert.equal(result.outcome, 'out_of_memory', text(result.stderr));
      else
        assert.ok(
          result.outcome === 'out_of_memory' || result.exit_code === 1,
          `${result.outcome} ${text(result.stderr)}`,
        );
    });
  });
}

bench.attack('SBX-07 a sparse or unpacked giant stops at the file limit', async t => {
  const sandbox = await bench.open(t, { policy: { file_bytes: 8 * mebibyte } });
  const sparse = await sandbox.shell('truncate -s 1T giant; stat -c %s giant');
  assert.notEqual(text(sparse.stdout), `${2 ** 40}\n`);
  const bomb = 'head -c 40000000 /dev/zero | gzip -1 > bomb.gz; gunzip bomb.gz; ls -l bomb* >&2; exit 1';
  const unpacked = await sandbox.shell(bomb);
  assert.doesNotMatch(text(unpacked.stderr), /40000000/);
  assert.doesNotMatch(text((await sandbox.shell('du -sk .')).stdout), /^\d{5}/);
});

bench.attack('SBX-07 descriptors beyond the limit cannot be opened', async t => {
  const sandbox = await bench.open(t, { policy: { open_files: 64 } });
  const result = await sandbox.shell(
    'for i in $(seq 200); do exec {fd}</dev/null || break; done; ls /proc/$$/fd | wc -l; ulimit -n 128',
  );
  assert.ok(Number(text(result.stdout).split('\n')[0]) <= 64);
  assert.match(text(result.stderr), /Too many open files/);
  assert.notEqual(result.exit_code, 0);
});

bench.attack('SBX-07 a flood of small files in /tmp does not get far', async t => {
  const sandbox = await bench.open(t, { policy: { memory_bytes: 24 * mebibyte } });
  if (sandbox.effective.memory !== 'enforced')
    return t.skip('memory of inodes is counted by control groups only');
  const result = await sandbox.shell(
    'cd /tmp; for d in $(seq 400); do mkdir $d; touch $d/{1..500}; done; echo all',
  );
  assert.equal(result.outcome, 'out_of_memory');
});

bench.attack('a flood of output costs the server little memory', async t => {
  const sandbox = await bench.open(t);
  const before = process.memoryUsage().rss;
  let seen = 0;
  const result = await sandbox.exec({
    argv: ['yes'],
    max_output_bytes: 1_000_000,
    onOutput: (_, chunk) => {
      seen += chunk.length;
    },
  });
  assert.equal(result.outcome, 'output_limit');
  assert.ok(seen > 64_000_000);
  assert.equal(result.stdout.length, 1_000_000);
  assert.equal(result.stdout_dropped_bytes + 1_000_000, seen);
  assert.ok(process.memoryUsage().rss - before < 200 * mebibyte);
});
