/** Sandbox conformance: limits, isolation, and the end of sandboxes. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Stage, text } from './conformance-stage.ts';
import { defaultSandboxPolicy } from './port.ts';

const mebibyte = 1024 * 1024;

export function limitTests(stage: Stage): void {
  const { open, shell, promise, limit } = stage;

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
      timeout_ms: 800,
    });
    assert.equal(result.outcome, 'timed_out');
    assert.equal(result.exit_code, null);
    assert.equal(text(result.stdout), 'started\n');
    assert.ok(result.duration_ms >= 800 && result.duration_ms < 4000, `${result.duration_ms} ms`);
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
    const secret = join(stage.base, 'secret');
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

  limit('memory', 'SBX-02 memory beyond the limit ends the command with that reason', async (t, opening) => {
    const sandbox = await open(t, {
      policy: { ...opening.policy, memory_bytes: 64 * mebibyte, tmp_bytes: 256 * mebibyte },
    });
    const result = await shell(sandbox, 'head -c 120000000 /dev/zero | tail -c 119000000 | wc -c');
    const filled = await shell(sandbox, 'head -c 120000000 /dev/zero > /tmp/fill');
    assert.equal(filled.outcome, 'out_of_memory');
    assert.match(filled.message!, /64 MiB/);
    assert.ok(result.outcome === 'out_of_memory' || text(result.stdout) !== '119000000\n');
    assert.equal((await shell(sandbox, 'echo alive')).outcome, 'exited');
  });

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
    const { stdout, duration_ms } = await shell(sandbox, script);
    const seconds = [
      ...text(stdout)
        .split('\n')[1]!
        .matchAll(/(\d+)m([\d.]+)s/g),
    ].map(m => Number(m[1]) * 60 + Number(m[2]));
    const used = seconds.reduce((sum, value) => sum + value, 0);
    const share = used / (duration_ms / 1000);
    assert.ok(share > 0.01 && share < 0.45, `${share} of a core at a quarter core`);
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
    await assert.rejects(stage.driver.create(spec), { code: 'sandbox_exists' });
    assert.ok(!(await stage.driver.reconcile(new Set())).removed.includes(sandbox.id));
    assert.equal((await shell(sandbox, 'true')).exit_code, 0);
  });

  promise('VAL-03 a directory is removed whatever lies in it, and nothing else', async t => {
    const outside = join(stage.base, 'outside');
    mkdirSync(join(outside, 'kept'), { recursive: true });
    writeFileSync(join(outside, 'kept', 'file'), 'kept');
    const path = join(stage.base, 'removals', 'deep', 'one');
    const sandbox = await open(t, { workspace: path });
    const script = `ln -s ${outside} link; mkdir -p a/b/c && touch a/b/c/f 'a/-rf' "a/new
      line" a/.hidden; ln -s ${outside}/kept a/b/inner; chmod 000 a/b/c a/b; mkfifo pipe; mkdir locked; touch locked/x; chmod 500 locked`;
    assert.equal((await shell(sandbox, script)).exit_code, 0);
    await stage.driver.prepareDirectory(path, 1);
    await sandbox.destroy();
    await stage.driver.removeDirectory(path);
    assert.ok(!existsSync(path));
    assert.ok(existsSync(join(outside, 'kept', 'file')));
    await stage.driver.removeDirectory(path);
    symlinkSync(outside, path);
    await stage.driver.removeDirectory(path);
    assert.ok(!existsSync(path) && existsSync(join(outside, 'kept', 'file')));
  });
}
