/** Sandbox conformance: what a command is given and what it gives back. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Stage, text } from './conformance-stage.ts';
import { defaultSandboxPolicy, type ExecRequest } from './port.ts';

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

export function commandTests(stage: Stage): void {
  const { open, shell, promise } = stage;

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
      { argv: ['a', 'x'.repeat(131_072)] },
      { argv: ['a', ...Array(30).fill('x'.repeat(100_000))] },
    ]) {
      await assert.rejects(sandbox.exec(request), { code: 'sandbox_request_invalid' });
    }
    const missing = await shell(sandbox, 'pwd', { cwd: 'nowhere' });
    assert.equal(missing.outcome, 'sandbox_error');
    assert.match(missing.message!, /nowhere/);
  });

  promise('mounts appear at their targets; read-only ones stay as they are', async t => {
    const source = join(stage.base, 'source');
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
    const source = stage.base;
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
    const missing = { source: join(stage.base, 'missing'), target: '/workspace/m', read_only: true };
    await assert.rejects(open(t, { mounts: [missing] }), { code: 'sandbox_mount_missing' });
  });

  promise('a bad spec is refused', async t => {
    for (const policy of [{ memory_bytes: 0 }, { pids: 0 }, { cpu_cores: Number.NaN }, { wall_ms: -1 }]) {
      await assert.rejects(open(t, { policy }), { code: 'sandbox_spec_invalid' });
    }
    const spec = { identity: 1, workspace: null, mounts: [], policy: defaultSandboxPolicy };
    await assert.rejects(stage.driver.create({ ...spec, id: '../x' }), { code: 'sandbox_spec_invalid' });
    await assert.rejects(stage.driver.create({ ...spec, id: 'x', identity: -1 }), {
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
}
