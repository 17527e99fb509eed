/**
 * What every sandbox driver must do, as tests. A driver's own test file calls this with a way to make the driver.
 *
 * Limits are judged by what the driver declares: one that it calls enforced and that does not hold fails; one that it
 * calls best effort or unsupported is skipped, and must then be refused when a policy requires it. The commands need
 * a POSIX shell and coreutils inside, nothing more.
 */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import { Problem } from '../../base/problem.ts';
import {
  defaultSandboxPolicy,
  type ExecRequest,
  type ExecResult,
  type LimitName,
  type Sandbox,
  type SandboxDriver,
  type SandboxMount,
  type SandboxPolicy,
} from './port.ts';

/** Words that a shell, a parser or a naive join would change: each must arrive as it is. */
export const awkwardWords = [
  '',
  ' ',
  '  two  spaces  ',
  '$HOME',
  '$'.concat('{HOME}'),
  '$(id)',
  '`id`',
  '"',
  "'",
  `'"'"'`,
  '\\',
  '\\n',
  'line\nbreak',
  'carriage\rreturn',
  'tab\there',
  '; rm -rf /',
  '&& id',
  '| cat',
  '> /tmp/x',
  '*',
  '~',
  '!!',
  '#comment',
  '%s%n',
  '--',
  '-n',
  '--help',
  '{a,b}',
  '[a-z]',
  '\u0001\u001b[31mred\u001b[0m',
  'ünïcödé ✓ 漢字 🦊',
  '\u202egnp.exe',
  'x'.repeat(100_000),
];

const mebibyte = 1024 * 1024;
const text = (bytes: Uint8Array) => Buffer.from(bytes).toString();

export function sandboxConformance(makeDriver: () => Promise<SandboxDriver>): void {
  describe('sandbox conformance', () => {
    let base: string;
    let driver: SandboxDriver;
    let unusable: string | null = null;
    let serial = 0;

    before(async () => {
      base = mkdtempSync(join(tmpdir(), 'guildhall-conformance-'));
      driver = await makeDriver();
      const probe = await driver.probe();
      unusable = probe.usable ? null : `${probe.summary} ${probe.fix ?? ''}`;
    });
    after(() => rmSync(base, { recursive: true, force: true }));

    interface Opening {
      identity?: number;
      policy?: Partial<SandboxPolicy>;
      mounts?: SandboxMount[];
      workspace?: string | null;
    }

    /** A sandbox for one test, with a workspace of its own; both end with the test. */
    async function open(
      t: TestContext,
      opening: Opening = {},
    ): Promise<Sandbox & { workspace: string | null }> {
      const id = `conformance_${process.pid}_${serial++}`;
      const workspace = opening.workspace === undefined ? join(base, 'workspaces', id) : opening.workspace;
      const identity = opening.identity ?? 1;
      if (workspace !== null) await driver.prepareDirectory(workspace, identity);
      const sandbox = await driver.create({
        id,
        identity,
        workspace,
        mounts: opening.mounts ?? [],
        policy: { ...defaultSandboxPolicy, wall_ms: 20_000, ...opening.policy },
      });
      t.after(async () => {
        await sandbox.destroy();
        if (workspace !== null) await driver.removeDirectory(workspace);
      });
      return { ...sandbox, workspace };
    }

    const shell = (
      sandbox: Sandbox,
      script: string,
      request: Partial<ExecRequest> = {},
    ): Promise<ExecResult> => sandbox.exec({ argv: ['/bin/sh', '-c', script], ...request });

    /** Defines a test that needs a usable driver. */
    const promise = (title: string, body: (t: TestContext) => Promise<void>) =>
      test(title, async t => (unusable === null ? await body(t) : t.skip(unusable)));

    /** Defines a test of a limit: it counts where the driver calls it enforced. */
    const limit = (
      name: LimitName,
      title: string,
      body: (t: TestContext, sandbox: Opening) => Promise<void>,
    ) =>
      promise(title, async t => {
        const { limits } = await driver.probe();
        if (limits[name] === 'enforced') return await body(t, { policy: { require: [name] } });
        await assert.rejects(open(t, { policy: { require: [name] } }), (error: unknown) => {
          assert.ok(error instanceof Problem);
          assert.equal(error.code, 'sandbox_policy_unenforceable');
          return true;
        });
        t.skip(`${name} is ${limits[name]} here; that it cannot be required was shown`);
      });

    promise('SBX-08 a command runs, with its streams apart and its exit code', async t => {
      const sandbox = await open(t);
      const result = await shell(sandbox, 'echo out; echo err >&2; exit 7');
      assert.equal(result.outcome, 'exited');
      assert.equal(result.exit_code, 7);
      assert.equal(text(result.stdout), 'out\n');
      assert.equal(text(result.stderr), 'err\n');
      assert.equal(result.message, null);
      assert.ok(result.duration_ms > 0);
    });

    promise('a program that is missing or not executable answers 127 and 126', async t => {
      const sandbox = await open(t);
      assert.equal((await sandbox.exec({ argv: ['no-such-program'] })).exit_code, 127);
      assert.equal((await sandbox.exec({ argv: ['/etc/passwd'] })).exit_code, 126);
    });

    promise('a command that dies of a signal does not look like success', async t => {
      const sandbox = await open(t);
      const result = await shell(sandbox, 'kill -SEGV $$');
      assert.equal(result.outcome, 'exited');
      assert.notEqual(result.exit_code, 0);
      assert.equal(result.signal, 'SIGSEGV');
    });

    promise('VAL-04 X-36 words arrive as they are: no shell, no quoting', async t => {
      const sandbox = await open(t);
      const { stdout } = await sandbox.exec({ argv: ['printf', '%s\\0', ...awkwardWords] });
      assert.deepEqual(text(stdout).split('\0').slice(0, -1), awkwardWords);
    });

    promise('VAL-04 X-36 variables arrive as they are, and nothing is inherited', async t => {
      const sandbox = await open(t);
      const env = Object.fromEntries(awkwardWords.slice(0, -1).map((word, i) => [`WORD_${i}`, word]));
      const { stdout } = await sandbox.exec({ argv: ['env', '-0'], env });
      const seen = Object.fromEntries(
        text(stdout)
          .split('\0')
          .filter(Boolean)
          .map(line => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
      );
      for (const [name, value] of Object.entries(env)) assert.equal(seen[name], value);
      const others = Object.keys(seen).filter(name => !(name in env));
      assert.deepEqual(
        others.filter(name => !['PATH', 'HOME', 'LANG', 'CI', 'TERM', 'PWD'].includes(name)),
        [],
      );
    });

    promise('X-36 binary input and output arrive unchanged', async t => {
      const sandbox = await open(t);
      const bytes = Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * 7 + (i >> 8)) & 255));
      const echoed = await sandbox.exec({ argv: ['cat'], stdin: bytes });
      assert.ok(Buffer.from(echoed.stdout).equals(bytes));
      const written = await shell(sandbox, 'cat > file && cat file', { stdin: bytes });
      assert.ok(Buffer.from(written.stdout).equals(bytes));
    });

    promise('without input, reading ends at once', async t => {
      const sandbox = await open(t);
      assert.equal(text((await sandbox.exec({ argv: ['cat'] })).stdout), '');
      assert.equal(text((await sandbox.exec({ argv: ['cat'], stdin: '' })).stdout), '');
    });

    promise('standard streams can be opened by name', async t => {
      const sandbox = await open(t);
      const result = await shell(sandbox, 'cat /dev/stdin; echo out > /dev/stdout; echo err > /dev/stderr', {
        stdin: 'in\n',
      });
      assert.equal(text(result.stdout), 'in\nout\n');
      assert.equal(text(result.stderr), 'err\n');
    });

    promise('the home directory is writable and empty, the workspace lasts', async t => {
      const sandbox = await open(t);
      const first = await shell(sandbox, 'ls -A "$HOME"; echo x > "$HOME/x" && echo y > y && mkdir d && pwd');
      assert.equal(text(first.stdout), '/workspace\n');
      const second = await shell(sandbox, 'ls -A "$HOME"; pwd; cat ../y', { cwd: '/workspace/d' });
      assert.equal(text(second.stdout), '/workspace/d\ny\n');
      const relative = await shell(sandbox, 'pwd', { cwd: 'd' });
      assert.equal(text(relative.stdout), '/workspace/d\n');
    });

    promise('VAL-03 a working directory outside the workspace is refused', async t => {
      const sandbox = await open(t);
      await shell(sandbox, 'ln -s / out');
      for (const cwd of [
        '/',
        '/etc',
        '..',
        '../',
        '/workspace/..',
        '/workspace/../etc',
        '/workspaces',
        'a/../..',
        'a\0b',
      ]) {
        await assert.rejects(shell(sandbox, 'pwd', { cwd }), { code: 'sandbox_request_invalid' }, cwd);
      }
      for (const request of [
        { argv: [] },
        { argv: [''] },
        { argv: ['a\0b'] },
        { argv: ['a'], env: { 'A=B': '' } },
      ]) {
        await assert.rejects(sandbox.exec(request), { code: 'sandbox_request_invalid' });
      }
      const missing = await shell(sandbox, 'pwd', { cwd: 'nowhere' });
      assert.equal(missing.outcome, 'sandbox_error');
      assert.match(missing.message!, /nowhere/);
    });

    promise('mounts appear at their targets; read-only ones stay as they are', async t => {
      const source = join(base, 'source');
      mkdirSync(source, { recursive: true });
      writeFileSync(join(source, 'file'), 'original');
      const sandbox = await open(t, {
        mounts: [
          { source, target: '/workspace/deps', read_only: true },
          { source: join(source, 'file'), target: '/inputs/one', read_only: true },
        ],
      });
      const result = await shell(
        sandbox,
        'cat deps/file /inputs/one; echo changed > deps/file; rm deps/file; echo x > deps/new; true',
      );
      assert.equal(text(result.stdout), 'originaloriginal');
      assert.equal(text((await shell(sandbox, 'ls deps; cat deps/file')).stdout), 'file\noriginal');
    });

    promise('a mount over what the sandbox itself needs, or of what does not exist, is refused', async t => {
      const source = base;
      for (const target of [
        '/',
        '/usr',
        '/usr/bin',
        '/etc/x',
        '/proc',
        '/dev/x',
        '/workspace',
        '/workspace/../etc',
        'x',
        '/tmp',
      ]) {
        await assert.rejects(
          open(t, { mounts: [{ source, target, read_only: true }] }),
          { code: 'sandbox_mount_invalid' },
          target,
        );
      }
      const missing = { source: join(base, 'missing'), target: '/workspace/m', read_only: true };
      await assert.rejects(open(t, { mounts: [missing] }), { code: 'sandbox_mount_missing' });
    });

    promise('a bad spec is refused', async t => {
      for (const policy of [{ memory_bytes: 0 }, { pids: 0 }, { cpu_cores: Number.NaN }, { wall_ms: -1 }]) {
        await assert.rejects(open(t, { policy }), { code: 'sandbox_spec_invalid' });
      }
      const spec = { identity: 1, workspace: null, mounts: [], policy: defaultSandboxPolicy };
      await assert.rejects(driver.create({ ...spec, id: '../x' }), { code: 'sandbox_spec_invalid' });
      await assert.rejects(driver.create({ ...spec, id: 'x', identity: -1 }), {
        code: 'sandbox_spec_invalid',
      });
    });

    promise('output beyond the limit keeps head and tail and counts the rest', async t => {
      const sandbox = await open(t);
      const result = await shell(sandbox, 'seq 100000; seq 5 >&2', { max_output_bytes: 1000 });
      assert.equal(result.outcome, 'exited');
      assert.equal(result.stdout.length, 1000);
      assert.equal(result.stdout_dropped_bytes, 588_895 - 1000);
      assert.ok(text(result.stdout).startsWith('1\n2\n3\n'));
      assert.ok(text(result.stdout).endsWith('99999\n100000\n'));
      assert.equal(text(result.stderr), '1\n2\n3\n4\n5\n');
      assert.equal(result.stderr_dropped_bytes, 0);
    });

    promise('output is seen while the command runs', async t => {
      const sandbox = await open(t);
      const began = performance.now();
      const seen: [stream: string, chunk: string, at: number][] = [];
      const onOutput: ExecRequest['onOutput'] = (stream, chunk) =>
        seen.push([stream, text(chunk), performance.now() - began]);
      await shell(sandbox, 'echo first; sleep 0.5; echo second >&2', { onOutput });
      assert.deepEqual(
        seen.map(([stream, chunk]) => [stream, chunk]),
        [
          ['stdout', 'first\n'],
          ['stderr', 'second\n'],
        ],
      );
      assert.ok(seen[1]![2] - seen[0]![2] > 300);
    });

    limit('output', 'SBX-07 a flood of output is stopped', async (t, opening) => {
      const sandbox = await open(t, opening);
      const result = await sandbox.exec({ argv: ['yes'], max_output_bytes: 16_384 });
      assert.equal(result.outcome, 'output_limit');
      assert.equal(result.exit_code, null);
      assert.equal(result.stdout.length, 16_384);
      assert.ok(result.duration_ms < 10_000);
    });

    limit('wall_time', 'SBX-06 the time limit ends a command that ignores signals', async (t, opening) => {
      const sandbox = await open(t, opening);
      const result = await shell(sandbox, 'trap "" TERM INT HUP; echo started; while :; do sleep 1; done', {
        timeout_ms: 400,
      });
      assert.equal(result.outcome, 'timed_out');
      assert.equal(result.exit_code, null);
      assert.equal(text(result.stdout), 'started\n');
      assert.ok(result.duration_ms >= 400 && result.duration_ms < 3000, `${result.duration_ms} ms`);
      const longer = await open(t, { policy: { ...opening.policy, wall_ms: 300 } });
      assert.equal((await shell(longer, 'sleep 9', { timeout_ms: 60_000 })).outcome, 'timed_out');
    });

    promise('SBX-06 cancelling ends a command at once', async t => {
      const sandbox = await open(t);
      const controller = new AbortController();
      let cancelledAt = 0;
      const onOutput = () => {
        cancelledAt = performance.now();
        controller.abort();
      };
      const result = await shell(sandbox, 'trap "" TERM; echo started; sleep 60', {
        signal: controller.signal,
        onOutput,
      });
      assert.equal(result.outcome, 'cancelled');
      assert.ok(performance.now() - cancelledAt < 1000);
      const never = await shell(sandbox, 'touch ran', { signal: controller.signal });
      assert.equal(never.outcome, 'cancelled');
      assert.equal(text((await shell(sandbox, 'ls')).stdout), '');
    });

    promise('SBX-06 cancelling at any moment of the start ends it', async t => {
      const sandbox = await open(t);
      for (let delay = 0; delay < 24; delay += 2) {
        const result = await shell(sandbox, 'sleep 60', { signal: AbortSignal.timeout(delay) });
        assert.equal(result.outcome, 'cancelled');
        assert.ok(result.duration_ms < 2000, `${result.duration_ms} ms`);
      }
    });

    limit('network', 'SBX-03 there is no network but a loopback of its own', async (t, opening) => {
      const sandbox = await open(t, opening);
      const { stdout } = await shell(sandbox, 'tail -n +3 /proc/net/dev | cut -d: -f1; cat /proc/net/route');
      assert.deepEqual(text(stdout).trim().split('\n')[0]!.trim(), 'lo');
      assert.doesNotMatch(text(stdout), /00000000/);
    });

    limit('filesystem', 'SBX-04 the root is read-only and shows nothing of the host', async (t, opening) => {
      const secret = join(base, 'secret');
      writeFileSync(secret, 'secret');
      const sandbox = await open(t, opening);
      const script = `for d in / /usr /usr/bin /etc /dev /bin /lib /opt; do ( : > $d/x ) 2>/dev/null && echo "$d writable"; done
        cat ${secret} /etc/shadow /root/.profile 2>/dev/null; ln -s ${secret} link; cat link; echo ok > /workspace/ok; echo ok > /tmp/ok`;
      const result = await shell(sandbox, script);
      assert.equal(text(result.stdout), '');
      assert.equal(text((await shell(sandbox, 'cat /workspace/ok')).stdout), 'ok\n');
    });

    limit('privileges', 'SBX-05 no privileges can be had', async (t, opening) => {
      const sandbox = await open(t, opening);
      const { stdout } = await shell(
        sandbox,
        'grep -E "^(NoNewPrivs|CapEff|CapBnd|CapPrm):" /proc/self/status | tr -d "\\t"; id -u',
      );
      assert.deepEqual(text(stdout).trim().split('\n').sort(), [
        '1000',
        'CapBnd:0000000000000000',
        'CapEff:0000000000000000',
        'CapPrm:0000000000000000',
        'NoNewPrivs:1',
      ]);
    });

    limit('syscalls', 'SBX-05 a system call filter is in force', async (t, opening) => {
      const sandbox = await open(t, opening);
      const { stdout } = await shell(
        sandbox,
        'grep -c "^Seccomp:.*2$" /proc/self/status; unshare -U true 2>/dev/null && echo escaped',
      );
      assert.equal(text(stdout), '1\n');
    });

    limit(
      'memory',
      'SBX-02 memory beyond the limit ends the command with that reason',
      async (t, opening) => {
        const sandbox = await open(t, {
          policy: { ...opening.policy, memory_bytes: 64 * mebibyte, tmp_bytes: 256 * mebibyte },
        });
        const result = await shell(sandbox, 'head -c 120000000 /dev/zero | tail -c 119000000 | wc -c');
        const filled = await shell(sandbox, 'head -c 120000000 /dev/zero > /tmp/fill');
        assert.equal(filled.outcome, 'out_of_memory');
        assert.match(filled.message!, /64 MiB/);
        assert.ok(result.outcome === 'out_of_memory' || text(result.stdout) !== '119000000\n');
        assert.equal((await shell(sandbox, 'echo alive')).outcome, 'exited');
      },
    );

    limit('pids', 'SBX-01 processes beyond the limit cannot be started', async (t, opening) => {
      const sandbox = await open(t, { policy: { ...opening.policy, pids: 20 } });
      const script = 'i=0; while [ $i -lt 60 ]; do sleep 30 & i=$((i+1)); done 2>/dev/null; echo done';
      const result = await shell(sandbox, script, { timeout_ms: 2000 });
      assert.notEqual(text(result.stdout), 'done\n');
      const counted = await shell(sandbox, `(${script}) >/dev/null 2>&1; ls -d /proc/[0-9]* | wc -l`, {
        timeout_ms: 3000,
      });
      assert.ok(Number(text(counted.stdout) || 0) <= 26, text(counted.stdout));
    });

    limit('cpu', 'SBX-01 busy processes together get the cores of the policy', async (t, opening) => {
      const sandbox = await open(t, { policy: { ...opening.policy, cpu_cores: 0.25 } });
      const script = 'for i in 1 2 3; do timeout 0.8 sh -c "while :; do :; done" & done; wait; times';
      const { stdout } = await shell(sandbox, script);
      const seconds = [
        ...text(stdout)
          .split('\n')[1]!
          .matchAll(/(\d+)m([\d.]+)s/g),
      ].map(m => Number(m[1]) * 60 + Number(m[2]));
      const used = seconds.reduce((sum, value) => sum + value, 0);
      assert.ok(used > 0.02 && used < 0.6, `${used} s of processor time in 0.8 s at a quarter core`);
    });

    limit('file_size', 'SBX-07 a file beyond the limit cannot be written', async (t, opening) => {
      const sandbox = await open(t, { policy: { ...opening.policy, file_bytes: mebibyte } });
      const result = await shell(sandbox, 'head -c 3000000 /dev/zero > big');
      assert.notEqual(result.exit_code, 0);
      assert.equal(text((await shell(sandbox, 'stat -c %s big')).stdout), `${mebibyte}\n`);
      assert.equal(
        (await sandbox.exec({ argv: ['dd', 'if=/dev/zero', 'of=big2', 'bs=2M', 'count=2'] })).outcome,
        'disk_limit',
      );
    });

    promise('SBX-07 temporary file systems are full at their limit', async t => {
      const sandbox = await open(t, {
        policy: { tmp_bytes: 2 * mebibyte, shm_bytes: mebibyte, require: [] },
      });
      for (const [place, bytes] of [
        ['/tmp', 2 * mebibyte],
        ['/dev/shm', mebibyte],
        ['/run', mebibyte],
      ] as const) {
        const result = await shell(
          sandbox,
          `head -c 5000000 /dev/zero > ${place}/fill; stat -c %s ${place}/fill`,
        );
        assert.match(text(result.stderr), /No space left/);
        assert.ok(Number(text(result.stdout)) <= bytes, place);
      }
      const without = await open(t, {
        workspace: null,
        policy: { workspace_bytes: mebibyte, require: ['disk'] },
      });
      const result = await shell(without, 'head -c 5000000 /dev/zero > fill; stat -c %s fill');
      assert.ok(Number(text(result.stdout)) <= mebibyte);
    });

    promise('SBX-07 a workspace that outgrows its limit ends the command', async t => {
      const sandbox = await open(t, { policy: { workspace_bytes: 24 * mebibyte, require: [] } });
      const script =
        'i=0; while [ $i -lt 60 ]; do head -c 4000000 /dev/zero > f$i; sync f$i; i=$((i+1)); sleep 0.02; done; sleep 5';
      const result = await shell(sandbox, script, { timeout_ms: 15_000 });
      assert.equal(result.outcome, 'disk_limit');
      assert.equal((await shell(sandbox, 'rm -f f*; ls')).outcome, 'exited');
      assert.equal((await shell(sandbox, 'echo more > f')).outcome, 'exited');
    });

    promise('X-10 two sandboxes see neither files nor processes of each other', async t => {
      const [one, two] = [await open(t, { identity: 1 }), await open(t, { identity: 2 })];
      const running = shell(one, 'echo mine > /tmp/mine; echo mine > mine; exec sleep 987654', {
        timeout_ms: 1500,
      });
      await new Promise(resolve => setTimeout(resolve, 300));
      const { stdout } = await shell(
        two,
        `cat /proc/*/cmdline | tr '\\0' ' '; ls /tmp /workspace; ls ${one.workspace} 2>&1`,
      );
      assert.doesNotMatch(text(stdout), /987654|mine/);
      assert.equal((await running).outcome, 'timed_out');
    });

    promise('commands of one sandbox run side by side', async t => {
      const sandbox = await open(t);
      const results = await Promise.all(
        Array.from({ length: 6 }, (_, i) => shell(sandbox, `sleep 0.3; echo ${i}; echo e${i} >&2`)),
      );
      results.forEach((result, i) => {
        assert.equal(text(result.stdout), `${i}\n`);
        assert.equal(text(result.stderr), `e${i}\n`);
      });
    });

    promise('a destroyed sandbox has ended its commands and runs no more', async t => {
      const sandbox = await open(t);
      const running = shell(sandbox, 'sleep 60');
      await new Promise(resolve => setTimeout(resolve, 100));
      await sandbox.destroy();
      assert.equal((await running).outcome, 'cancelled');
      assert.equal((await shell(sandbox, 'true')).outcome, 'sandbox_error');
      await sandbox.destroy();
    });

    promise('an id is taken while its sandbox lives', async t => {
      const sandbox = await open(t);
      const spec = { id: sandbox.id, identity: 1, workspace: null, mounts: [], policy: defaultSandboxPolicy };
      await assert.rejects(driver.create(spec), { code: 'sandbox_exists' });
      assert.ok(!(await driver.reconcile(new Set())).removed.includes(sandbox.id));
      assert.equal((await shell(sandbox, 'true')).exit_code, 0);
    });

    promise('VAL-03 a directory is removed whatever lies in it, and nothing else', async t => {
      const outside = join(base, 'outside');
      mkdirSync(join(outside, 'kept'), { recursive: true });
      writeFileSync(join(outside, 'kept', 'file'), 'kept');
      const path = join(base, 'removals', 'deep', 'one');
      const sandbox = await open(t, { workspace: path });
      const script = `ln -s ${outside} link; mkdir -p a/b/c && touch a/b/c/f 'a/-rf' "a/new
        line" a/.hidden; ln -s ${outside}/kept a/b/inner; chmod 000 a/b/c a/b; mkfifo pipe; mkdir locked; touch locked/x; chmod 500 locked`;
      assert.equal((await shell(sandbox, script)).exit_code, 0);
      await driver.prepareDirectory(path, 1);
      await sandbox.destroy();
      await driver.removeDirectory(path);
      assert.ok(!existsSync(path));
      assert.ok(existsSync(join(outside, 'kept', 'file')));
      await driver.removeDirectory(path);
      symlinkSync(outside, path);
      await driver.removeDirectory(path);
      assert.ok(!existsSync(path) && existsSync(join(outside, 'kept', 'file')));
    });
  });
}
